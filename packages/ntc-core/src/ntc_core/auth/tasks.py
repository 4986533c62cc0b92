"""The recurring jobs that remove what is over."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from ntc_core.auth.conf import DAY, auth_settings
from ntc_core.auth.models import AuditEvent, AuthSession, OneTimeCode
from ntc_core.outbox import job

__all__ = ["purge", "purge_audit"]

BATCH = 10_000
#: Ended sessions and dead codes stay so long, for people who ask what happened.
KEEP = timedelta(days=30)


@job("ntc_auth.purge", every_seconds=DAY)
def purge() -> None:
    """Remove sessions and codes that have been over for KEEP, in batches."""
    cutoff = timezone.now() - KEEP
    idle = timedelta(seconds=auth_settings.REFRESH_TOKEN_SECONDS)
    over = Q(expires_at__lt=cutoff) | Q(revoked_at__lt=cutoff) | Q(last_used_at__lt=cutoff - idle)
    _delete_in_batches(AuthSession.objects.filter(over))
    _delete_in_batches(OneTimeCode.objects.filter(expires_at__lt=cutoff))


@job("ntc_auth.purge_audit", every_seconds=DAY, atomic=False)
def purge_audit() -> None:
    """Remove audit events older than NTC_AUDIT_KEEP_DAYS, in batches, each in its own commit."""
    before = timezone.now() - timedelta(days=auth_settings.AUDIT_KEEP_DAYS)
    while AuditEvent.objects.all().purge(before=before, batch=BATCH) == BATCH:
        pass


def _delete_in_batches(rows: QuerySet[Model]) -> None:
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.filter(pk__in=keys).delete()
