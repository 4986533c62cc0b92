"""Jobs of accounts."""

from __future__ import annotations

from django.utils import timezone
from ntc_core.auth.models import OneTimeCode
from ntc_core.auth.services import announce_code
from ntc_core.outbox import job

from .models import PendingRegistration

__all__ = ["announce_password_reset", "purge_registrations"]

HOUR_SECONDS = 60 * 60


@job("accounts.announce_password_reset")
def announce_password_reset(challenge_id: int) -> None:
    """Send the code, if it is for somebody: strangers get the same job, and nothing comes of it."""
    challenge = OneTimeCode.objects.filter(pk=challenge_id, user__isnull=False).first()
    if challenge is not None:
        announce_code(challenge)


@job("accounts.purge_registrations", every_seconds=HOUR_SECONDS)
def purge_registrations() -> None:
    """Forget people who asked for a code and did not come back with it."""
    PendingRegistration.objects.filter(expires_at__lte=timezone.now()).delete()
