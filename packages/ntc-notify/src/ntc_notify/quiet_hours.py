"""When people sleep. What can wait is not sent meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

from ntc_notify.conf import notify_settings

__all__ = ["QuietHours", "find_end_of_quiet", "read_quiet_hours"]


@dataclass(frozen=True, kw_only=True)
class QuietHours:
    """From and until, by the clocks of a zone; usually over midnight."""

    start: time
    end: time
    zone: ZoneInfo

    def find_end(self, moment: datetime) -> datetime | None:
        """Return when the quiet ends in which this moment lies, or None: it lies in none."""
        local = moment.astimezone(self.zone)
        now = local.time()
        over_midnight = self.start > self.end
        if over_midnight:
            is_quiet = now >= self.start or now < self.end
        else:
            is_quiet = self.start <= now < self.end
        if not is_quiet:
            return None
        day = local.date()
        if over_midnight and now >= self.start:
            day += timedelta(days=1)
        return datetime.combine(day, self.end, self.zone)


def find_end_of_quiet(moment: datetime) -> datetime | None:
    """Return when the quiet hours of the settings end in which this moment lies, or None."""
    hours = read_quiet_hours()
    return hours.find_end(moment) if hours else None


def read_quiet_hours() -> QuietHours | None:
    """Return the quiet hours of the settings; None: there are none.

    Raises:
        ImproperlyConfigured: they cannot be read; the message says how they are written.
    """
    hours = notify_settings.NOTIFY_QUIET_HOURS
    if hours is None:
        return None
    try:
        start, end = (time.fromisoformat(each) for each in hours)
        zone = ZoneInfo(notify_settings.NOTIFY_TIME_ZONE)
    except (ValueError, TypeError, ZoneInfoNotFoundError) as error:
        raise ImproperlyConfigured(
            'NTC_NOTIFY_QUIET_HOURS is ("21:00", "07:00") or None, and NTC_NOTIFY_TIME_ZONE a zone '
            f'such as "Africa/Dar_es_Salaam": {error}.'
        ) from error
    return None if start == end else QuietHours(start=start, end=end, zone=zone)
