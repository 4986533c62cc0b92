"""The recurring job that removes what is over."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from ntc_core.auth.conf import DAY, auth_settings
from ntc_core.auth.models import AuditEvent, AuthSession, OneTimeCode, RefreshRecord
from ntc_core.outbox import job

__all__ = ["purge"]

log = logging.getLogger(__name__)

BATCH = 10_000
#: Ended sessions and dead codes stay so long, for people who ask what happened.
KEEP = timedelta(days=30)
#: A refresh token is refused by its own end once that is past, leeway included.
KEEP_REFRESHES = timedelta(days=1)


# Not atomic: each batch is its own short transaction, and to begin again does no harm.
@job("ntc_auth.purge", every_seconds=DAY, atomic=False, lease_seconds=600)
def purge() -> None:
    """Remove what has been over for long enough, in batches."""
    now = timezone.now()
    cutoff = now - KEEP
    idle = timedelta(seconds=auth_settings.REFRESH_TOKEN_SECONDS)
    over = Q(expires_at__lt=cutoff) | Q(revoked_at__lt=cutoff) | Q(last_used_at__lt=cutoff - idle)
    sessions = AuthSession.objects.filter(over)
    removed = {
        "refreshes": _delete_in_batches(
            RefreshRecord.objects.filter(expires_at__lt=now - KEEP_REFRESHES)
        ),
        # Before their sessions, or one batch of those would take all of theirs along.
        "refreshes_of_sessions": _delete_in_batches(
            RefreshRecord.objects.filter(session__in=sessions)
        ),
        "sessions": _delete_in_batches(sessions),
        "codes": _delete_in_batches(OneTimeCode.objects.filter(expires_at__lt=cutoff)),
        "events": _purge_events(before=now - timedelta(days=auth_settings.AUDIT_KEEP_DAYS)),
    }
    log.info("auth.purged", extra=removed)


def _purge_events(*, before: datetime) -> int:
    removed = 0
    while batch := AuditEvent.objects.all().purge(before=before, batch=BATCH):
        removed += batch
    return removed


def _delete_in_batches(rows: QuerySet[Any]) -> int:
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=keys).delete()  # noqa: SLF001 - public, whatever its name
        removed += len(keys)
    return removed
