"""How long what companies told us lies unread."""

from __future__ import annotations

from django.db.models import Min
from django.utils import timezone

from ntc_core.metrics import collector, gauge
from ntc_core.webhooks.models import WebhookEvent

__all__ = ["tell_waiting"]

_WAITING = (WebhookEvent.State.RECEIVED, WebhookEvent.State.FAILED)


@collector
def tell_waiting() -> None:
    """Tell the age of the oldest event that a job still has to act upon, and what is parked."""
    oldest = WebhookEvent.objects.filter(state__in=_WAITING).aggregate(at=Min("created_at"))["at"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0
    gauge("ntc_webhook_oldest_waiting_seconds", age)
    parked = WebhookEvent.objects.filter(state=WebhookEvent.State.PARKED)
    gauge("ntc_webhook_parked", parked.count())
