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
from ntc_payments.services.moves import told_by_webhook
from ntc_payments.services.subjects import apply_known, find_known
from ntc_payments.services.unmatched import put_into_suspense, take_out_of_suspense
from ntc_payments.types import Observation, Source

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
        (observation, find_known(provider=event.provider, observation=observation))
        for observation in observations
    ]
    with told_by_webhook(event.uid):
        apply_known([known for _, known in found if known], source=Source.WEBHOOK)
    if event.attempts:
        # Seen before, perhaps as nobody's money.
        for observation, known in found:
            if known is not None:
                take_out_of_suspense(provider=event.provider, observation=observation)
    unknown = [observation for observation, known in found if known is None]
    if unknown:
        finish_event(event, state="unmatched", error="Nothing of ours has this reference.")
        _match_later(event, unknown, tries=tries)
        return
    finish_event(event, state="processed" if observations else "ignored")


def _match_later(event: WebhookEvent, unknown: list[Observation], *, tries: int) -> None:
    if tries >= len(REMATCH_DELAYS_SECONDS):
        log.error("payment.webhook_unmatched", extra={"provider": event.provider})
        for observation in unknown:
            put_into_suspense(provider=event.provider, observation=observation)
        return
    enqueue(
        "ntc_payments.process_webhook_event",
        event.pk,
        tries + 1,
        dedupe_key=f"{event.pk}:{tries + 1}",
        run_at=timezone.now() + timedelta(seconds=REMATCH_DELAYS_SECONDS[tries]),
    )
