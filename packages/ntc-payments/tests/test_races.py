"""Many at once, on PostgreSQL: whatever the order, one effect."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services, signals
from ntc_payments.errors import AttemptInProgress, CannotCancel, CannotRetry, PromptWaiting
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent
from ntc_payments.types import Claim, Observation, Source

from tests.books import balances
from tests.test_inbox import URL, event_of, sign
from tests.test_observing import require_lawful_history

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

THREADS = 16


@pytest.fixture
def seed():
    """Print the seed, so that a failing run can be run again."""
    value = random.SystemRandom().randrange(2**32)
    print(f"seed={value}")  # noqa: T201 - shown by pytest when the test fails
    return random.Random(value)  # noqa: S311 - shuffles, guards nothing


@pytest.fixture
def succeeded():
    """Count payment_succeeded per payment, as a project would see it."""
    counter: Counter[int] = Counter()
    lock = threading.Lock()

    def receiver(*, payment, **_):
        with lock:
            counter[payment.pk] += 1

    signals.payment_succeeded.connect(receiver)
    yield counter
    signals.payment_succeeded.disconnect(receiver)


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run the calls in THREADS threads that start together; return results or exceptions."""
    barrier = threading.Barrier(min(THREADS, len(calls)))
    begun = threading.local()

    def run(call: Callable[[], Any]) -> Any:
        if not getattr(begun, "yes", False):
            begun.yes = True
            barrier.wait(timeout=20)
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - the result of the race is what we look at
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=barrier.parties) as pool:
        return list(pool.map(run, calls))


def pay_for(start: Callable[..., Payment], count: int) -> list[PaymentAttempt]:
    """Return attempts that wait on the phone, without having called anybody."""
    payer = make_user()
    for number in range(count):
        start(payer=payer, idempotency_key=f"race-{number}")
    PaymentAttempt.objects.update(status="pending")
    Payment.objects.update(status="processing")
    OutboxJob.objects.all().delete()
    return list(PaymentAttempt.objects.select_related("payment"))


def poster(simulator: Any, event: dict[str, Any]) -> Callable[[], int]:
    """Return a call that delivers the event through the real view."""
    body = json.dumps(event).encode()
    timestamp = str(int(event["created_at"]))
    headers = {
        "X-Simulator-Timestamp": timestamp,
        "X-Simulator-Signature": sign(
            simulator.options["webhook_secret"], timestamp=timestamp, body=body
        ),
    }
    return lambda: Client().post(URL, body, "application/json", headers=headers).status_code


def run_jobs_at_once() -> None:
    """Let THREADS workers drain the outbox together."""
    at_once([run_due_jobs] * THREADS)
    run_due_jobs()


def test_parallel_duplicate_webhooks_have_one_effect(start, simulator, succeeded, seed):
    """30 payments, 16 deliveries each, 16 connections, 16 workers."""
    attempts = pay_for(start, 30)
    deliveries = [
        poster(simulator, event)
        for event in [event_of(attempt, transaction_id=attempt.reference) for attempt in attempts]
        for _ in range(16)
    ]
    seed.shuffle(deliveries)

    answers = at_once(deliveries)
    run_jobs_at_once()

    assert set(answers) == {200}
    assert WebhookEvent.objects.filter(state="processed").count() == 30
    assert succeeded == {attempt.payment_id: 1 for attempt in attempts}
    assert PaymentAttempt.objects.filter(settles=True).count() == 30
    assert Payment.objects.filter(status="succeeded").count() == 30
    assert not OutboxJob.objects.exclude(state="done").exists()


def test_one_fact_under_eight_event_ids_has_one_effect(start, simulator, succeeded, seed):
    """Dedupe by event id alone would have eight."""
    attempts = pay_for(start, 20)
    deliveries = [
        poster(simulator, event_of(attempt, transaction_id=attempt.reference))
        for attempt in attempts
        for _ in range(8)
    ]
    seed.shuffle(deliveries)

    at_once(deliveries)
    run_jobs_at_once()

    assert WebhookEvent.objects.filter(state="processed").count() == 160
    assert succeeded == {attempt.payment_id: 1 for attempt in attempts}
    assert PaymentEvent.objects.filter(claim="success", applied=True).count() == 20


def test_webhook_poll_and_cancel_race_without_loss(start, succeeded, seed):
    """Failure, success, poll and the payer's cancel at the same moment, 40 times."""
    attempts = pay_for(start, 40)

    def observe(attempt: PaymentAttempt, claim: Claim, source: Source) -> Callable[[], Any]:
        observation = Observation(
            reference=attempt.reference,
            claim=claim,
            money=attempt.money,
            provider_ref=attempt.reference,
        )
        return lambda: services.apply_observation(
            attempt_id=attempt.pk, observation=observation, source=source
        )

    calls: list[Callable[[], Any]] = []
    for attempt in attempts:
        calls += [
            observe(attempt, Claim.FAILURE, Source.WEBHOOK),
            observe(attempt, Claim.SUCCESS, Source.POLL),
            observe(attempt, Claim.ACCEPTED, Source.WEBHOOK),
            lambda payment=attempt.payment: services.cancel_payment(payment=payment),
        ]
    seed.shuffle(calls)

    results = at_once(calls)
    run_jobs_at_once()

    unexpected = [
        result
        for result in results
        if isinstance(result, Exception) and not isinstance(result, CannotCancel)
    ]
    assert unexpected == []
    assert succeeded == {attempt.payment_id: 1 for attempt in attempts}
    for payment in Payment.objects.all():
        assert payment.status == "succeeded"
        require_lawful_history(payment)


def test_equal_starts_at_once_are_one_payment(start):
    """A double click, a retrying client: one payment, one attempt, one call."""
    payer = make_user()

    results = at_once([lambda: start(payer=payer, idempotency_key="same")] * THREADS)

    assert {type(result) for result in results} == {Payment}
    assert len({result.pk for result in results}) == 1
    assert PaymentAttempt.objects.count() == 1
    assert OutboxJob.objects.count() == 1


def test_equal_purchases_at_once_are_one_prompt(start):
    """The same double click from a client that sends no key of its own."""
    payer = make_user()

    results = at_once([lambda: start(payer=payer, purpose="plan")] * THREADS)

    kinds = Counter(type(result) for result in results)
    assert kinds == {Payment: 1, AttemptInProgress: THREADS - 1}
    assert PaymentAttempt.objects.count() == 1


def test_a_phone_asked_for_by_many_at_once_has_three_prompts(start, settings):
    """Sixteen accounts, one phone; then one account, sixteen phones."""
    del settings.NTC_PAYMENT_MAX_LIVE_PER_PHONE
    payer = make_user()
    payers = [make_user() for _ in range(THREADS)]

    one_phone = at_once([lambda user=user: start(payer=user) for user in payers])
    one_payer = at_once(
        [lambda n=n: start(payer=payer, phone=f"0755 000 1{n:02}") for n in range(THREADS)]
    )

    for results in (one_phone, one_payer):
        kinds = Counter(type(result) for result in results)
        assert kinds == {Payment: 3, PromptWaiting: THREADS - 3}


def test_retries_at_once_are_one_attempt(start):
    """The others are told that one is under way."""
    [attempt] = pay_for(start, 1)
    services.apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(reference=attempt.reference, claim=Claim.FAILURE),
        source=Source.WEBHOOK,
    )

    results = at_once([lambda: services.retry_payment(payment=attempt.payment)] * THREADS)

    kinds = Counter(type(result) for result in results)
    assert kinds == {Payment: 1, AttemptInProgress: THREADS - 1} or kinds == {
        Payment: 1,
        CannotRetry: THREADS - 1,
    }
    assert PaymentAttempt.objects.count() == 2


def test_workers_at_once_call_the_company_once(start, simulator):
    """The same job run by sixteen workers: one prompt."""
    attempt = start().attempts.get()

    at_once([lambda: services.send_attempt(attempt_id=attempt.pk)] * THREADS)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.sends) == ("pending", 1)
    assert len(simulator.prompts_of(attempt.reference)) == 1


def test_sweeps_at_once_ask_once(start, simulator):
    """Sixteen beats: one query."""
    attempts = pay_for(start, 5)
    PaymentAttempt.objects.update(next_poll_at=attempts[0].created_at)

    at_once([services.poll_due] * THREADS)

    assert OutboxJob.objects.filter(task="ntc_payments.poll_attempt").count() == 5
    assert set(PaymentAttempt.objects.values_list("polls", flat=True)) == {1}


def test_cancel_against_send_never_leaves_a_live_prompt_unwatched(start, simulator):
    """Either nothing is sent, or what was sent is withdrawn."""
    payments = [start() for _ in range(12)]
    calls: list[Callable[[], Any]] = []
    for payment in payments:
        attempt = payment.attempts.get()
        calls += [
            lambda pk=attempt.pk: services.send_attempt(attempt_id=pk),
            lambda payment=payment: services.cancel_payment(payment=payment),
        ]

    results = at_once(calls)
    for _ in range(3):
        run_due_jobs()
        services.poll_due()
    run_due_jobs()

    assert not [result for result in results if isinstance(result, Exception)]
    for payment in payments:
        payment.refresh_from_db()
        attempt = payment.attempts.get()
        prompts = simulator.prompts_of(attempt.reference)
        assert payment.status == "canceled"
        if prompts:
            assert (attempt.status, prompts[0]["status"]) == ("failed", "CANCELED")
        else:
            assert attempt.status == "rejected"


def test_second_charges_and_reversals_at_once_are_booked_once(start, seed):
    """Two transactions of the company under one reference, one of them taken back again."""
    attempts = pay_for(start, 12)

    def observe(attempt: PaymentAttempt, claim: Claim, ref: str) -> Callable[[], Any]:
        observation = Observation(
            reference=attempt.reference,
            claim=claim,
            money=attempt.money,
            provider_ref=f"{ref}-{attempt.pk}",
        )
        return lambda: services.apply_observation(
            attempt_id=attempt.pk, observation=observation, source=Source.POLL
        )

    calls = [
        observe(attempt, claim, ref)
        for attempt in attempts
        for claim, ref in [
            *[(Claim.SUCCESS, "T1")] * 3,
            *[(Claim.SUCCESS, "T2")] * 3,
            *[(Claim.REVERSED, "T2")] * 2,
        ]
    ]
    seed.shuffle(calls)

    results = at_once(calls)

    assert not [result for result in results if isinstance(result, Exception)]
    held = sum(attempt.amount_minor for attempt in attempts)
    assert balances()["provider:simulator"] == held
    # Which of the two came first is chance; what is left of both is one charge.
    for attempt in PaymentAttempt.objects.all():
        assert attempt.captured_minor == attempt.amount_minor
    assert PaymentAttempt.objects.filter(settles=True).count() == 12
