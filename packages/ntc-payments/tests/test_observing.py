"""Applying observations: any source, any order, any number of times, one effect."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ntc_core.money import Money
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_payments import services, signals
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent
from ntc_payments.transitions import (
    ATTEMPT_RANK,
    PAYMENT_RANK,
    Reason,
    attempt_may_follow,
    payment_may_follow,
)
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    FailureCode,
    Observation,
    PaymentStatus,
    Source,
    Trust,
)

pytestmark = pytest.mark.django_db

PRICE = Money.from_major("15000", "TZS")


@pytest.fixture
def announced():
    """Count the signals that the project receives."""
    counter: Counter[str] = Counter()

    def receive(name):
        def receiver(**_):
            counter[name] += 1

        return receiver

    receivers = {name: receive(name) for name in signals.SIGNALS}
    for name, receiver in receivers.items():
        signals.SIGNALS[name].connect(receiver)
    yield counter
    for name, receiver in receivers.items():
        signals.SIGNALS[name].disconnect(receiver)


@pytest.fixture
def pending(start):
    """Return a payment whose attempt waits on the phone, without having called anybody."""

    def make(**changes) -> Payment:
        payment = start(**changes)
        observe(payment.attempts.get(), Claim.ACCEPTED)
        payment.refresh_from_db()
        return payment

    return make


def observe(attempt: PaymentAttempt, claim: Claim, source: Source = Source.WEBHOOK, **values):
    """Apply one observation with the right amount."""
    return services.apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(
            **{"reference": attempt.reference, "claim": claim, "money": PRICE, **values}
        ),
        source=source,
    )


def test_webhook_that_beats_the_response_settles_the_payment(start, announced):
    """Success for an attempt that we have not even sent, as far as we know."""
    payment = start()
    attempt = payment.attempts.get()

    observe(attempt, Claim.SUCCESS, provider_ref="T1")
    run_due_jobs()

    payment.refresh_from_db()
    attempt.refresh_from_db()
    assert payment.status == "succeeded"
    assert payment.succeeded_at is not None
    assert (attempt.status, attempt.settles, attempt.provider_ref) == ("succeeded", True, "T1")
    assert attempt.next_poll_at is None
    assert announced == {"payment_succeeded": 1}


def test_repeated_success_has_one_effect_and_a_line_each(pending, announced):
    """Every delivery is on record; one of them did something."""
    payment = pending()
    attempt = payment.attempts.get()

    reasons = [
        observe(attempt, Claim.SUCCESS, source).reason
        for source in (Source.WEBHOOK, Source.WEBHOOK, Source.POLL, Source.STATEMENT)
    ]
    run_due_jobs()

    assert reasons == [Reason.APPLIED, Reason.NO_CHANGE, Reason.NO_CHANGE, Reason.NO_CHANGE]
    assert PaymentEvent.objects.filter(claim="success", applied=True).count() == 1
    assert PaymentEvent.objects.filter(claim="success", applied=False).count() == 3
    assert announced == {"payment_succeeded": 1}


def test_declined_prompt_fails_the_payment_each_time(pending, announced):
    """Once per attempt: the payer may retry, and decline again."""
    payment = pending()
    observe(payment.attempts.get(), Claim.FAILURE, failure_code=FailureCode.DECLINED)
    observe(payment.attempts.get(), Claim.FAILURE, failure_code=FailureCode.DECLINED)
    run_due_jobs()
    payment.refresh_from_db()
    attempt = payment.attempts.get()
    assert (payment.status, attempt.status) == ("failed", "failed")
    assert attempt.failure_code == "declined"
    assert attempt.next_poll_at is not None  # a soft end: money may still turn up
    assert announced == {"payment_failed": 1}

    services.retry_payment(payment=payment)
    observe(payment.attempts.last(), Claim.FAILURE)
    run_due_jobs()

    assert announced == {"payment_failed": 2}


@pytest.mark.parametrize(
    ("money", "reason"),
    [
        (Money.from_major("14999", "TZS"), "amount_mismatch"),
        (Money.from_major("15001", "TZS"), "amount_mismatch"),
        (Money(minor=PRICE.minor, currency="USD"), "amount_mismatch"),
        (None, "amount_missing"),
    ],
)
def test_success_of_another_amount_moves_nothing_and_alarms(
    pending, announced, caplog, money, reason
):
    """Not a cent more or less, not another currency; it stays on record, unapplied."""
    payment = pending()
    attempt = payment.attempts.get()

    observe(attempt, Claim.SUCCESS, money=money)
    run_due_jobs()

    payment.refresh_from_db()
    attempt.refresh_from_db()
    event = PaymentEvent.objects.filter(claim="success").get()
    assert (payment.status, attempt.status) == ("processing", "pending")
    assert (event.applied, event.reason, event.money) == (False, reason, money)
    assert "payment.observation_alarm" in caplog.text
    assert announced == {}


def test_hint_makes_the_next_sweep_ask(pending):
    """The company's own answer decides."""
    attempt = pending().attempts.get()
    before = attempt.next_poll_at

    decision = observe(attempt, Claim.SUCCESS, trust=Trust.HINT, provider_ref="FORGED")

    attempt.refresh_from_db()
    assert (decision.reason, attempt.status, attempt.provider_ref) == (Reason.HINT, "pending", "")
    assert attempt.next_poll_at < before


def test_failure_after_success_changes_nothing(pending, announced, caplog):
    """A stale "timed out" cannot undo a paid order; somebody is told."""
    payment = pending()
    attempt = payment.attempts.get()
    observe(attempt, Claim.SUCCESS)

    decision = observe(attempt, Claim.FAILURE)
    run_due_jobs()

    payment.refresh_from_db()
    attempt.refresh_from_db()
    assert decision.reason is Reason.CONTRADICTION
    assert (payment.status, attempt.status) == ("succeeded", "succeeded")
    assert attempt.next_poll_at is not None  # and the company is asked
    assert "payment.observation_alarm" in caplog.text
    assert announced == {"payment_succeeded": 1}


def test_late_success_after_failure_waits_for_the_companys_own_answer(pending, announced):
    """Declined, then paid: asked first, then accepted and announced as late, once."""
    payment = pending()
    attempt = payment.attempts.get()
    observe(attempt, Claim.FAILURE)

    by_webhook = observe(attempt, Claim.SUCCESS)
    payment.refresh_from_db()
    assert (by_webhook.reason, payment.status) == (Reason.NEEDS_CONFIRMATION, "failed")

    observe(attempt, Claim.SUCCESS, Source.POLL)
    observe(attempt, Claim.SUCCESS, Source.POLL)
    run_due_jobs()

    payment.refresh_from_db()
    attempt.refresh_from_db()
    assert (payment.status, attempt.status, attempt.failure_code) == ("succeeded", "succeeded", "")
    assert announced == {"payment_failed": 1, "payment_late_success": 1, "payment_succeeded": 1}


@pytest.mark.parametrize("end", ["canceled", "expired"])
def test_late_success_of_a_payment_that_was_over_is_accepted(pending, announced, end):
    """The attempt was still live: the prompt was on the phone and the payer approved it."""
    payment = pending()
    Payment.objects.filter(pk=payment.pk).update(status=end)

    observe(payment.attempts.get(), Claim.SUCCESS)
    run_due_jobs()

    payment.refresh_from_db()
    assert payment.status == "succeeded"
    assert announced == {"payment_late_success": 1, "payment_succeeded": 1}


def test_second_attempt_that_is_paid_too_is_a_duplicate_charge(pending, announced, caplog):
    """Never a second payment_succeeded; never a second settling attempt."""
    payment = pending()
    first = payment.attempts.get()
    observe(first, Claim.FAILURE)
    services.retry_payment(payment=payment)
    second = payment.attempts.last()
    observe(second, Claim.SUCCESS, provider_ref="T2")

    observe(first, Claim.SUCCESS, Source.POLL, provider_ref="T1")
    observe(first, Claim.SUCCESS, Source.POLL, provider_ref="T1")
    run_due_jobs()

    payment.refresh_from_db()
    statuses = list(payment.attempts.values_list("status", "settles"))
    assert payment.status == "succeeded"
    assert statuses == [("succeeded", False), ("succeeded", True)]
    assert "payment.duplicate_charge" in caplog.text
    assert announced == {
        "payment_failed": 1,
        "payment_succeeded": 1,
        "payment_duplicate_charge": 1,
    }


def test_second_transaction_under_one_reference_is_a_duplicate_charge(pending, announced):
    """One attempt, two charges at the company."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")

    for _ in range(2):
        decision = observe(attempt, Claim.SUCCESS, provider_ref="T2")
    run_due_jobs()

    attempt.refresh_from_db()
    assert decision.reason is Reason.REFERENCE_MISMATCH
    assert attempt.provider_ref == "T1"
    assert announced == {"payment_succeeded": 1, "payment_duplicate_charge": 1}


def test_one_transaction_cannot_pay_two_payments(pending, announced):
    """The company's reference belongs to the first; the second is an alarm."""
    first, second = pending(), pending()
    observe(first.attempts.get(), Claim.SUCCESS, provider_ref="T1")

    decision = observe(second.attempts.get(), Claim.SUCCESS, provider_ref="T1")
    run_due_jobs()

    second.refresh_from_db()
    assert (decision.reason, second.status) == (Reason.REFERENCE_TAKEN, "processing")
    assert announced == {"payment_succeeded": 1}


def test_success_withdraws_the_attempt_that_is_still_waiting(pending, announced):
    """The first try paid after all; the second one, not sent yet, is never sent."""
    payment = pending()
    first = payment.attempts.get()
    observe(first, Claim.FAILURE)
    services.retry_payment(payment=payment)

    observe(first, Claim.SUCCESS, Source.POLL)
    run_due_jobs()

    payment.refresh_from_db()
    second = payment.attempts.last()
    assert (payment.status, second.status, second.sends) == ("succeeded", "rejected", 0)
    assert announced["payment_succeeded"] == 1
    assert announced["payment_failed"] == 1


def test_reference_of_a_late_response_is_learnt(pending):
    """The webhook came first and carried none."""
    attempt = pending().attempts.get()
    assert attempt.provider_ref == ""

    observe(attempt, Claim.ACCEPTED, Source.RESPONSE, provider_ref="T1")

    attempt.refresh_from_db()
    assert attempt.provider_ref == "T1"


def test_text_of_the_company_is_cut_and_masked(pending):
    """It may quote the payer's number, and be long, and hold what no database takes."""
    attempt = pending().attempts.get()

    observe(attempt, Claim.FAILURE, failure_message="255712345678 refused\x00\ud83d " + "x" * 500)

    attempt.refresh_from_db()
    assert "255712345678" not in attempt.failure_message
    assert len(attempt.failure_message) == 300
    event = PaymentEvent.objects.get(claim="failure")
    assert event.failure_message == attempt.failure_message


def test_failing_receiver_is_retried_and_counts_once(pending, announced):
    """What the first run wrote is rolled back with it."""
    payment = pending()
    calls = []

    def receiver(*, payment, **_):
        calls.append(payment.pk)
        payment.metadata = {"told": len(calls)}
        payment.save(update_fields=["metadata"])
        if len(calls) == 1:
            raise RuntimeError("the receiver's own mistake")

    signals.payment_succeeded.connect(receiver)
    try:
        observe(payment.attempts.get(), Claim.SUCCESS)
        run_due_jobs()
        payment.refresh_from_db()
        assert payment.metadata == {}

        bring_forward(OutboxJob.objects.filter(task="ntc_payments.announce"))
        run_due_jobs()
    finally:
        signals.payment_succeeded.disconnect(receiver)

    payment.refresh_from_db()
    assert payment.metadata == {"told": 2}


FACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [Claim.ACCEPTED, Claim.FAILURE, Claim.SUCCESS, Claim.NOT_FOUND, Claim.NO_ANSWER]
        ),
        st.sampled_from([Source.WEBHOOK, Source.POLL, Source.RESPONSE]),
    ),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(facts=FACTS, data=st.data())
def test_every_order_in_the_database_keeps_the_promises(pending, announced, facts, data):
    """Whatever comes, in whatever order: ranks rise, one success, one settling attempt."""
    payment = pending()
    announced.clear()
    attempt = payment.attempts.get()
    shuffled = data.draw(st.permutations(facts + data.draw(st.lists(st.sampled_from(facts)))))

    for claim, source in shuffled:
        observe(attempt, claim, source)
    succeeds = Claim.SUCCESS in dict(facts)
    if succeeds:
        observe(attempt, Claim.SUCCESS, Source.POLL)  # the company's answer when we ask
    run_due_jobs()

    payment.refresh_from_db()
    attempt.refresh_from_db()
    assert (payment.status == "succeeded") == (attempt.status == "succeeded") == succeeds
    assert announced["payment_succeeded"] == int(succeeds)
    assert announced["payment_duplicate_charge"] == 0
    assert payment.attempts.filter(settles=True).count() == int(succeeds)
    require_lawful_history(payment)


def require_lawful_history(payment: Payment) -> None:
    """Read the history back: every step is in the tables, and ranks lower only as listed."""
    for event in payment.events.filter(applied=True).exclude(from_status=""):
        if event.kind == PaymentEvent.Kind.PAYMENT:
            before, after = PaymentStatus(event.from_status), PaymentStatus(event.to_status)
            assert payment_may_follow(before, after)
            assert PAYMENT_RANK[after] >= PAYMENT_RANK[before] or event.reason == "retry"
        else:
            first, then = AttemptStatus(event.from_status), AttemptStatus(event.to_status)
            assert attempt_may_follow(first, then)
            never_left = (first, then) == (AttemptStatus.SENDING, AttemptStatus.CREATED)
            assert ATTEMPT_RANK[then] >= ATTEMPT_RANK[first] or never_left
