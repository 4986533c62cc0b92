"""The recurring job that removes what nobody can ask for any more."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from ntc_core.outbox import job
from ntc_core.realtime.conf import realtime_settings
from ntc_core.realtime.models import (
    RealtimeConnection,
    RealtimeEvent,
    RealtimeStream,
    RealtimeTicket,
)

__all__ = ["purge"]

log = logging.getLogger(__name__)

BATCH = 10_000
HOUR = 60 * 60
#: Who comes back with a number of a stream that was forgotten gets a gap.
KEEP_STREAMS = timedelta(days=90)


# Not atomic: each batch is its own short transaction, and to begin again does no harm.
@job("ntc_realtime.purge", every_seconds=HOUR, atomic=False, lease_seconds=600)
def purge() -> None:
    """Remove old events, useless tickets, sockets of processes that died, forgotten streams."""
    now = timezone.now()
    hour_ago = now - timedelta(seconds=HOUR)
    keep_events = timedelta(hours=realtime_settings.REALTIME_KEEP_HOURS)
    removed = {
        "events": _delete(RealtimeEvent.objects.filter(created_at__lt=now - keep_events)),
        "tickets": _delete(RealtimeTicket.objects.filter(expires_at__lt=hour_ago)),
        "connections": _delete(RealtimeConnection.objects.filter(seen_at__lt=hour_ago)),
        "streams": _delete(RealtimeStream.objects.filter(updated_at__lt=now - KEEP_STREAMS)),
    }
    log.info("realtime.purged", extra=removed)


def _delete(rows: QuerySet[Any]) -> int:
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        removed += rows.model._base_manager.filter(pk__in=keys).delete()[0]  # noqa: SLF001 - Django's name
    return removed
