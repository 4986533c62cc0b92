"""Polling: what happens when nobody speaks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import enqueue_recurring, run_due_jobs
from ntc_payments import services
from ntc_payments.models import Break, LedgerTransaction, Payment, PaymentAttempt, PaymentEvent
from ntc_payments.services.schedule import (
    DEAD_OFFSETS_SECONDS,
    LIVE_OFFSETS_SECONDS,
    ask_soon_at,
    next_poll_at,
)
from ntc_payments.types import AttemptStatus, Claim, Observation, Source

pytestmark = pytest.mark.django_db


@pytest.fixture
def on_the_phone(start):
    """Return the attempt of a payment whose prompt is really on the phone."""

    def make(**changes) -> PaymentAttempt:
        payment = start(**changes)
        run_due_jobs()
        return payment.attempts.get()

    return make


def make_due(attempt: PaymentAttempt) -> None:
    """Let the time of the next poll be now."""
    PaymentAttempt.objects.filter(pk=attempt.pk).update(next_poll_at=timezone.now())


def age(attempt: PaymentAttempt, seconds: float) -> None:
    """Let the call have been made so long ago."""
    sent_at = timezone.now() - timedelta(seconds=seconds)
    PaymentAttempt.objects.filter(pk=attempt.pk).update(sent_at=sent_at)


@pytest.mark.parametrize(
    ("status", "watched", "offsets"),
    [
        (AttemptStatus.PENDING, {}, LIVE_OFFSETS_SECONDS),
        (AttemptStatus.UNKNOWN, {}, LIVE_OFFSETS_SECONDS),
        (AttemptStatus.FAILED, {}, DEAD_OFFSETS_SECONDS),
        (AttemptStatus.EXPIRED, {}, DEAD_OFFSETS_SECONDS),
        (AttemptStatus.REJECTED, {}, ()),
        (AttemptStatus.SUCCEEDED, {}, ()),
        (AttemptStatus.SUCCEEDED, {"watch_seconds": 3 * 24 * 3600}, DEAD_OFFSETS_SECONDS),
        (AttemptStatus.SUCCEEDED, {"watch_seconds": 24 * 3600}, DEAD_OFFSETS_SECONDS[:3]),
        (AttemptStatus.REVERSED, {"watch_seconds": 3 * 24 * 3600}, ()),
    ],
)
def test_schedule_is_walked_once_and_ends(status, watched, offsets):
    """Each step within 20 % of its time, none twice, none after 72 hours."""
    sent_at = now = timezone.now()
    seen = []

    while (moment := next_poll_at(status, sent_at=sent_at, now=now, **watched)) is not None:
        now = moment
        seen.append((moment - sent_at).total_seconds())

    assert len(seen) == len(offsets)
    for planned, actual in zip(offsets, seen, strict=True):
        assert planned * 0.8 <= actual <= planned * 1.2


def test_poll_settles_what_no_webhook_told(on_the_phone, simulator):
    """Approved on the phone, callback lost: the sweep asks and applies the answer."""
    attempt = on_the_phone()
    simulator.approve(reference=attempt.reference)
    make_due(attempt)

    assert services.poll_due() == 1
    run_due_jobs()

    attempt.refresh_from_db()
    assert (attempt.status, attempt.settles, attempt.polls) == ("succeeded", True, 1)
    assert attempt.payment.status == "succeeded"


def test_attempt_that_stays_undecided_is_left_to_a_person(start, settings):
    """After the last query, three days and a jitter later, the sweep opens one break."""
    settings.NTC_PAYMENT_PROVIDERS = {"told": {"class": "tests.companies.TellingProvider"}}
    attempt = start(method="hosted_checkout").attempts.get()
    run_due_jobs()
    Payment.objects.update(expires_at=timezone.now())
    age(attempt, 86 * 3600)
    services.poll_due()
    assert not Break.objects.exists()

    age(attempt, 87 * 3600)
    for _ in range(3):
        services.poll_due()
        run_due_jobs()

    attempt.refresh_from_db()
    found = Break.objects.get()
    assert (attempt.status, attempt.next_poll_at) == ("pending", None)
    assert (found.kind, found.state, found.attempt) == ("undecided", "open", attempt)


@pytest.fixture
def numbered(start, settings):
    """Return an attempt whose number was given out so long ago that nobody will pay on it."""
    settings.NTC_PAYMENT_PROVIDERS = {"told": {"class": "tests.companies.TellingProvider"}}
    attempt = start(method="control_number").attempts.get()
    run_due_jobs()
    Payment.objects.update(expires_at=timezone.now())
    age(attempt, 87 * 3600)
    return attempt


def test_number_that_nobody_paid_on_ends_quietly(numbered):
    """Expired, once, and told to nobody as a question: many numbers are given out."""
    for _ in range(5):
        services.poll_due()
        run_due_jobs()

    numbered.refresh_from_db()
    assert (numbered.status, numbered.failure_code) == ("expired", "not_received")
    assert (numbered.payment.status, numbered.next_poll_at) == ("expired", None)
    assert not Break.objects.exists()
    # After the payment, which is announced as expired and not as failed.
    ends = numbered.payment.events.filter(to_status="expired")
    assert list(ends.values_list("kind", "claim")) == [("payment", ""), ("observation", "lapsed")]


def test_money_on_a_number_that_had_ended_is_late_money(numbered):
    """Told by a webhook; nobody had said "no", so there is nothing to confirm."""
    for _ in range(5):
        services.poll_due()
        run_due_jobs()

    services.apply_observation(
        attempt_id=numbered.pk,
        observation=Observation(
            reference=numbered.reference, claim=Claim.SUCCESS, money=numbered.money
        ),
        source=Source.WEBHOOK,
    )

    numbered.refresh_from_db()
    assert (numbered.status, numbered.payment.status) == ("succeeded", "succeeded")
    kinds = set(LedgerTransaction.objects.values_list("kind", flat=True))
    assert "late_capture" in kinds


def test_number_that_may_not_be_there_is_a_question(numbered):
    """The call for it got no answer that anybody could read."""
    PaymentAttempt.objects.update(status="unknown")

    for _ in range(3):
        services.poll_due()

    assert Break.objects.get().kind == "undecided"


def test_answer_after_all_closes_the_break(on_the_phone, simulator):
    """The company spoke: nothing is left to decide, and it says so."""
    attempt = on_the_phone()
    Payment.objects.update(expires_at=timezone.now())
    age(attempt, 87 * 3600)
    services.poll_due()
    assert Break.objects.get().state == "open"

    simulator.approve(reference=attempt.reference)
    services.poll_attempt(attempt_id=attempt.pk)

    found = Break.objects.get()
    assert (found.state, found.closed_by) == ("closed", None)
    assert found.resolution == "The company answered: succeeded."


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_company_that_cannot_be_asked_never_is(start, settings, status):
    """Its payment expires without a question; its silence ends in a break."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {"class": "tests.companies.TellingProvider", "can_query": False}
    }
    payment = start(method="hosted_checkout")
    run_due_jobs()
    attempt = payment.attempts.get()
    assert (attempt.status, attempt.next_poll_at) == ("pending", None)
    # What a dead process left is asked about as little as a hint of something else.
    PaymentAttempt.objects.update(status=status, lease_until=timezone.now())
    Payment.objects.update(expires_at=timezone.now())

    for seconds in (0, 86 * 3600, 87 * 3600):
        assert not Break.objects.exists()
        age(attempt, seconds)
        services.poll_due()
        run_due_jobs()

    payment.refresh_from_db()
    attempt.refresh_from_db()
    assert payment.status == "expired"
    assert attempt.status == ("pending" if status == "pending" else "unknown")
    assert Break.objects.get().kind == "undecided"
    services.poll_attempt(attempt_id=attempt.pk)
    assert not PaymentEvent.objects.filter(source="poll").exists()


def test_number_that_can_still_be_paid_is_no_break(start, settings):
    """However long ago the company gave it."""
    settings.NTC_PAYMENT_PROVIDERS = {"told": {"class": "tests.companies.TellingProvider"}}
    attempt = start(method="control_number").attempts.get()
    run_due_jobs()
    age(attempt, 87 * 3600)

    services.poll_due()

    assert not Break.objects.exists()


def test_company_that_cannot_be_asked_is_not_asked_about_a_known_reference(start, settings):
    """Its webhook will tell, or nobody."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {
            "class": "tests.companies.TellingProvider",
            "can_query": False,
            "outcome": {"result": "duplicate"},
        }
    }
    payment = start(method="control_number")

    run_due_jobs()

    attempt = payment.attempts.get()
    assert (attempt.status, attempt.next_poll_at) == ("unknown", None)


def test_queries_that_were_planned_end_when_the_company_cannot_be_asked_any_more(start, settings):
    """An option was switched off while they waited."""
    told = {"class": "tests.companies.TellingProvider"}
    settings.NTC_PAYMENT_PROVIDERS = {"told": told}
    payment = start(method="control_number")
    run_due_jobs()
    attempt = payment.attempts.get()
    make_due(attempt)
    settings.NTC_PAYMENT_PROVIDERS = {"told": {**told, "can_query": False}}

    services.poll_due()

    attempt.refresh_from_db()
    assert (attempt.next_poll_at, attempt.polls) == (None, 0)
    assert not OutboxJob.objects.filter(task="ntc_payments.poll_attempt").exists()


def test_queries_wait_for_a_company_that_is_not_in_the_settings(on_the_phone, settings):
    """It may be back with the next deployment."""
    attempt = on_the_phone()
    settings.NTC_PAYMENT_PROVIDERS = {}
    make_due(attempt)

    services.poll_due()

    attempt.refresh_from_db()
    assert (attempt.polls, attempt.next_poll_at is None) == (1, False)


def test_two_sweeps_plan_one_poll(on_the_phone):
    """However many runners sweep."""
    attempt = on_the_phone()
    make_due(attempt)

    services.poll_due()
    services.poll_due()

    assert OutboxJob.objects.filter(task="ntc_payments.poll_attempt").count() == 1
    attempt.refresh_from_db()
    assert attempt.next_poll_at > timezone.now()


@pytest.mark.parametrize("fault", ["error", "hang"])
def test_query_without_answer_changes_nothing(on_the_phone, simulator, fault):
    """A query that times out does not lower what we know; it is on record."""
    attempt = on_the_phone()
    simulator.turn_dial(query=fault, hang_seconds=3)

    services.poll_attempt(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    event = PaymentEvent.objects.order_by("id").last()
    assert attempt.status == "pending"
    assert (event.source, event.claim, event.applied) == ("poll", "no_answer", False)
    assert attempt.last_polled_at is not None


def test_not_found_inside_the_visibility_window_means_nothing(on_the_phone, simulator):
    """The company may only be slow: unknown, however often it says so."""
    attempt = on_the_phone()
    simulator.turn_dial(query="not_found")

    for _ in range(5):
        services.poll_attempt(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.not_found_count) == ("unknown", 5)
    assert attempt.payment.status == "processing"


def test_not_found_three_times_over_the_window_ends_the_attempt(on_the_phone, simulator):
    """It never arrived: the payer may try again."""
    attempt = on_the_phone()
    simulator.turn_dial(query="not_found")
    age(attempt, 31)

    for _ in range(2):
        services.poll_attempt(attempt_id=attempt.pk)
    attempt.refresh_from_db()
    assert attempt.status == "unknown"
    services.poll_attempt(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.failure_code) == ("expired", "not_received")
    assert attempt.payment.status == "failed"
    assert services.retry_payment(payment=attempt.payment).status == "open"


def test_found_again_starts_the_count_again(on_the_phone, simulator):
    """Not found, found, not found: that is two rows of one, not a row of two."""
    attempt = on_the_phone()
    age(attempt, 31)
    for fault in ("not_found", "not_found", "none", "not_found", "not_found"):
        simulator.turn_dial(query=fault)
        services.poll_attempt(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.not_found_count) == ("unknown", 2)


def test_company_that_lies_is_corrected(on_the_phone, simulator):
    """It says declined, then paid: late, and not lost."""
    attempt = on_the_phone()
    simulator.turn_dial(query="lie_declined", times=1)
    services.poll_attempt(attempt_id=attempt.pk)
    attempt.refresh_from_db()
    assert attempt.status == "failed"
    simulator.approve(reference=attempt.reference)
    make_due(attempt)

    services.poll_due()
    run_due_jobs()

    attempt.refresh_from_db()
    assert (attempt.status, attempt.payment.status) == ("succeeded", "succeeded")


def test_dead_call_becomes_unknown_after_its_lease(start, settings):
    """Never back to created: it may have reached the company."""
    settings.NTC_PAYMENT_SEND_LEASE_SECONDS = 60
    attempt = start().attempts.get()
    PaymentAttempt.objects.update(
        status="sending", sent_at=timezone.now(), lease_until=timezone.now() + timedelta(minutes=1)
    )
    assert services.poll_due() == 0

    PaymentAttempt.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    services.poll_due()

    attempt.refresh_from_db()
    assert (attempt.status, attempt.lease_until) == ("unknown", None)
    event = PaymentEvent.objects.filter(source="system", claim="no_answer").get()
    assert event.applied


@pytest.mark.parametrize("status", ["created", "sending"])
def test_nothing_is_asked_before_the_call_is_back(start, simulator, status):
    """There is nothing to ask about yet."""
    attempt = start().attempts.get()
    PaymentAttempt.objects.update(status=status)
    events = PaymentEvent.objects.count()

    services.poll_attempt(attempt_id=attempt.pk)

    assert PaymentEvent.objects.count() == events


def test_flood_of_hints_asks_once_in_five_seconds(on_the_phone):
    """However many arrive."""
    attempt, now = on_the_phone(), timezone.now()
    assert ask_soon_at(attempt, now=now) == now

    attempt.last_polled_at = now - timedelta(seconds=1)

    assert ask_soon_at(attempt, now=now) == now + timedelta(seconds=4)


def test_recurring_sweep_is_registered(start, run_jobs):
    """The outbox runs it by itself, and nothing else has to be set up."""
    start()
    enqueue_recurring()

    sweeps = OutboxJob.objects.filter(task="ntc_payments.poll_due")
    assert sweeps.count() == 1
    run_jobs()
    assert sweeps.get().state == "done"


def test_old_payment_expires_only_after_its_company_was_asked(on_the_phone, simulator):
    """Approved in the last second: the answer wins."""
    attempt = on_the_phone()
    Payment.objects.update(expires_at=timezone.now())
    simulator.approve(reference=attempt.reference)

    services.poll_due()
    attempt.payment.refresh_from_db()
    assert attempt.payment.status == "processing"
    services.poll_due()
    run_due_jobs()
    services.poll_due()

    attempt.payment.refresh_from_db()
    assert attempt.payment.status == "succeeded"


def test_question_from_before_the_end_does_not_count(on_the_phone):
    """Asked a minute ago is not asked now."""
    attempt = on_the_phone()
    services.poll_attempt(attempt_id=attempt.pk)
    Payment.objects.update(expires_at=timezone.now())

    assert services.expire_payment(payment_id=attempt.payment_id) is False

    services.poll_attempt(attempt_id=attempt.pk)
    assert services.expire_payment(payment_id=attempt.payment_id) is True


def test_old_payment_whose_prompt_still_waits_expires_and_is_withdrawn(on_the_phone, simulator):
    """Asked, still pending: expired, and the prompt goes from the phone."""
    attempt = on_the_phone()
    Payment.objects.update(expires_at=timezone.now())

    for _ in range(3):
        services.poll_due()
        run_due_jobs()

    attempt.payment.refresh_from_db()
    assert attempt.payment.status == "expired"
    assert simulator.prompts_of(attempt.reference)[0]["status"] == "CANCELED"


def test_payment_that_is_not_due_does_not_expire(on_the_phone):
    """Half an hour is half an hour."""
    attempt = on_the_phone()

    assert services.expire_payment(payment_id=attempt.payment_id) is False


def test_payment_without_live_attempt_expires_at_once(on_the_phone):
    """Nobody to ask."""
    attempt = on_the_phone()
    PaymentAttempt.objects.update(status="rejected")
    Payment.objects.update(expires_at=timezone.now())

    assert services.poll_due() == 1

    attempt.payment.refresh_from_db()
    assert attempt.payment.status == "expired"


def test_bug_in_a_provider_does_not_ask_in_a_hurry(start, settings):
    """The job fails in sight; the attempt keeps its pace, and its payment its end."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "hosted": {"class": "tests.companies.HostedProvider", "result": "broken"}
    }
    payment = start(method="hosted_checkout")
    run_due_jobs()
    Payment.objects.update(expires_at=timezone.now())

    for _ in range(6):
        services.poll_due()
        run_due_jobs()

    payment.refresh_from_db()
    polls = OutboxJob.objects.filter(task="ntc_payments.poll_attempt")
    assert payment.status == "expired"
    assert payment.attempts.get().status == "unknown"
    assert polls.count() <= 2
    assert "ZeroDivisionError" in polls.first().last_error
