"""Apply what a source says about an attempt: response, webhook, poll, statement, staff.

One function, one transaction: the history, the transition and its effects commit together
or not at all. No call to another company happens in here.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from ntc_core.outbox.clock import database_now

from ntc_payments.conf import provider_registry
from ntc_payments.models import Break, PaymentAttempt, PaymentEvent, SecondCharge
from ntc_payments.services.booking import Case, book_fee, open_case_break, told_fee
from ntc_payments.services.breaks import resolve_breaks
from ntc_payments.services.consequences import announce_later
from ntc_payments.services.moves import (
    kept_message,
    lock_payment,
    move_attempt,
    move_payment,
    write_event,
)
from ntc_payments.services.once_more import once_more_if_lost
from ntc_payments.services.schedule import ask_soon_at, can_be_asked, next_poll_at
from ntc_payments.services.settling import (
    contradict,
    reverse,
    settle,
    take_mismatch,
    take_second_charge,
)
from ntc_payments.transitions import (
    CONFIRMING_SOURCES,
    DEAD_ATTEMPTS,
    LIVE_ATTEMPTS,
    MONEY_CLAIMS,
    NOT_FOUND_LIMIT,
    PAID_ATTEMPTS,
    WAITING_PAYMENTS,
    Decision,
    Reason,
    decide,
)
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    FailureCode,
    Observation,
    PaymentStatus,
    Source,
)

__all__ = ["apply_observation", "ask_now", "undecided_key"]

log = logging.getLogger("ntc_payments")

_DEFAULT_FAILURE = {
    AttemptStatus.REJECTED: FailureCode.PROVIDER_REFUSED,
    AttemptStatus.FAILED: FailureCode.OTHER,
    AttemptStatus.EXPIRED: FailureCode.NOT_RECEIVED,
}


def apply_observation(*, attempt_id: int, observation: Observation, source: Source) -> Decision:
    """Record the observation and, if the tables allow it, move the attempt and its payment.

    Safe to call any number of times, in any order, from anywhere at once. A transaction that
    PostgreSQL gives up (deadlock, serialization) is done once more, unless it is part of the
    caller's.

    Returns:
        What was decided last. `move_to` is None when nothing moved; `reason` says why.
    """
    return once_more_if_lost(lambda: _apply(attempt_id, observation, source))


@transaction.atomic
def _apply(attempt_id: int, observation: Observation, source: Source) -> Decision:
    payment_id = PaymentAttempt.objects.values_list("payment_id", flat=True).get(pk=attempt_id)
    payment = lock_payment(payment_id)
    attempt = PaymentAttempt.objects.get(pk=attempt_id)
    attempt.payment = payment
    case = Case(
        payment=payment,
        attempt=attempt,
        before=AttemptStatus(attempt.status),
        observation=observation,
        source=source,
    )
    decision = _decide(case)
    if observation.claim is Claim.REVERSED and decision.move_to is AttemptStatus.SUCCEEDED:
        # What went back had come: the success has its own line and its own effects.
        _carry_out(replace(case, observation=replace(observation, claim=Claim.SUCCESS)), decision)
        case = replace(case, before=AttemptStatus.SUCCEEDED)
        decision = _decide(case)
    _carry_out(case, decision)
    return decision


def _carry_out(case: Case, decision: Decision) -> None:
    _count_not_found(case)
    if decision.move_to is not None:
        _move(case, decision.move_to)
    else:
        _learn(case, decision)
    _record(case, decision)
    _follow(case, decision)


def _decide(case: Case) -> Decision:
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
    """Tell whether the company's reference belongs to another attempt already.

    As its charge, or as a second one that came under it.
    """
    named = {"provider": attempt.provider, "provider_ref": provider_ref}
    charges = PaymentAttempt.objects.exclude(pk=attempt.pk).filter(**named).values("pk")
    seconds = SecondCharge.objects.exclude(attempt=attempt).filter(**named).values("pk")
    return charges.union(seconds).exists()


def _not_found_is_final(attempt: PaymentAttempt) -> bool:
    """Tell whether one more "not found" is enough: often enough, over the visibility window."""
    if attempt.sent_at is None or attempt.not_found_count + 1 < NOT_FOUND_LIMIT:
        return False
    window = provider_registry.get(attempt.provider).capabilities.poll_visibility_seconds
    return database_now() - attempt.sent_at >= timedelta(seconds=window)


def _count_not_found(case: Case) -> None:
    """Keep how many "not found" came in a row; silence neither adds nor interrupts."""
    attempt = case.attempt
    if case.observation.claim is Claim.NO_ANSWER:
        return
    is_absent = case.observation.claim is Claim.NOT_FOUND
    count = attempt.not_found_count + 1 if is_absent else 0
    if count != attempt.not_found_count:
        attempt.not_found_count = count
        PaymentAttempt.objects.filter(pk=attempt.pk).update(not_found_count=count)


def _move(case: Case, to: AttemptStatus) -> None:
    attempt, observation = case.attempt, case.observation
    sent_at = None if to is AttemptStatus.CREATED else attempt.sent_at or database_now()
    changes: dict[str, Any] = {
        "sent_at": sent_at,
        "lease_until": None,
        "next_poll_at": None,
    }
    if sent_at and to not in PAID_ATTEMPTS and can_be_asked(attempt.provider):
        changes["next_poll_at"] = next_poll_at(to, sent_at=sent_at, now=database_now())
    if (fee := told_fee(case)) is not None:
        changes["fee_minor"] = fee
    if observation.provider_ref and (not attempt.provider_ref or to is AttemptStatus.SUCCEEDED):
        changes["provider_ref"] = observation.provider_ref
    if to in DEAD_ATTEMPTS:
        changes["failure_code"] = (observation.failure_code or _DEFAULT_FAILURE[to]).value
        changes["failure_message"] = kept_message(observation.failure_message)
    elif to is AttemptStatus.SUCCEEDED:
        changes |= {
            "failure_code": "",
            "failure_message": "",
            "captured_minor": attempt.amount_minor,
        }
    # The payment's lock makes `before` certain; the condition is the second belt.
    if not move_attempt(attempt, to=to, allowed=[case.before], changes=changes):
        raise RuntimeError(f"Attempt {attempt.reference} moved although its payment is locked.")


def _learn(case: Case, decision: Decision) -> None:
    """Keep what is useful although nothing moves."""
    attempt, observation = case.attempt, case.observation
    changes: dict[str, Any] = {}
    if decision.reason is Reason.NO_CHANGE:
        if observation.provider_ref and not attempt.provider_ref:
            changes["provider_ref"] = observation.provider_ref
        if (fee := told_fee(case)) is not None:
            changes["fee_minor"] = attempt.fee_minor = fee
            book_fee(attempt)
    is_sent = case.before is not AttemptStatus.CREATED
    if decision.ask and is_sent and can_be_asked(attempt.provider):
        changes["next_poll_at"] = ask_soon_at(attempt, now=database_now())
    if changes:
        PaymentAttempt.objects.filter(pk=attempt.pk).update(updated_at=timezone.now(), **changes)


def _record(case: Case, decision: Decision) -> None:
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
        failure_message=kept_message(observation.failure_message),
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


def _follow(case: Case, decision: Decision) -> None:
    """Let the payment and the books follow, and write what the project will be told."""
    to = decision.move_to
    if to is None:
        _follow_unmoved(case, decision)
        return
    if to is AttemptStatus.SUCCEEDED:
        settle(case)
    elif to is AttemptStatus.REVERSED:
        reverse(case)
    elif to in DEAD_ATTEMPTS:
        _give_up(case)
    elif to is not AttemptStatus.CREATED:
        move_payment(
            case.payment,
            to=PaymentStatus.PROCESSING,
            allowed=[PaymentStatus.OPEN],
            source=case.source,
            attempt=case.attempt,
        )
    if to not in LIVE_ATTEMPTS:
        questions = [undecided_key(case.attempt.pk), _amount_missing_key(case.attempt.pk)]
        resolve_breaks(f"The company answered: {to.value}.", dedupe_key__in=questions)


def _follow_unmoved(case: Case, decision: Decision) -> None:
    claim, reason = case.observation.claim, decision.reason
    if reason is Reason.AMOUNT_MISMATCH:
        take_mismatch(case)
    elif reason is Reason.REFERENCE_MISMATCH:
        take_second_charge(case)
    elif reason is Reason.CONTRADICTION:
        contradict(case)
    elif _lacks_amount(case, reason):
        # Asked, it says "paid" and not how much: no later question will tell more.
        open_case_break(
            case,
            kind=Break.Kind.INTEGRITY,
            dedupe_key=_amount_missing_key(case.attempt.pk),
            detail=f"The company says {claim.value} and names no amount; {case.attempt.money} was "
            "asked for. See its dashboard.",
            money=case.attempt.money,
        )
    elif reason is Reason.REFERENCE_TAKEN and claim in MONEY_CLAIMS:
        open_case_break(
            case,
            kind=Break.Kind.INTEGRITY,
            dedupe_key=f"taken:attempt:{case.attempt.pk}:{case.observation.provider_ref}",
            detail="The company names a transaction that belongs to another attempt.",
            money=case.observation.money,
        )
    elif reason is Reason.NEEDS_CONFIRMATION and not can_be_asked(case.attempt.provider):
        open_case_break(
            case,
            kind=Break.Kind.LATE_SUCCESS,
            dedupe_key=f"late_success:attempt:{case.attempt.pk}",
            detail="Said to have failed, then to be paid, by a company that cannot be asked.",
            money=case.observation.money,
        )
    elif reason is Reason.NO_CHANGE and _confirms_payment(case):
        resolve_breaks(
            f"Confirmed as paid by {case.source.value}.",
            attempt=case.attempt,
            kind=Break.Kind.CONTRADICTION,
        )


def _lacks_amount(case: Case, reason: Reason) -> bool:
    is_answer = reason is Reason.AMOUNT_MISSING and case.source is Source.POLL
    return is_answer and case.before not in PAID_ATTEMPTS


def _confirms_payment(case: Case) -> bool:
    is_paid = case.before is AttemptStatus.SUCCEEDED
    says_paid = case.observation.claim is Claim.SUCCESS
    return is_paid and says_paid and case.source in CONFIRMING_SOURCES


def _give_up(case: Case) -> None:
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


def undecided_key(attempt_id: int) -> str:
    """Return the name of the break about an attempt that nobody decided."""
    return f"undecided:attempt:{attempt_id}"


def _amount_missing_key(attempt_id: int) -> str:
    return f"integrity:attempt:{attempt_id}:no_amount"


def ask_now(attempt: PaymentAttempt, *, now: datetime) -> None:
    """Have the company asked by the next sweep, if it can be asked at all."""
    if not can_be_asked(attempt.provider):
        return
    PaymentAttempt.objects.filter(pk=attempt.pk).update(next_poll_at=ask_soon_at(attempt, now=now))
