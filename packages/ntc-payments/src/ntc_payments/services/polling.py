"""Ask the company when nobody speaks, and look after what dead processes left."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.outbox import enqueue
from ntc_core.outbox.clock import database_now

from ntc_payments.conf import provider_registry
from ntc_payments.models import Break, CompanyExchange, Payment, PaymentAttempt
from ntc_payments.services.breaks import open_break
from ntc_payments.services.ending import expire_payment
from ntc_payments.services.exchanges import recorded
from ntc_payments.services.moves import lock_payment
from ntc_payments.services.observing import apply_observation, ask_now, undecided_key
from ntc_payments.services.paying_out import PAYOUT_CALLS
from ntc_payments.services.refunding import REFUND_CALLS
from ntc_payments.services.schedule import UNDECIDED_AFTER_SECONDS, can_be_asked, next_poll_at
from ntc_payments.transitions import LIVE_ATTEMPTS, WAITING_PAYMENTS
from ntc_payments.types import AttemptStatus, Claim, Observation, PaymentMethod, Source

__all__ = ["poll_attempt", "poll_due"]

log = logging.getLogger("ntc_payments")

#: Rows per sweep and kind: a sweep stays short, the next one is seconds away.
SWEEP_LIMIT = 200


def poll_due() -> int:
    """Plan the queries that are due, free dead calls, expire old payments, report the undecided.

    Of attempts, refunds and payouts.
    Talks to the database only; every query is a job of its own. Safe to run anywhere at once.

    Returns:
        How many rows were looked after.
    """
    now = database_now()
    attempts = _free_dead_calls(now) + _report_undecided(now) + _plan_polls(now)
    return attempts + _expire_payments(now) + REFUND_CALLS.sweep() + PAYOUT_CALLS.sweep()


def poll_attempt(*, attempt_id: int) -> None:
    """Ask the company what became of the attempt, outside any transaction; apply the answer."""
    attempt = PaymentAttempt.objects.get(pk=attempt_id)
    if attempt.status in {AttemptStatus.CREATED, AttemptStatus.SENDING}:
        return  # not sent, or the answer to the call itself is still to come
    if not can_be_asked(attempt.provider):
        return
    asked_at = database_now()
    try:
        for observation in _ask(attempt):
            apply_observation(attempt_id=attempt.pk, observation=observation, source=Source.POLL)
    finally:
        # Also after a mistake in the provider's code: it is not asked in a hurry.
        PaymentAttempt.objects.filter(pk=attempt.pk).update(last_polled_at=asked_at)


def _ask(attempt: PaymentAttempt) -> list[Observation]:
    provider = provider_registry.get(attempt.provider)
    try:
        with recorded(attempt, purpose=CompanyExchange.Purpose.QUERY):
            return provider.query(attempt.handle)
    except (HttpFailure, AnswerUnreadable) as error:
        log.warning(
            "payment.poll_failed",
            extra={
                "provider": attempt.provider,
                "reference": attempt.reference,
                "error": type(error).__name__,
            },
        )
        return [Observation(reference=attempt.reference, claim=Claim.NO_ANSWER)]


def _free_dead_calls(now: datetime) -> int:
    """A call whose lease ran out is `unknown`: it may have reached the company."""
    # By the database's clock, which also wrote the lease.
    dead = PaymentAttempt.objects.filter(
        status=AttemptStatus.SENDING, lease_until__lte=Now()
    ).order_by("payment_id")[:SWEEP_LIMIT]
    count = 0
    for attempt in dead:
        with transaction.atomic():
            apply_observation(
                attempt_id=attempt.pk,
                observation=Observation(reference=attempt.reference, claim=Claim.NO_ANSWER),
                source=Source.SYSTEM,
            )
            ask_now(attempt, now=now)
        count += 1
    return count


def _report_undecided(now: datetime) -> int:
    """Leave to a person what no query will decide any more. A late answer closes it.

    A number that nobody paid on ends quietly.
    """
    silent = (
        PaymentAttempt.objects.filter(
            status__in=[AttemptStatus.PENDING, AttemptStatus.UNKNOWN],
            sent_at__lte=now - timedelta(seconds=UNDECIDED_AFTER_SECONDS),
            payment__expires_at__lte=now,
        )
        .exclude(breaks__kind=Break.Kind.UNDECIDED)
        .order_by("pk")[:SWEEP_LIMIT]
    )
    return sum(_report_if_undecided(attempt) for attempt in silent)


def _report_if_undecided(attempt: PaymentAttempt) -> bool:
    with transaction.atomic():
        # Nobody may decide it between this look and the break.
        payment = lock_payment(attempt.payment_id)
        status = PaymentAttempt.objects.values_list("status", flat=True).get(pk=attempt.pk)
        if status not in LIVE_ATTEMPTS:
            return False
        if attempt.method == PaymentMethod.CONTROL_NUMBER and status == AttemptStatus.PENDING:
            # No prompt, no page: that it was given out and not used is no question to anybody.
            return _lapse(attempt, payment)
        open_break(
            kind=Break.Kind.UNDECIDED,
            dedupe_key=undecided_key(attempt.pk),
            provider=attempt.provider,
            detail=f"Still {status} after the last query. See the company's dashboard.",
            money=attempt.money,
            payment=payment,
            attempt=attempt,
        )
    return True


def _lapse(attempt: PaymentAttempt, payment: Payment) -> bool:
    if payment.is_waiting:
        return False  # it expires first, and is announced as that
    apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(reference=attempt.reference, claim=Claim.LAPSED),
        source=Source.SYSTEM,
    )
    return True


def _plan_polls(now: datetime) -> int:
    # A status that only newer code knows is left to newer code.
    due = PaymentAttempt.objects.filter(
        status__in=list(AttemptStatus), next_poll_at__lte=now
    ).order_by("next_poll_at")
    return sum(_plan_poll(attempt, now) for attempt in due[:SWEEP_LIMIT])


def _plan_poll(attempt: PaymentAttempt, now: datetime) -> bool:
    askable = can_be_asked(attempt.provider)
    following = None
    if askable:
        following = next_poll_at(
            AttemptStatus(attempt.status), sent_at=attempt.sent_at or attempt.created_at, now=now
        )
    with transaction.atomic():
        planned = PaymentAttempt.objects.filter(
            pk=attempt.pk, next_poll_at=attempt.next_poll_at, polls=attempt.polls
        ).update(next_poll_at=following, polls=F("polls") + int(askable))
        if planned and askable:
            number = attempt.polls + 1
            enqueue("ntc_payments.poll_attempt", attempt.pk, dedupe_key=f"{attempt.pk}:{number}")
    return bool(planned)


def _expire_payments(now: datetime) -> int:
    old = Payment.objects.filter(status__in=WAITING_PAYMENTS, expires_at__lte=now)
    ids = list(old.order_by("expires_at").values_list("pk", flat=True)[:SWEEP_LIMIT])
    return sum(expire_payment(payment_id=pk) for pk in ids)
