"""Keep to what a provider's account may do, all workers together."""

from __future__ import annotations

import math
from datetime import datetime

from django.utils import timezone
from ntc_core.rate_limits import Limit, take

from ntc_notify.conf import Kind, notify_settings
from ntc_notify.models import Message
from ntc_notify.providers.base import Provider
from ntc_notify.quiet_hours import find_end_of_quiet
from ntc_notify.types import Channel

__all__ = ["take_turn", "wait_for_morning"]


def take_turn(channel: Channel, name: str, provider: Provider) -> float:
    """Count one call to the provider; return the seconds to wait first, 0 where it may be made.

    The setting wins over what the provider knows. Without Redis each process counts alone.
    """
    rate = notify_settings.NOTIFY_CALLS_PER_SECOND.get(name)
    if rate is None:
        rate = provider.find_calls_per_second()
    if not rate:
        return 0.0
    # "0.5 a second" is one in two seconds.
    count, seconds = (math.floor(rate), 1) if rate >= 1 else (1, math.ceil(1 / rate))
    verdict = take(
        Limit(name="notify_provider", who=f"{channel}:{name}", count=count, seconds=seconds)
    )
    return 0.0 if verdict.is_allowed else max(verdict.wait_seconds, 0.01)


def wait_for_morning(message: Message, kind: Kind) -> datetime | None:
    """Return when the message may be sent, where it is quiet now and it can wait; else None."""
    if not kind.quiet_hours or message.channel == Channel.INAPP:
        return None  # an inbox wakes nobody
    return find_end_of_quiet(timezone.now())
