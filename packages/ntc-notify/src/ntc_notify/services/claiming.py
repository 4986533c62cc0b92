"""Take messages for a call: nobody else has them, and the attempts are in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now
from ntc_core.outbox.clock import seconds_from_now

from ntc_notify.conf import Kind
from ntc_notify.models import DeliveryAttempt, Message
from ntc_notify.providers.base import LONGEST_CALL_SECONDS
from ntc_notify.segments import measure_sms
from ntc_notify.services.composing import estimate_cost
from ntc_notify.services.suppressing import find_refusals
from ntc_notify.types import MessageState, OutgoingMessage, OutgoingSms

__all__ = ["CLAIM_SECONDS", "Prepared", "claim"]

#: A claim outlives the longest call, and ends before the job's own lease does.
CLAIM_SECONDS = LONGEST_CALL_SECONDS + 5


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A message, its unsaved attempt and what the provider will be given."""

    message: Message
    attempt: DeliveryAttempt
    outgoing: OutgoingMessage


def claim(prepared: Sequence[Prepared], kind: Kind) -> tuple[list[Prepared], Mapping[int, str]]:
    """Take those of these messages that are still to be sent, in one transaction.

    They are `sending` then and their attempts saved; after `CLAIM_SECONDS` a claim is void.
    Whether somebody wants them is asked within, so that a "no" that is committed holds.

    Returns:
        What is ours to send; and message id -> why, for those that became `suppressed`.
    """
    ours: list[Prepared] = []
    with transaction.atomic():
        refusals = find_refusals([each.message for each in prepared], kind)
        for each in prepared:
            refusal = refusals.get(each.message.pk)
            if refusal is not None:
                _suppress(each.message, refusal)
            elif _take(each):
                ours.append(each)
        if ours:
            DeliveryAttempt.objects.bulk_create([each.attempt for each in ours])
    return ours, refusals


def _take(each: Prepared) -> bool:
    message, outgoing = each.message, each.outgoing
    segments = measure_sms(outgoing.text).segments if isinstance(outgoing, OutgoingSms) else None
    cost = estimate_cost(each.attempt.provider, segments) if segments else None
    message.provider, message.segments = each.attempt.provider, segments
    return bool(
        Message.objects.filter(
            pk=message.pk, state=MessageState.QUEUED, expires_at__gt=Now()
        ).update(
            state=MessageState.SENDING,
            provider=message.provider,
            segments=segments,
            cost_estimate=cost.amount if cost else None,
            cost_currency=cost.currency if cost else "",
            error="",
            claimed_until=seconds_from_now(CLAIM_SECONDS),
            updated_at=Now(),
        )
    )


def _suppress(message: Message, refusal: str) -> None:
    Message.objects.filter(pk=message.pk, state=MessageState.QUEUED).update(
        state=MessageState.SUPPRESSED, error=refusal, updated_at=Now()
    )
