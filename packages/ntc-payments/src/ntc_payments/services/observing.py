"""Apply what a source says about an attempt: response, webhook, poll, statement, staff.

One function, one transaction: the history, the transition and its effects commit together
or not at all. No call to another company happens in here.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from ntc_core.phone import mask_people

from ntc_payments.conf import provider_registry
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent
from ntc_payments.services.announcing import announce_later
from ntc_payments.services.moves import lock_payment, move_attempt, move_payment, write_event
from ntc_payments.services.schedule import ask_soon_at, next_poll_at
from ntc_payments.transitions import (
    DEAD_ATTEMPTS,
    NOT_FOUND_LIMIT,
    WAITING_PAYMENTS,
    Decision,
    Reason,
    decide,
    sources_of,
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


def apply_observation(*, attempt_id: int, observation: Observation, source: Source) -> Decision:
    """Record the observation and, if the tables allow it, move the attempt and its payment.

    Safe to call any number of times, in any order, from anywhere at once.

    Returns:
        What was decided. `move_to` is None when nothing moved; `reason` says why.
    """
    with transaction.atomic():
        payment_id = PaymentAttempt.objects.values_list("payment_id", flat=True).get(pk=attempt_id)
        payment = lock_payment(payment_id)
        attempt = PaymentAttempt.objects.select_related("payment").get(pk=attempt_id)
        decision = _decide(attempt, observation, source)
        before = AttemptStatus(attempt.status)
        _count_not_found(attempt, observation)
        if decision.move_to is not None:
            _move(attempt, observation, decision.move_to)
        else:
            _learn(attempt, observation, decision)
        _record(payment, attempt, observation, source, decision, before)
        _follow(payment, attempt, before, decision, observation, source)
    return decision


def _decide(attempt: PaymentAttempt, observation: Observation, source: Source) -> Decision:
    money_matches = None if observation.money is None else observation.money == attempt.money
    known, told = attempt.provider_ref, observation.provider_ref
    return decide(
        current=AttemptStatus(attempt.status),
        claim=observation.claim,
        source=source,
        trust=observation.trust,
        money_matches=money_matches,
        reference_matches=not known or not told or known == told,
        not_found_is_final=_not_found_is_final(attempt),
    )


def _not_found_is_final(attempt: PaymentAttempt) -> bool:
    """Tell whether one more "not found" is enough: often enough, over the visibility window."""
    if attempt.sent_at is None or attempt.not_found_count + 1 < NOT_FOUND_LIMIT:
        return False
    window = provider_registry.get(attempt.provider).capabilities.poll_visibility_seconds
    return timezone.now() - attempt.sent_at >= timedelta(seconds=window)


def _count_not_found(attempt: PaymentAttempt, observation: Observation) -> None:
    if observation.claim is Claim.NOT_FOUND:
        attempt.not_found_count += 1
    elif observation.claim is Claim.NO_ANSWER:
        return  # silence neither confirms nor contradicts
    else:
        attempt.not_found_count = 0
    PaymentAttempt.objects.filter(pk=attempt.pk).update(not_found_count=attempt.not_found_count)


def _move(attempt: PaymentAttempt, observation: Observation, to: AttemptStatus) -> None:
    now = timezone.now()
    if to is AttemptStatus.CREATED:
        changes: dict[str, Any] = {"sent_at": None, "next_poll_at": None}
    else:
        sent_at = attempt.sent_at or now
        changes = {"sent_at": sent_at, "next_poll_at": next_poll_at(to, sent_at=sent_at, now=now)}
    changes["lease_until"] = None
    if observation.provider_ref and (not attempt.provider_ref or to is AttemptStatus.SUCCEEDED):
        changes["provider_ref"] = observation.provider_ref
    if to in DEAD_ATTEMPTS:
        changes["failure_code"] = (observation.failure_code or _DEFAULT_FAILURE[to]).value
        changes["failure_message"] = _short(observation.failure_message)
    elif to is AttemptStatus.SUCCEEDED:
        changes |= {"failure_code": "", "failure_message": ""}
    # The payment's lock makes `current` certain; the condition is the second belt.
    allowed = sources_of(to) & {AttemptStatus(attempt.status)}
    if not move_attempt(attempt, to=to, allowed=allowed, changes=changes):
        raise RuntimeError(f"Attempt {attempt.reference} moved although its payment is locked.")


def _learn(attempt: PaymentAttempt, observation: Observation, decision: Decision) -> None:
    """Keep what is useful although nothing moves."""
    changes: dict[str, Any] = {}
    if observation.provider_ref and not attempt.provider_ref and decision.reason is not Reason.HINT:
        changes["provider_ref"] = observation.provider_ref
    if decision.ask and attempt.status != AttemptStatus.CREATED:
        changes["next_poll_at"] = ask_soon_at(attempt, now=timezone.now())
    if changes:
        PaymentAttempt.objects.filter(pk=attempt.pk).update(updated_at=timezone.now(), **changes)


def _record(
    payment: Payment,
    attempt: PaymentAttempt,
    observation: Observation,
    source: Source,
    decision: Decision,
    before: AttemptStatus,
) -> None:
    money = observation.money
    write_event(
        payment=payment,
        attempt=attempt,
        kind=PaymentEvent.Kind.OBSERVATION,
        source=source.value,
        claim=observation.claim.value,
        applied=decision.move_to is not None,
        reason=decision.reason.value,
        from_status=before.value,
        to_status=(decision.move_to or before).value,
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
                "payment": str(payment.uid),
                "provider": attempt.provider,
                "reference": attempt.reference,
                "claim": observation.claim.value,
                "source": source.value,
                "reason": decision.reason.value,
            },
        )


def _follow(
    payment: Payment,
    attempt: PaymentAttempt,
    before: AttemptStatus,
    decision: Decision,
    observation: Observation,
    source: Source,
) -> None:
    """Let the payment follow its attempt, and write what the project will be told."""
    to = decision.move_to
    if to is AttemptStatus.SUCCEEDED:
        _settle(payment, attempt, late=before in DEAD_ATTEMPTS, source=source)
    elif to in DEAD_ATTEMPTS:
        _give_up(payment, attempt, source=source)
    elif to is not None and to is not AttemptStatus.CREATED:
        move_payment(
            payment,
            to=PaymentStatus.PROCESSING,
            allowed=[PaymentStatus.OPEN],
            source=source,
            attempt=attempt,
        )
    elif decision.reason is Reason.REFERENCE_MISMATCH:
        # The company charged twice under one reference of ours.
        announce_later(
            "payment_duplicate_charge",
            payment=payment,
            attempt=attempt,
            once_per=f"{attempt.pk}:{observation.provider_ref}",
        )


def _settle(payment: Payment, attempt: PaymentAttempt, *, late: bool, source: Source) -> None:
    """The money of one attempt is there: let it pay the payment, at most once."""
    if PaymentAttempt.objects.filter(payment=payment, settles=True).exists():
        log.error(
            "payment.duplicate_charge",
            extra={"payment": str(payment.uid), "reference": attempt.reference},
        )
        announce_later(
            "payment_duplicate_charge",
            payment=payment,
            attempt=attempt,
            once_per=f"{attempt.pk}:",
        )
        return
    attempt.settles = True
    attempt.save(update_fields=["settles"])
    late = late or not payment.is_waiting
    if late:
        announce_later("payment_late_success", payment=payment, attempt=attempt)
    # The policy for late money is to accept it: what was bought has no stock to run out.
    move_payment(
        payment,
        to=PaymentStatus.SUCCEEDED,
        allowed=[status for status in PaymentStatus if status is not PaymentStatus.SUCCEEDED],
        source=source,
        attempt=attempt,
        reason="late_success" if late else "",
    )
    announce_later("payment_succeeded", payment=payment, attempt=attempt)


def _give_up(payment: Payment, attempt: PaymentAttempt, *, source: Source) -> None:
    moved = move_payment(
        payment,
        to=PaymentStatus.FAILED,
        allowed=list(WAITING_PAYMENTS),
        source=source,
        attempt=attempt,
        reason=attempt.failure_code,
    )
    if moved:
        announce_later("payment_failed", payment=payment, attempt=attempt, once_per=str(attempt.pk))


def ask_now(attempt: PaymentAttempt, *, now: datetime) -> None:
    """Have the company asked by the next sweep."""
    PaymentAttempt.objects.filter(pk=attempt.pk).update(next_poll_at=ask_soon_at(attempt, now=now))


def _short(text: str) -> str:
    """Return the company's text as a column takes it, people in it masked."""
    return mask_people(text.replace("\x00", ""))[:LONGEST_FAILURE_MESSAGE]
