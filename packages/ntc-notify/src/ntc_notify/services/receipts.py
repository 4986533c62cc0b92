"""What providers say later: delivered, bounced, complained about. By webhook, or asked."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.outbox import enqueue
from ntc_core.outbox.clock import seconds_from_now
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import finish_event
from ntc_core.webhooks.types import PayloadUnreadable

from ntc_notify.models import DeliveryAttempt, MessageReceipt
from ntc_notify.registry import find_receipt_provider, get_provider
from ntc_notify.services.settling import log_fields, mask_reason, move_message
from ntc_notify.services.suppressing import suppress_address
from ntc_notify.types import RANK, Channel, MessageState, Receipt

__all__ = ["apply_receipt", "process_webhook_event", "query_attempt", "query_due"]

log = logging.getLogger("ntc_notify")

#: A receipt may be faster than the commit of the answer; after these it stays unmatched.
REMATCH_DELAYS_SECONDS = (2, 10, 60, 600, 3600, 6 * 3600)
#: Seconds between the queries about one attempt; after the last it is not asked about again.
QUERY_DELAYS_SECONDS = (300, 1800, 2 * 3600, 6 * 3600, 24 * 3600, 48 * 3600)
SWEEP_LIMIT = 200
_FINAL_STATES = frozenset({WebhookEvent.State.PROCESSED, WebhookEvent.State.IGNORED})


def process_webhook_event(*, event_id: int, tries: int = 0) -> None:
    """Apply what the event says, and mark it, in the transaction of the job.

    Args:
        tries: how often a message in it was not found before.
    """
    event = WebhookEvent.objects.get(pk=event_id)
    if event.state in _FINAL_STATES:
        return
    provider = find_receipt_provider(event.provider)
    if provider is None:
        finish_event(event, state="failed", error="No such provider is configured any more.")
        return
    try:
        receipts = provider.read_receipts(bytes(event.body))
    except (PayloadUnreadable, ValueError) as error:
        # The bytes stay the same, however often we tried; staff can replay the event once
        # the provider's file is mended. The text may repeat an address: the name has to do.
        log.error(  # noqa: TRY400 - likewise
            "message.receipt_unreadable",
            extra={"provider": event.provider, "error": type(error).__name__},
        )
        finish_event(event, state="failed", error=type(error).__name__)
        return
    unknown = 0
    for receipt in receipts:
        attempt = _find_attempt(event.provider, receipt)
        if attempt is None:
            unknown += 1
        else:
            apply_receipt(attempt, receipt, webhook=event)
    if not unknown:
        finish_event(event, state="processed" if receipts else "ignored")
        return
    finish_event(event, state="unmatched", error=f"{unknown} of {len(receipts)} are not ours.")
    if tries < len(REMATCH_DELAYS_SECONDS):
        enqueue(
            "ntc_notify.process_webhook_event",
            event.pk,
            tries + 1,
            dedupe_key=f"{event.pk}:{tries + 1}",
            run_at=timezone.now() + timedelta(seconds=REMATCH_DELAYS_SECONDS[tries]),
        )


def apply_receipt(
    attempt: DeliveryAttempt, receipt: Receipt, *, webhook: WebhookEvent | None
) -> bool:
    """Record it once and let the message follow by rank; tell whether it changed its state.

    A bounce that ends an address does so also after "delivered": the next message would be
    for nobody.
    """
    message = attempt.message
    reason = mask_reason(receipt.reason, message)
    webhook_uid = None if webhook is None else webhook.uid
    with transaction.atomic():
        known = attempt.receipts.filter(webhook_uid=webhook_uid, state=receipt.state)
        if webhook_uid is not None and known.exists():
            return False
        applied = move_message(message, receipt.state, reason, was=None, segments=receipt.segments)
        MessageReceipt.objects.bulk_create(
            [
                MessageReceipt(
                    attempt=attempt,
                    state=receipt.state,
                    applied=applied,
                    suppression=receipt.suppression or "",
                    reason=reason,
                    occurred_at=receipt.at,
                    webhook_uid=webhook_uid,
                )
            ],
            ignore_conflicts=True,
        )
        if receipt.suppression is not None:
            suppress_address(
                channel=Channel(message.channel),
                address=message.address,
                reason=receipt.suppression,
                source=attempt.provider,
                detail=reason,
            )
        if RANK.get(receipt.state, 0) >= RANK[MessageState.FAILED]:
            DeliveryAttempt.objects.filter(pk=attempt.pk).update(next_query_at=None)
    log.info(
        "message.receipt",
        extra=log_fields(message)
        | {"state": str(receipt.state), "applied": applied, "reason": reason},
    )
    return applied


def query_due() -> int:
    """Plan the queries that are due; return how many. Talks to the database only."""
    due = DeliveryAttempt.objects.filter(next_query_at__lte=Now()).order_by("next_query_at")
    return sum(_plan_query(attempt) for attempt in due[:SWEEP_LIMIT])


def query_attempt(attempt_id: int) -> None:
    """Ask the provider what became of an attempt, outside any transaction."""
    attempt = DeliveryAttempt.objects.select_related("message__notification").get(pk=attempt_id)
    try:
        provider = get_provider(Channel(attempt.message.channel), attempt.provider)
    except LookupError:
        return  # not in the settings any more
    receipt = provider.query(
        provider_ref=attempt.provider_ref,
        provider_uid=attempt.provider_uid,
        address=attempt.message.address,
    )
    if receipt is not None:
        apply_receipt(attempt, receipt, webhook=None)


def _plan_query(attempt: DeliveryAttempt) -> bool:
    following = None
    if attempt.queries < len(QUERY_DELAYS_SECONDS):
        following = seconds_from_now(QUERY_DELAYS_SECONDS[attempt.queries])
    with transaction.atomic():
        planned = DeliveryAttempt.objects.filter(
            pk=attempt.pk, next_query_at=attempt.next_query_at, queries=attempt.queries
        ).update(next_query_at=following, queries=F("queries") + 1)
        if planned:
            enqueue(
                "ntc_notify.query_attempt",
                attempt.pk,
                dedupe_key=f"{attempt.pk}:{attempt.queries + 1}",
            )
    return bool(planned)


def _find_attempt(provider: str, receipt: Receipt) -> DeliveryAttempt | None:
    """Return the attempt that the receipt is about; of several with one id, the last.

    A batch may have given one id to many: then the address tells whose it is.
    """
    attempts = DeliveryAttempt.objects.filter(provider=provider).select_related(
        "message__notification"
    )
    if receipt.address is not None:
        attempts = attempts.filter(message__address__iexact=receipt.address)
    ways: list[dict[str, Any]] = []
    if receipt.provider_ref:
        ways.append({"provider_ref": receipt.provider_ref})
    if receipt.provider_uid:
        ways.append({"provider_uid": receipt.provider_uid})
    for way in ways:
        if found := attempts.filter(**way).order_by("-id").first():
            return found
    return None
