"""Recurring jobs of accounts."""

from __future__ import annotations

from django.utils import timezone
from ntc_core.outbox import job

from .models import PendingRegistration

__all__ = ["purge_registrations"]

HOUR_SECONDS = 60 * 60


@job("accounts.purge_registrations", every_seconds=HOUR_SECONDS)
def purge_registrations() -> None:
    """Forget people who asked for a code and did not come back with it."""
    PendingRegistration.objects.filter(expires_at__lte=timezone.now()).delete()
