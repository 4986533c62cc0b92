"""Ask the company when nobody speaks, and look after what dead processes left."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.outbox import enqueue

from ntc_payments.conf import provider_registry
from ntc_payments.models import Payment, PaymentAttempt
from ntc_payments.services.ending import expire_payment
from ntc_payments.services.observing import apply_observation, ask_now
from ntc_payments.services.schedule import next_poll_at
from ntc_payments.transitions import WAITING_PAYMENTS
from ntc_payments.types import AttemptStatus, Claim, Observation, Source

__all__ = ["poll_attempt", "poll_due"]

log = logging.getLogger("ntc_payments")

#: Rows per sweep and kind: a sweep stays short, the next one is seconds away.
SWEEP_LIMIT = 200


def poll_due() -> int:
    """Plan the queries that are due, free dead calls, expire old payments.

    Talks to the database only; every query is a job of its own. Safe to run anywhere at once.

    Returns:
        How many rows were looked after.
    """
    now = timezone.now()
    return _free_dead_calls(now) + _plan_polls(now) + _expire_payments(now)


def poll_attempt(*, attempt_id: int) -> None:
    """Ask the company what became of the attempt, outside any transaction; apply the answer."""
    attempt = PaymentAttempt.objects.get(pk=attempt_id)
    if attempt.status in {AttemptStatus.CREATED, AttemptStatus.SENDING}:
        return  # not sent, or the answer to the call itself is still to come
    asked_at = timezone.now()
    try:
        for observation in _ask(attempt):
            apply_observation(attempt_id=attempt.pk, observation=observation, source=Source.POLL)
    finally:
        # Also after a mistake in the provider's code: it is not asked in a hurry.
        PaymentAttempt.objects.filter(pk=attempt.pk).update(last_polled_at=asked_at)


def _ask(attempt: PaymentAttempt) -> list[Observation]:
    provider = provider_registry.get(attempt.provider)
    try:
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


def _plan_polls(now: datetime) -> int:
    due = PaymentAttempt.objects.filter(next_poll_at__lte=now).order_by("next_poll_at")
    return sum(_plan_poll(attempt, now) for attempt in due[:SWEEP_LIMIT])


def _plan_poll(attempt: PaymentAttempt, now: datetime) -> bool:
    following = next_poll_at(
        AttemptStatus(attempt.status), sent_at=attempt.sent_at or attempt.created_at, now=now
    )
    with transaction.atomic():
        planned = PaymentAttempt.objects.filter(
            pk=attempt.pk, next_poll_at=attempt.next_poll_at, polls=attempt.polls
        ).update(next_poll_at=following, polls=F("polls") + 1)
        if planned:
            number = attempt.polls + 1
            enqueue("ntc_payments.poll_attempt", attempt.pk, dedupe_key=f"{attempt.pk}:{number}")
    if planned and following is None and attempt.is_live:
        # This was the last query of the schedule; if it brings nothing, a person decides.
        log.error(
            "payment.attempt_undecided",
            extra={
                "provider": attempt.provider,
                "reference": attempt.reference,
                "status": attempt.status,
            },
        )
    return bool(planned)


def _expire_payments(now: datetime) -> int:
    old = Payment.objects.filter(status__in=WAITING_PAYMENTS, expires_at__lte=now)
    ids = list(old.order_by("expires_at").values_list("pk", flat=True)[:SWEEP_LIMIT])
    return sum(expire_payment(payment_id=pk) for pk in ids)
