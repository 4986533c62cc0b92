"""Turn a stored webhook into observations."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone
from ntc_core.outbox import enqueue
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import finish_event
from ntc_core.webhooks.types import PayloadUnreadable

from ntc_payments.conf import provider_registry
from ntc_payments.selectors import find_attempt
from ntc_payments.services.observing import apply_observation
from ntc_payments.types import Source

__all__ = ["process_webhook_event"]

log = logging.getLogger("ntc_payments")

#: A webhook may be faster than the commit it speaks of; after these it stays unmatched.
REMATCH_DELAYS_SECONDS = (2, 10, 30, 120, 600, 3600, 6 * 3600, 24 * 3600)
_FINAL_STATES = frozenset({"processed", "ignored"})


def process_webhook_event(*, event_id: int, tries: int = 0) -> None:
    """Apply what the event says, and mark it, in the transaction of the job.

    Args:
        tries: how often a reference in it was not found before.
    """
    event = WebhookEvent.objects.get(pk=event_id)
    if event.state in _FINAL_STATES:
        return
    provider = provider_registry.get(event.provider)
    try:
        observations = provider.read_webhook(bytes(event.body))
    except (PayloadUnreadable, ValueError) as error:
        # ValueError: a value that no column of ours takes. The bytes stay the same, however
        # often we tried; staff can replay the event once the provider's file is mended.
        log.exception("payment.webhook_unreadable", extra={"provider": event.provider})
        finish_event(event, state="failed", error=str(error))
        return
    found = [
        (find_attempt(provider=event.provider, reference=observation.reference), observation)
        for observation in observations
    ]
    # Lock payments in one order: two events with the same two references must not deadlock.
    known = [(attempt, observation) for attempt, observation in found if attempt is not None]
    for attempt, observation in sorted(known, key=lambda pair: pair[0].payment_id):
        apply_observation(attempt_id=attempt.pk, observation=observation, source=Source.WEBHOOK)
    if len(known) < len(observations):
        finish_event(event, state="unmatched", error="No attempt of ours has this reference.")
        _match_later(event, tries=tries)
        return
    finish_event(event, state="processed" if observations else "ignored")


def _match_later(event: WebhookEvent, *, tries: int) -> None:
    if tries >= len(REMATCH_DELAYS_SECONDS):
        log.error("payment.webhook_unmatched", extra={"provider": event.provider})
        return
    enqueue(
        "ntc_payments.process_webhook_event",
        event.pk,
        tries + 1,
        dedupe_key=f"{event.pk}:{tries + 1}",
        run_at=timezone.now() + timedelta(seconds=REMATCH_DELAYS_SECONDS[tries]),
    )
