"""Apply what a source says about an attempt: response, webhook, poll, statement, staff.

One function, one transaction: the history, the transition and its effects commit together
or not at all. No call to another company happens in here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from ntc_core.masking import mask_text

from ntc_payments.conf import provider_registry
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent
from ntc_payments.services.consequences import announce_later, withdraw_later
from ntc_payments.services.moves import lock_payment, move_attempt, move_payment, write_event
from ntc_payments.services.schedule import ask_soon_at, next_poll_at
from ntc_payments.transitions import (
    DEAD_ATTEMPTS,
    NOT_FOUND_LIMIT,
    UNPAID_PAYMENTS,
    WAITING_PAYMENTS,
    Decision,
    Reason,
    decide,
)
from ntc_payments.types import (
    LONGEST_FAILURE_MESSAGE,
    AttemptStatus,
    Claim,
    FailureCode,
    Observation,
    PaymentStatus,
    Source,
)

__all__ = ["apply_observation", "ask_now"]

log = logging.getLogger("ntc_payments")

_DEFAULT_FAILURE = {
    AttemptStatus.REJECTED: FailureCode.PROVIDER_REFUSED,
    AttemptStatus.FAILED: FailureCode.OTHER,
    AttemptStatus.EXPIRED: FailureCode.NOT_RECEIVED,
}


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One observation and what it meets, with the payment locked."""

    payment: Payment
    attempt: PaymentAttempt
    before: AttemptStatus
    observation: Observation
    source: Source


def apply_observation(*, attempt_id: int, observation: Observation, source: Source) -> Decision:
    """Record the observation and, if the tables allow it, move the attempt and its payment.

    Safe to call any number of times, in any order, from anywhere at once.

    Returns:
        What was decided. `move_to` is None when nothing moved; `reason` says why.
    """
    with transaction.atomic():
        payment_id = PaymentAttempt.objects.values_list("payment_id", flat=True).get(pk=attempt_id)
        payment = lock_payment(payment_id)
        attempt = PaymentAttempt.objects.get(pk=attempt_id)
        attempt.payment = payment
        case = _Case(
            payment=payment,
            attempt=attempt,
            before=AttemptStatus(attempt.status),
            observation=observation,
            source=source,
        )
        decision = _decide(case)
        _count_not_found(case)
        if decision.move_to is not None:
            _move(case, decision.move_to)
        else:
            _learn(case, decision)
        _record(case, decision)
        _follow(case, decision)
    return decision


def _decide(case: _Case) -> Decision:
    attempt, observation = case.attempt, case.observation
    money_matches = None if observation.money is None else observation.money == attempt.money
    known, told = attempt.provider_ref, observation.provider_ref
    return decide(
        current=case.before,
        claim=observation.claim,
        source=case.source,
        trust=observation.trust,
        money_matches=money_matches,
        reference_matches=not known or not told or known == told,
        reference_is_free=not told or known == told or not _is_taken(attempt, told),
        not_found_is_final=_not_found_is_final(attempt),
    )


def _is_taken(attempt: PaymentAttempt, provider_ref: str) -> bool:
    """Tell whether the company's reference belongs to another attempt already."""
    others = PaymentAttempt.objects.exclude(pk=attempt.pk)
    return others.filter(provider=attempt.provider, provider_ref=provider_ref).exists()


def _not_found_is_final(attempt: PaymentAttempt) -> bool:
    """Tell whether one more "not found" is enough: often enough, over the visibility window."""
    if attempt.sent_at is None or attempt.not_found_count + 1 < NOT_FOUND_LIMIT:
        return False
    window = provider_registry.get(attempt.provider).capabilities.poll_visibility_seconds
    return timezone.now() - attempt.sent_at >= timedelta(seconds=window)


def _count_not_found(case: _Case) -> None:
    """Keep how many "not found" came in a row; silence neither adds nor interrupts."""
    attempt = case.attempt
    if case.observation.claim is Claim.NO_ANSWER:
        return
    is_absent = case.observation.claim is Claim.NOT_FOUND
    count = attempt.not_found_count + 1 if is_absent else 0
    if count != attempt.not_found_count:
        attempt.not_found_count = count
        PaymentAttempt.objects.filter(pk=attempt.pk).update(not_found_count=count)


def _move(case: _Case, to: AttemptStatus) -> None:
    attempt, observation, now = case.attempt, case.observation, timezone.now()
    sent_at = None if to is AttemptStatus.CREATED else attempt.sent_at or now
    changes: dict[str, Any] = {
        "sent_at": sent_at,
        "lease_until": None,
        "next_poll_at": next_poll_at(to, sent_at=sent_at, now=now) if sent_at else None,
    }
    if observation.provider_ref and (not attempt.provider_ref or to is AttemptStatus.SUCCEEDED):
        changes["provider_ref"] = observation.provider_ref
    if to in DEAD_ATTEMPTS:
        changes["failure_code"] = (observation.failure_code or _DEFAULT_FAILURE[to]).value
        changes["failure_message"] = _short(observation.failure_message)
    elif to is AttemptStatus.SUCCEEDED:
        changes |= {
            "failure_code": "",
            "failure_message": "",
            "captured_minor": attempt.amount_minor,
        }
    # The payment's lock makes `before` certain; the condition is the second belt.
    if not move_attempt(attempt, to=to, allowed=[case.before], changes=changes):
        raise RuntimeError(f"Attempt {attempt.reference} moved although its payment is locked.")


def _learn(case: _Case, decision: Decision) -> None:
    """Keep what is useful although nothing moves."""
    attempt, observation = case.attempt, case.observation
    changes: dict[str, Any] = {}
    if decision.reason is Reason.NO_CHANGE and not attempt.provider_ref:
        changes["provider_ref"] = observation.provider_ref
    if decision.ask and case.before is not AttemptStatus.CREATED:
        changes["next_poll_at"] = ask_soon_at(attempt, now=timezone.now())
    if changes:
        PaymentAttempt.objects.filter(pk=attempt.pk).update(updated_at=timezone.now(), **changes)


def _record(case: _Case, decision: Decision) -> None:
    observation, money = case.observation, case.observation.money
    write_event(
        payment=case.payment,
        attempt=case.attempt,
        kind=PaymentEvent.Kind.OBSERVATION,
        source=case.source.value,
        claim=observation.claim.value,
        applied=decision.move_to is not None,
        reason=decision.reason.value,
        from_status=case.before.value,
        to_status=(decision.move_to or case.before).value,
        amount_minor=money.minor if money else None,
        currency=money.currency if money else "",
        provider_ref=observation.provider_ref,
        failure_code=observation.failure_code.value if observation.failure_code else "",
        failure_message=_short(observation.failure_message),
        occurred_at=observation.occurred_at,
    )
    if decision.alarm:
        log.error(
            "payment.observation_alarm",
            extra={
                "payment": str(case.payment.uid),
                "provider": case.attempt.provider,
                "reference": case.attempt.reference,
                "claim": observation.claim.value,
                "source": case.source.value,
                "reason": decision.reason.value,
            },
        )


def _follow(case: _Case, decision: Decision) -> None:
    """Let the payment follow its attempt, and write what the project will be told."""
    to = decision.move_to
    if to is AttemptStatus.SUCCEEDED:
        _settle(case)
    elif to in DEAD_ATTEMPTS:
        _give_up(case)
    elif to is not None and to is not AttemptStatus.CREATED:
        move_payment(
            case.payment,
            to=PaymentStatus.PROCESSING,
            allowed=[PaymentStatus.OPEN],
            source=case.source,
            attempt=case.attempt,
        )
    elif decision.reason is Reason.REFERENCE_MISMATCH:
        # The company charged twice under one reference of ours.
        _announce_duplicate(case)


def _settle(case: _Case) -> None:
    """The money of one attempt is there: let it pay the payment, at most once."""
    payment, attempt = case.payment, case.attempt
    if PaymentAttempt.objects.filter(payment=payment, settles=True).exists():
        _announce_duplicate(case)
        return
    attempt.settles = True
    attempt.save(update_fields=["settles"])
    late = case.before in DEAD_ATTEMPTS or not payment.is_waiting
    if late:
        announce_later("payment_late_success", payment=payment, attempt=attempt)
    # The policy for late money is to accept it: what was bought has no stock to run out.
    move_payment(
        payment,
        to=PaymentStatus.SUCCEEDED,
        allowed=UNPAID_PAYMENTS,
        source=case.source,
        attempt=attempt,
        reason="late_success" if late else "",
    )
    announce_later("payment_succeeded", payment=payment, attempt=attempt)
    withdraw_later(payment=payment)


def _announce_duplicate(case: _Case) -> None:
    log.error(
        "payment.duplicate_charge",
        extra={"payment": str(case.payment.uid), "reference": case.attempt.reference},
    )
    announce_later(
        "payment_duplicate_charge",
        payment=case.payment,
        attempt=case.attempt,
        once_per=f"{case.attempt.pk}:{case.observation.provider_ref}",
    )


def _give_up(case: _Case) -> None:
    moved = move_payment(
        case.payment,
        to=PaymentStatus.FAILED,
        allowed=WAITING_PAYMENTS,
        source=case.source,
        attempt=case.attempt,
        reason=case.attempt.failure_code,
    )
    if moved:
        announce_later(
            "payment_failed",
            payment=case.payment,
            attempt=case.attempt,
            once_per=str(case.attempt.pk),
        )


def ask_now(attempt: PaymentAttempt, *, now: datetime) -> None:
    """Have the company asked by the next sweep."""
    PaymentAttempt.objects.filter(pk=attempt.pk).update(next_poll_at=ask_soon_at(attempt, now=now))


def _short(text: str) -> str:
    """Return the company's text as a column takes it, people in it masked."""
    return mask_text(text.replace("\x00", ""), longest=LONGEST_FAILURE_MESSAGE)
