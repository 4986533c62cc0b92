"""What payers complain about at their banks: a person is told; what is lost leaves the books."""

from __future__ import annotations

import logging

from django.db import transaction
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.masking import mask_text

from ntc_payments.models import Break, PaymentAttempt
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.selectors import find_attempt, list_providers
from ntc_payments.services.breaks import open_break, resolve_breaks
from ntc_payments.services.observing import apply_observation
from ntc_payments.types import (
    LONGEST_FAILURE_MESSAGE,
    Claim,
    Dispute,
    DisputeState,
    Observation,
    Source,
)

__all__ = ["check_disputes"]

log = logging.getLogger("ntc_payments")


def check_disputes() -> int:
    """Ask every company that tells them, outside any transaction, and do what follows.

    Safe to repeat: a dispute that was seen in this state changes nothing.

    Returns:
        How many disputes were looked at.
    """
    able = [provider for provider in list_providers() if provider.capabilities.has_disputes]
    return sum(_check(provider) for provider in able)


def _check(provider: PaymentProvider) -> int:
    try:
        disputes = provider.list_disputes()
    except (HttpFailure, AnswerUnreadable) as error:
        # The next run is hours away, and the bank's own time limit days.
        extra = {"provider": provider.name, "error": type(error).__name__}
        log.warning("payment.disputes_unanswered", extra=extra)
        return 0
    for dispute in disputes:
        _follow(provider.name, dispute)
    return len(disputes)


@transaction.atomic
def _follow(provider: str, dispute: Dispute) -> None:
    attempt = find_attempt(
        provider=provider, reference=dispute.reference, provider_ref=dispute.provider_ref
    )
    key = f"disputed:{provider}:{dispute.dispute_ref}"
    if dispute.state is DisputeState.LOST and attempt is not None:
        _take_back(attempt, dispute, key=key)
    elif dispute.state is DisputeState.WON:
        resolve_breaks("The dispute was won: the money stays.", dedupe_key=key)
    else:
        how = "The payer disputes" if dispute.state is DisputeState.OPEN else "The payer won back"
        open_break(
            kind=Break.Kind.DISPUTED,
            dedupe_key=key,
            provider=provider,
            detail=f"{how} {dispute.money} at the bank. Answer in the company's dashboard.",
            money=dispute.money,
            payment=attempt.payment if attempt else None,
            attempt=attempt,
        )


def _take_back(attempt: PaymentAttempt, dispute: Dispute, *, key: str) -> None:
    # As the history keeps it: each loss is a line of its own there, once.
    kept = mask_text(_told(dispute), longest=LONGEST_FAILURE_MESSAGE)
    if not attempt.events.filter(claim=Claim.REVERSED.value, failure_message=kept).exists():
        apply_observation(
            attempt_id=attempt.pk,
            observation=Observation(
                reference=attempt.reference,
                claim=Claim.REVERSED,
                money=dispute.money,
                provider_ref=dispute.provider_ref,
                failure_message=_told(dispute),
            ),
            source=Source.POLL,
        )
    resolve_breaks("The dispute was lost: the money went back.", dedupe_key=key)


def _told(dispute: Dispute) -> str:
    return f"dispute {dispute.dispute_ref}"
