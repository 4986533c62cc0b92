"""Sending: what each kind of answer, and each kind of silence, makes of the attempt."""

from __future__ import annotations

import json
import math
import socket
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import transaction
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_payments import services
from ntc_payments.models import Payment, PaymentEvent
from ntc_payments.services.payers import describe_payer
from ntc_payments.services.schedule import LONGEST_SEND_DELAY_SECONDS, send_again_after_seconds
from ntc_payments.types import Address, Payer

pytestmark = pytest.mark.django_db


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def again() -> None:
    """Run the jobs that wait for their time, now."""
    bring_forward(OutboxJob.objects.all())
    run_due_jobs()


def test_accepted_push_is_pending_on_the_phone(start, simulator):
    """One prompt, of the right amount, for the right number, in whole shillings."""
    payment = start()

    run_due_jobs()

    payment.refresh_from_db()
    attempt = payment.attempts.get()
    [prompt] = simulator.prompts_of(attempt.reference)
    assert (payment.status, attempt.status) == ("processing", "pending")
    assert (prompt["amount"], prompt["currency"], prompt["phone"]) == (15000, "TZS", "255712345678")
    assert attempt.provider_ref == prompt["transaction_id"]
    assert attempt.sent_at is not None
    assert attempt.lease_until is None
    wait = attempt.next_poll_at - attempt.sent_at
    assert timedelta(seconds=8) <= wait <= timedelta(seconds=12)


def test_company_that_is_down_gets_the_same_reference_later(start, simulator, settings):
    """Refused connections are safe: the attempt goes back and is sent again, once."""
    options = {**simulator.options, "base_url": f"http://127.0.0.1:{free_port()}"}
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": options}
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    assert (attempt.status, attempt.sends, attempt.sent_at) == ("created", 1, None)
    assert OutboxJob.objects.get(task="ntc_payments.send_attempt").state == "queued"

    settings.NTC_PAYMENT_PROVIDERS = {"simulator": simulator.options}
    again()

    attempt.refresh_from_db()
    assert (attempt.status, attempt.sends) == ("pending", 2)
    assert len(simulator.prompts_of(attempt.reference)) == 1


def test_busy_company_is_asked_again_after_its_own_time(start, simulator):
    """429 is documented as "not accepted": same reference, later."""
    simulator.turn_dial(start="busy", times=1)
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    assert attempt.status == "created"
    assert simulator.prompts_of(attempt.reference) == []

    again()

    attempt.refresh_from_db()
    assert attempt.status == "pending"


@pytest.mark.parametrize(
    ("fault", "reached"),
    [
        ("error_before", False),
        ("error_after", True),
        ("hang_before", False),
        ("hang_after", True),
        ("cut_before", False),
        ("cut_after", True),
        ("html", True),
    ],
)
def test_unclear_answer_is_unknown_and_never_sent_again(start, simulator, caplog, fault, reached):
    """Silence is unknown, never failed: we ask, and the phone shows one prompt at most."""
    simulator.turn_dial(start=fault, hang_seconds=3, times=1)
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    assert attempt.status == "unknown"
    assert attempt.next_poll_at is not None

    again()
    services.poll_attempt(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    prompts = simulator.prompts_of(attempt.reference)
    assert len(prompts) == (1 if reached else 0)
    assert attempt.status == ("pending" if reached else "unknown")
    assert attempt.sends == 1
    assert "payment.provider_broke" not in caplog.text


def test_refused_request_is_rejected_and_may_be_retried(start, simulator, settings):
    """The company said no before the payer saw anything."""
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": {**simulator.options, "api_key": "wrong"}}
    payment = start()

    run_due_jobs()

    payment.refresh_from_db()
    attempt = payment.attempts.get()
    assert (payment.status, attempt.status) == ("failed", "rejected")
    assert (attempt.failure_code, attempt.next_poll_at) == ("provider_refused", None)
    assert services.retry_payment(payment=payment).status == "open"


def test_known_reference_is_asked_about_not_repeated(start, simulator):
    """A duplicate refusal means that an earlier call did arrive."""
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    # As if the answer had been lost together with the row's state.
    payment.attempts.update(status="created", provider_ref="")

    services.send_attempt(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    assert attempt.status == "unknown"
    assert attempt.next_poll_at <= timezone.now()
    services.poll_attempt(attempt_id=attempt.pk)
    attempt.refresh_from_db()
    assert attempt.status == "pending"
    assert len(simulator.prompts_of(attempt.reference)) == 1


def test_payment_that_is_over_is_not_sent(start, simulator):
    """Canceled before the job ran: nobody is called, the attempt ends."""
    payment = start()
    services.cancel_payment(payment=payment)

    run_due_jobs()

    attempt = payment.attempts.get()
    assert (attempt.status, attempt.failure_code) == ("rejected", "canceled")
    assert simulator.prompts_of(attempt.reference) == []


def test_second_run_of_the_job_sends_nothing(start, simulator):
    """At least once is how jobs run; the claim makes it one call."""
    payment = start()
    attempt = payment.attempts.get()
    services.send_attempt(attempt_id=attempt.pk)

    assert services.send_attempt(attempt_id=attempt.pk) is None

    attempt.refresh_from_db()
    assert attempt.sends == 1
    assert len(simulator.prompts_of(attempt.reference)) == 1


def test_hosted_page_gives_the_payer_a_link(start, settings):
    """And the company's reference is kept."""
    settings.NTC_PAYMENT_PROVIDERS = {"hosted": {"class": "tests.companies.HostedProvider"}}
    payment = start(method="hosted_checkout")

    run_due_jobs()

    attempt = payment.attempts.get()
    assert (attempt.status, attempt.checkout_url) == ("pending", "https://pay.example/1")
    assert attempt.provider_ref == f"H-{attempt.reference}"


def test_payment_that_is_paid_at_once_succeeds_at_once(start, settings):
    """Some companies answer with the result."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "hosted": {"class": "tests.companies.HostedProvider", "result": "done"}
    }
    payment = start(method="hosted_checkout")

    run_due_jobs()

    payment.refresh_from_db()
    assert payment.status == "succeeded"


def test_unreadable_answer_is_unknown_and_not_our_bug(start, settings, caplog):
    """The company answered something: it may have acted."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "hosted": {"class": "tests.companies.HostedProvider", "result": "unreadable"}
    }
    payment = start(method="hosted_checkout")

    run_due_jobs()

    assert payment.attempts.get().status == "unknown"
    assert "payment.no_answer" in caplog.text
    assert "payment.provider_broke" not in caplog.text


def test_bug_in_a_provider_is_unknown_not_a_second_call(start, settings, caplog):
    """An exception in our own code says nothing about what the company did."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "hosted": {"class": "tests.companies.HostedProvider", "result": "broken"}
    }
    payment = start(method="hosted_checkout")

    run_due_jobs()

    assert payment.attempts.get().status == "unknown"
    assert "payment.provider_broke" in caplog.text


def test_provider_that_was_removed_leaves_the_attempt_unsent(start, settings):
    """The job is tried again and ends up parked, in sight; nothing is claimed."""
    payment = start()
    settings.NTC_PAYMENT_PROVIDERS = {}

    run_due_jobs()

    assert payment.attempts.get().status == "created"
    job = OutboxJob.objects.get(task="ntc_payments.send_attempt")
    assert (job.state, job.attempts) == ("queued", 1)
    assert "UnknownProvider" in job.last_error


@pytest.mark.django_db(transaction=True)
def test_sending_inside_a_transaction_is_refused(start):
    """The claim has to be committed before the socket opens."""
    payment = start()

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        services.send_attempt(attempt_id=payment.attempts.get().pk)

    assert payment.attempts.get().status == "created"


def test_lost_answer_after_the_lease_still_counts(start, simulator):
    """The janitor said unknown; the answer comes after all."""
    payment = start()
    attempt = payment.attempts.get()
    run_due_jobs()
    payment.attempts.update(status="unknown")

    services.poll_attempt(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    assert attempt.status == "pending"
    last = PaymentEvent.objects.order_by("id").last()
    assert (last.source, last.claim, last.applied) == ("poll", "accepted", True)


def test_waits_between_sends_grow_and_are_bounded():
    """Two seconds, then twice that, up to a minute."""
    for sends, ceiling in [(1, 2), (2, 4), (5, 32), (50, LONGEST_SEND_DELAY_SECONDS)]:
        for _ in range(20):
            assert ceiling / 2 <= send_again_after_seconds(sends) <= ceiling


@pytest.mark.parametrize(("told", "wait"), [(90.0, 90.0), (10.0**9, 3600.0), (math.inf, 3600.0)])
def test_company_is_believed_that_asks_for_an_hour_at_most(told, wait):
    """Longer ones would keep a payout from being sent, and from being given up, without a word."""
    assert send_again_after_seconds(1, told=told) == wait


def test_unsent_attempt_ends_with_its_payment(start, simulator, settings):
    """A company that stays down for half an hour: expired, nothing on the phone."""
    options = {**simulator.options, "base_url": f"http://127.0.0.1:{free_port()}"}
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": options}
    payment = start()
    run_due_jobs()
    Payment.objects.update(expires_at=timezone.now())

    services.poll_due()
    again()

    payment.refresh_from_db()
    attempt = payment.attempts.get()
    assert (payment.status, attempt.status) == ("expired", "rejected")
    assert simulator.prompts_of(attempt.reference) == []


def test_what_the_company_answers_is_kept_for_the_payer(start, settings):
    """The number to pay on, and the fee."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {
            "class": "tests.companies.TellingProvider",
            "outcome": {"payer_code": "99001", "fee_minor": 250},
        }
    }
    payment = start(method="control_number")

    run_due_jobs()

    attempt = payment.attempts.get()
    assert (attempt.payer_code, attempt.fee_minor, attempt.handle.payer_code) == (
        "99001",
        250,
        "99001",
    )


def test_number_that_another_attempt_has_is_not_shown(start, settings):
    """Money on it would pay somebody else's purchase; the attempt itself is accepted."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {"class": "tests.companies.TellingProvider", "outcome": {"payer_code": "99001"}}
    }
    first, second = (start(method="control_number") for _ in range(2))

    run_due_jobs()

    codes = [payment.attempts.get().payer_code for payment in (first, second)]
    assert codes == ["99001", ""]
    assert second.attempts.get().status == "pending"
    assert second.breaks.get().kind == "integrity"


def describe_for_tests(user) -> Payer:
    """Stand for a project's own NTC_PAYMENT_PAYER_DETAILS."""
    if user.username == "broken":
        raise LookupError("no profile")
    return Payer(external_id="mine", name="Asha", address=Address(country="TZ"))


def told_to_the_company(start, **changes) -> dict[str, object]:
    """Return what the company heard about the payer; it sends it back as its refusal."""
    payment = start(method="control_number", **changes)
    run_due_jobs()
    return json.loads(payment.events.get(claim="rejected").failure_message)


@pytest.fixture
def refusing(settings):
    """Let the company say back what it was told."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {"class": "tests.companies.TellingProvider", "outcome": {"result": "refused"}}
    }


def test_company_is_told_who_pays_and_until_when(start, refusing):
    """By default name and address, and an id that is no row number."""
    user = make_user(first_name="Asha", last_name="Juma")

    heard = told_to_the_company(start, payer=user)

    payment = Payment.objects.get()
    assert heard["name"] == "Asha Juma"
    assert str(user.pk) != heard["external_id"]
    assert len(heard["external_id"]) == 32
    assert heard["expires_at"] == str(payment.expires_at)


def test_user_with_a_uid_is_known_by_it():
    """As the projects of this workspace have it; a user without names has none."""
    user = SimpleNamespace(uid="0199", email=None)

    assert describe_payer(user) == Payer(external_id="0199")


def test_project_decides_what_the_company_is_told(start, refusing, settings):
    """By one function."""
    settings.NTC_PAYMENT_PAYER_DETAILS = "tests.test_sending.describe_for_tests"

    heard = told_to_the_company(start)

    assert (heard["external_id"], heard["address"]["country"]) == ("mine", "TZ")


def test_mistake_of_the_project_leaves_the_attempt_unsent(start, refusing, settings):
    """It is no silence of the company: nothing was claimed, the job is tried again."""
    settings.NTC_PAYMENT_PAYER_DETAILS = "tests.test_sending.describe_for_tests"
    payment = start(method="control_number", payer=make_user(username="broken"))

    run_due_jobs()

    assert payment.attempts.get().status == "created"
    assert "no profile" in OutboxJob.objects.get(task="ntc_payments.send_attempt").last_error
