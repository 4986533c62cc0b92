"""The fault matrix, row by row; docs/guides/faults.md says which row is what.

Real PostgreSQL, a company over sockets, real processes that are killed. After each row the
invariants hold. Each row runs in a quick and in a full size.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from ntc_core.money import Money
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services
from ntc_payments.models import Break, LedgerEntry, Payment, PaymentAttempt, Payout, Refund
from ntc_payments.simulator.companies.pretend import sign
from ntc_payments.types import Claim, Observation, Source

from tests.cashier import cashier
from tests.faults.conftest import repeated
from tests.faults.invariants import require_invariants
from tests.faults.scene import (
    deliver,
    die_before_commit,
    kill_worker,
    serving,
    settle_down,
    wait_until,
    worker,
)
from tests.test_inbox import URL, event_of
from tests.test_races import at_once
from tests.test_refunds import options

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def require_all(scene: Any) -> None:
    settle_down()
    require_invariants(company="simulator", books=scene.books()["simulator"])


def lose_patience(settings: Any, scene: Any) -> None:
    """Let our calls end after a second: the company will hang."""
    options = {**scene.options, "total_timeout_seconds": 1}
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": options}


def find_patience(settings: Any, scene: Any) -> None:
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": scene.options}


def approve_everything(scene: Any) -> None:
    for prompt in scene.prompts():
        scene.approve(reference=prompt["reference"])


def signed(scene: Any, event: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Return a webhook's body and proof, as the company sends them."""
    body = json.dumps(event).encode()
    timestamp = str(int(time.time()))
    return body, {
        "X-Simulator-Timestamp": timestamp,
        "X-Simulator-Signature": sign(
            scene.options["webhook_secret"], timestamp=timestamp, body=body
        ),
    }


# K, processes that are killed.


@repeated(1, 50)
def test_k1_killed_before_the_attempt_is_committed(scene, settings, repeats):
    """No row, no call; the same key works afterwards."""
    payer = make_user()
    for number in range(repeats):
        die_before_commit(settings, payer.pk, f"k1-{number}")
    assert not Payment.objects.exists()

    for number in range(repeats):
        services.start_payment(
            payer=payer,
            money=Money.from_major("15000", "TZS"),
            method="mobile_push",
            phone="0712345678",
            purpose=f"k1-{number}",
            description="Plan",
            idempotency_key=f"k1-{number}",
        )
    run_due_jobs()
    approve_everything(scene)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@repeated(1, 50)
def test_k2_killed_before_the_socket(scene, buy, settings, repeats):
    """Unknown, not found for long enough, over; a new attempt is the only prompt."""
    for _ in range(repeats):
        buy()
        kill_worker(settings, NTC_FAILPOINT="payments.sending_committed")
        settle_down(rounds=1)
    PaymentAttempt.objects.update(sent_at=timezone.now() - timedelta(seconds=60))
    settle_down()
    assert Payment.objects.filter(status="failed").count() == repeats

    for payment in Payment.objects.all():
        services.retry_payment(payment=payment)
    settle_down(rounds=1)
    approve_everything(scene)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@repeated(1, 50)
def test_k3_killed_between_the_bytes_and_the_answer(scene, buy, settings, repeats):
    """SIGKILL while the company thinks: unknown, asked about, paid, one prompt."""
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": {**scene.options, "total_timeout_seconds": 30}}
    for _ in range(repeats):
        scene.turn_dial(start="hang_after", hang_seconds=30)
        attempt = buy().attempts.get()
        process = worker(settings)
        wait_until(lambda reference=attempt.reference: scene.prompts_of(reference))
        process.kill()
        process.communicate(timeout=20)
        scene.turn_dial()
        scene.approve(reference=attempt.reference)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats
    assert not PaymentAttempt.objects.exclude(sends=1).exists()


@repeated(1, 50)
def test_k4_killed_with_the_answer_in_hand(scene, buy, settings, repeats):
    for _ in range(repeats):
        buy()
        kill_worker(settings, NTC_FAILPOINT="payments.answer_received")
    approve_everything(scene)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats
    assert not PaymentAttempt.objects.exclude(sends=1).exists()


@repeated(1, 50)
def test_k5_web_killed_between_commit_and_answer(scene, buy, settings, repeats):
    """The company hears nothing and tells it again: one effect."""
    for _ in range(repeats):
        buy()
    run_due_jobs()
    approve_everything(scene)
    messages = [
        signed(scene, event_of(attempt)) for attempt in PaymentAttempt.objects.order_by("pk")
    ]
    for body, headers in messages:
        with serving(settings, NTC_FAILPOINT="webhook.committed") as site:
            assert deliver(site + URL, body, headers) is None
    with serving(settings) as site:
        answers = {deliver(site + URL, body, headers) for body, headers in messages}

    assert answers == {200}
    assert WebhookEvent.objects.count() == repeats
    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@repeated(1, 50)
def test_k6_killed_between_the_effect_and_what_follows_it(scene, buy, settings, repeats):
    """The worker that applied the webhook dies before the announcement runs: another does it."""
    for _ in range(repeats):
        attempt = buy().attempts.get()
        run_due_jobs()
        scene.approve(reference=attempt.reference)
        attempt.refresh_from_db()
        body, headers = signed(scene, event_of(attempt))
        with serving(settings) as site:
            assert deliver(site + URL, body, headers) == 200
        kill_worker(settings, WORKER_JOBS="1")
        waiting = OutboxJob.objects.filter(task="ntc_payments.announce", state="queued")
        assert waiting.exists()

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@repeated(2, 100)
def test_k7_every_job_runs_twice(scene, buy, repeats):
    """As after a worker that died between the effect and its acknowledgement."""
    for _ in range(repeats):
        buy()
    settle_down(rounds=1)
    approve_everything(scene)
    settle_down()
    OutboxJob.objects.update(state="queued", lease_until=None)
    run_due_jobs()

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


# W, the webhooks.


@repeated(4, 200)
def test_w1_same_webhook_fifty_times_in_parallel(scene, buy, settings, dice, repeats):
    for _ in range(repeats):
        buy()
    run_due_jobs()
    approve_everything(scene)
    messages = [signed(scene, event_of(attempt)) for attempt in PaymentAttempt.objects.all()] * 50
    dice.shuffle(messages)

    with serving(settings) as site:
        answers = at_once(
            [
                lambda body=body, headers=headers: deliver(site + URL, body, headers)
                for body, headers in messages
            ]
        )
    at_once([run_due_jobs] * 16)

    assert set(answers) == {200}
    assert WebhookEvent.objects.count() == repeats
    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@repeated(4, 200)
def test_w2_one_fact_under_eight_event_ids(scene, buy, settings, dice, repeats):
    for _ in range(repeats):
        buy()
    run_due_jobs()
    approve_everything(scene)
    messages = [
        signed(scene, event_of(attempt))
        for attempt in PaymentAttempt.objects.all()
        for _ in range(8)
    ]
    dice.shuffle(messages)

    with serving(settings) as site:
        at_once(
            [
                lambda body=body, headers=headers: deliver(site + URL, body, headers)
                for body, headers in messages
            ]
        )
    at_once([run_due_jobs] * 16)

    assert WebhookEvent.objects.count() == 8 * repeats
    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@repeated(2, 100)
def test_w4_webhook_that_beats_our_commit(scene, buy, settings, repeats):
    """The company says "paid" before we have written that it answered at all."""
    lose_patience(settings, scene)
    for _ in range(repeats):
        attempt = buy().attempts.get()
        scene.turn_dial(start="hang_after", hang_seconds=1.5)
        run_due_jobs()
        scene.turn_dial()
        scene.approve(reference=attempt.reference)
        [prompt] = scene.prompts_of(attempt.reference)
        body, headers = signed(scene, event_of(attempt, transaction_id=prompt["transaction_id"]))
        with serving(settings) as site:
            assert deliver(site + URL, body, headers) == 200
    find_patience(settings, scene)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@pytest.mark.parametrize("policy", ["accept", "hold", "auto_refund"])
@repeated(1, 100)
def test_w5_success_after_the_end(scene, buy, settings, repeats, policy):
    """After cancel and after expiry: the money is booked at once, then the policy."""
    settings.NTC_PAYMENT_LATE_SUCCESS_POLICY = policy
    # The prompts stay on the phones: the company does not hear that nobody waits any more.
    scene.turn_dial(cancel="error_before")
    for number in range(2 * repeats):
        payment = buy()
        run_due_jobs()
        if number % 2:
            services.cancel_payment(payment=payment)
        else:
            Payment.objects.filter(pk=payment.pk).update(
                expires_at=timezone.now() - timedelta(seconds=1)
            )
            PaymentAttempt.objects.filter(payment=payment).update(last_polled_at=timezone.now())
            services.poll_due()
    run_due_jobs()
    approve_everything(scene)
    scene.turn_dial()

    require_all(scene)
    took = LedgerEntry.objects.filter(transaction__kind__in=["capture", "late_capture"])
    assert took.count() == 2 * 2 * repeats
    if policy == "hold":
        assert Break.objects.filter(kind="late_success").count() == 2 * repeats
    if policy == "accept":
        assert Payment.objects.filter(status="succeeded").count() == 2 * repeats


@repeated(1, 20)
def test_w6_forged_altered_replayed_and_oversized(scene, buy, settings, repeats):
    """Nothing moves, and no body is kept."""
    attempt = buy().attempts.get()
    run_due_jobs()
    body, headers = signed(scene, event_of(attempt))
    # By the time they arrive it is a moment later.
    old = str(int(time.time()) - 301)
    new = str(int(time.time()) + 360)
    secret = scene.options["webhook_secret"]

    def stamped(timestamp: str) -> dict[str, str]:
        return {
            "X-Simulator-Timestamp": timestamp,
            "X-Simulator-Signature": sign(secret, timestamp=timestamp, body=body),
        }

    doubled = body.replace(b'"reference"', b'"reference": "X", "reference"')
    calls = [
        (body, {}),
        (body, {**headers, "X-Simulator-Signature": "0" * 64}),
        (body.replace(b"15000", b"99000"), headers),
        (body, stamped(old)),
        (body, stamped(new)),
        (b"x" * 10_000_000, headers),
    ]
    with serving(settings) as site:
        for _ in range(repeats):
            for text, proof in calls:
                assert deliver(site + URL, text, proof) in {401, 413, None}
            timestamp = str(int(time.time()))
            proof = {
                "X-Simulator-Timestamp": timestamp,
                "X-Simulator-Signature": sign(secret, timestamp=timestamp, body=doubled),
            }
            assert deliver(site + URL, doubled, proof) == 400
            nobody = URL.replace("simulator", "nobody")
            assert deliver(site + nobody, body, headers) == 404

    assert not WebhookEvent.objects.exists()
    attempt.refresh_from_db()
    assert attempt.status == "pending"
    require_all(scene)


@repeated(10, 500)
def test_w7_webhook_poll_and_cancel_at_once(scene, buy, dice, repeats):
    for _ in range(repeats):
        buy()
    run_due_jobs()
    approve_everything(scene)
    calls: list[Any] = []
    for attempt in PaymentAttempt.objects.select_related("payment"):
        for claim in (Claim.SUCCESS, Claim.FAILURE):
            observation = Observation(
                reference=attempt.reference,
                claim=claim,
                money=attempt.money,
                provider_ref=attempt.provider_ref,
            )
            calls.append(
                lambda pk=attempt.pk, seen=observation: services.apply_observation(
                    attempt_id=pk, observation=seen, source=Source.WEBHOOK
                )
            )
        calls.append(lambda pk=attempt.pk: services.poll_attempt(attempt_id=pk))
        calls.append(lambda payment=attempt.payment: services.cancel_payment(payment=payment))
    dice.shuffle(calls)
    at_once(calls)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@repeated(2, 50)
def test_w8_another_amount_goes_to_suspense(scene, buy, repeats):
    """The payment stays as it was, and a person is asked."""
    for _ in range(repeats):
        buy()
    run_due_jobs()
    for attempt in PaymentAttempt.objects.all():
        for money in (Money.from_major("14000", "TZS"), Money.from_major(15000, "USD")):
            services.apply_observation(
                attempt_id=attempt.pk,
                observation=Observation(
                    reference=attempt.reference,
                    claim=Claim.SUCCESS,
                    money=money,
                    provider_ref=attempt.provider_ref,
                ),
                source=Source.WEBHOOK,
            )

    assert Break.objects.filter(kind="integrity").count() == 2 * repeats
    assert not Payment.objects.filter(status="succeeded").exists()
    sums = LedgerEntry.objects.filter(account="suspense").values_list("currency", "amount_minor")
    assert sorted(sums) == sorted([("TZS", -1_400_000), ("USD", -1_500_000)] * repeats)


# P, the company.


@pytest.mark.parametrize(
    "fault",
    [
        "error_before",
        "error_after",
        "unavailable",
        "cut_before",
        "cut_after",
        "reset_before",
        "reset_after",
        "html",
        "truncated",
        "hang_before",
        "hang_after",
        "drip_headers",
        "drip_body",
    ],
)
@repeated(1, 50)
def test_p1_to_p4_start_that_goes_wrong(scene, buy, settings, repeats, fault):
    """5xx, silence, drips, cuts, resets, half an answer: unknown, never a blind repeat."""
    lose_patience(settings, scene)
    scene.turn_dial(start=fault, hang_seconds=2)
    for _ in range(repeats):
        buy()
    at_once([run_due_jobs] * min(16, repeats))
    assert set(PaymentAttempt.objects.values_list("status", flat=True)) == {"unknown"}
    scene.turn_dial()
    find_patience(settings, scene)
    approve_everything(scene)
    PaymentAttempt.objects.update(sent_at=timezone.now() - timedelta(seconds=60))

    require_all(scene)
    assert not PaymentAttempt.objects.exclude(sends=1).exists()
    arrived = fault.endswith("after") or fault in {
        "html",
        "truncated",
        "drip_headers",
        "drip_body",
    }
    expected = "succeeded" if arrived else "failed"
    assert set(Payment.objects.values_list("status", flat=True)) == {expected}


@repeated(2, 50)
def test_p5_nobody_listens(scene, buy, settings, repeats):
    """Created, and the same reference again once somebody does."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "simulator": {**scene.options, "base_url": "http://127.0.0.1:1"}
    }
    for _ in range(repeats):
        buy()
    run_due_jobs()
    assert set(PaymentAttempt.objects.values_list("status", flat=True)) == {"created"}

    settings.NTC_PAYMENT_PROVIDERS = {"simulator": scene.options}
    settle_down(rounds=1)
    approve_everything(scene)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@pytest.mark.parametrize("fault", ["busy", "busy_bare"])
@repeated(2, 50)
def test_p6_too_many_requests(scene, buy, repeats, fault):
    """With and without Retry-After: it waits, and sends the same reference."""
    scene.turn_dial(start=fault, times=repeats)
    for _ in range(repeats):
        buy()
    run_due_jobs()
    assert set(PaymentAttempt.objects.values_list("status", flat=True)) == {"created"}
    settle_down(rounds=1)
    approve_everything(scene)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


@pytest.mark.parametrize("lie", ["lie_declined", "not_found"])
@repeated(2, 100)
def test_p7_query_that_lies_first(scene, buy, repeats, lie):
    """Failed and then paid; not found and then found: confirmed, and no money is lost."""
    for _ in range(repeats):
        buy()
    run_due_jobs()
    scene.turn_dial(query=lie)
    settle_down(rounds=1)
    scene.turn_dial()
    approve_everything(scene)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats


# D, the database.


@repeated(20, 1000)
def test_d3_refund_webhook_and_payout_at_once_never_deadlock(scene, buy, settings, dice, repeats):
    """Everybody locks in one order."""
    with cashier() as company:
        company.outcome = "DONE"
        settings.NTC_PAYMENT_PROVIDERS = {"cashier": options(company, can_refund=False)}
        payments = [buy(provider="cashier") for _ in range(10)]
        run_due_jobs()
        attempts = [payment.attempts.get() for payment in payments]
        staff = make_user()
        for attempt in attempts:
            _observe(attempt, Claim.SUCCESS)
        before = _deadlocks()
        for number in range(repeats):
            payment, attempt = dice.choice(list(zip(payments, attempts, strict=True)))
            results = at_once(
                [
                    lambda p=payment, n=number: services.refund_payment(
                        payment=p,
                        money=Money.from_major(1000, "TZS"),
                        reason="Rain",
                        idempotency_key=f"r{n}",
                    ),
                    lambda a=attempt: _observe(a, Claim.SUCCESS),
                    lambda n=number: services.create_payout(
                        created_by=staff,
                        money=Money.from_major(1000, "TZS"),
                        method="mobile_wallet",
                        phone="0712345678",
                        purpose="wages",
                        description="Wages",
                        idempotency_key=f"p{n}",
                    ),
                    run_due_jobs,
                    services.poll_due,
                ]
            )
            errors = [str(result) for result in results if isinstance(result, Exception)]
            assert not [error for error in errors if "deadlock" in error.lower()]
        settle_down()

        assert _deadlocks() == before
        assert Payout.objects.filter(refund=None).count() == repeats
        done = Refund.objects.filter(status="succeeded").count()
        paid_out = Payout.objects.filter(status="succeeded").count()
        assert len(company.made) == paid_out == repeats + done
        for attempt in PaymentAttempt.objects.all():
            assert attempt.refunded_minor <= attempt.captured_minor


def _observe(attempt: PaymentAttempt, claim: Claim) -> Any:
    return services.apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(
            reference=attempt.reference,
            claim=claim,
            money=attempt.money,
            provider_ref=attempt.provider_ref,
        ),
        source=Source.WEBHOOK,
    )


def _deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
