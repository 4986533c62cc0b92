"""The recurring job that forgets old keys."""

from __future__ import annotations

import logging

from django.utils import timezone

from ntc_core.idempotency.models import IdempotentAnswer
from ntc_core.outbox import job

__all__ = ["purge"]

log = logging.getLogger(__name__)

BATCH = 10_000
HOUR = 60 * 60


# Not atomic: each batch is its own short transaction, and to begin again does no harm.
@job("ntc_idempotency.purge", every_seconds=HOUR, atomic=False, lease_seconds=600)
def purge() -> None:
    """Remove the answers whose time is over, in batches."""
    old = IdempotentAnswer.objects.filter(expires_at__lte=timezone.now())
    removed = 0
    while keys := list(old.values_list("pk", flat=True)[:BATCH]):
        removed += IdempotentAnswer.objects.filter(pk__in=keys).delete()[0]
    log.info("idempotency.purged", extra={"answers": removed})
