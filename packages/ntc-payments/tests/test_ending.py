"""Canceling: what the payer can stop, and what happens when the money comes all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_payments import services
from ntc_payments.errors import CannotCancel
from ntc_payments.models import PaymentAttempt
from ntc_payments.services.schedule import cancel_again_after_seconds

pytestmark = pytest.mark.django_db


def test_cancel_takes_the_prompt_off_the_phone(start, simulator):
    """The company confirms it, and the attempt ends."""
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()

    payment = services.cancel_payment(payment=payment)
    run_due_jobs()
    services.poll_due()
    run_due_jobs()

    attempt.refresh_from_db()
    assert payment.status == "canceled"
    assert simulator.prompts_of(attempt.reference)[0]["status"] == "CANCELED"
    assert (attempt.status, attempt.failure_code) == ("failed", "canceled")
    payment.refresh_from_db()
    assert payment.status == "canceled"


def test_canceling_twice_is_once(start):
    """The second call answers the same."""
    payment = services.cancel_payment(payment=start())

    again = services.cancel_payment(payment=payment)

    assert again.status == "canceled"
    assert payment.events.filter(to_status="canceled").count() == 1


def test_paid_payment_is_not_canceled(start, simulator):
    """409, with the state in the sentence."""
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    simulator.approve(reference=attempt.reference)
    services.poll_attempt(attempt_id=attempt.pk)

    with pytest.raises(CannotCancel, match="succeeded") as caught:
        services.cancel_payment(payment=payment)

    assert caught.value.http_status == 409


def test_approval_that_beats_the_cancel_is_accepted(start, simulator):
    """The money is there: late, accepted, nothing lost."""
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    services.cancel_payment(payment=payment)
    simulator.approve(reference=attempt.reference)

    run_due_jobs()
    services.poll_due()
    run_due_jobs()

    payment.refresh_from_db()
    assert payment.status == "succeeded"


def test_cancel_waits_for_the_call_that_is_out(start, simulator):
    """The prompt could otherwise arrive after the company was asked to take it away."""
    payment = start()
    PaymentAttempt.objects.update(status="sending")
    services.cancel_payment(payment=payment)
    run_due_jobs()
    job = OutboxJob.objects.get(task="ntc_payments.cancel_attempt")
    assert (job.state, job.attempts) == ("queued", 0)

    PaymentAttempt.objects.update(status="succeeded")
    bring_forward(OutboxJob.objects.all())
    run_due_jobs()

    job.refresh_from_db()
    assert job.state == "done"


def test_company_that_cannot_withdraw_is_not_asked(start, settings):
    """The attempt stays live and is polled until it ends."""
    settings.NTC_PAYMENT_PROVIDERS = {"hosted": {"class": "tests.companies.HostedProvider"}}
    payment = start(method="hosted_checkout")
    run_due_jobs()

    services.cancel_payment(payment=payment)
    run_due_jobs()

    assert payment.attempts.get().status == "pending"
    assert OutboxJob.objects.get(task="ntc_payments.cancel_attempt").state == "done"


def test_cancel_that_the_company_does_not_answer_is_repeated(start, simulator):
    """Withdrawing twice does no harm, and silence is no failure of ours: the job never parks."""
    payment = start()
    run_due_jobs()
    services.cancel_payment(payment=payment)
    simulator.turn_dial(cancel="error_before")
    for _ in range(12):
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()
    job = OutboxJob.objects.get(task="ntc_payments.cancel_attempt")
    assert (job.state, job.attempts) == ("queued", 0)

    simulator.turn_dial()
    bring_forward(OutboxJob.objects.all())
    run_due_jobs()

    job.refresh_from_db()
    assert job.state == "done"
    assert simulator.prompts_of(payment.attempts.get().reference)[0]["status"] == "CANCELED"


def test_cancel_is_given_up_when_nobody_waits_any_more(start, simulator):
    payment = start()
    run_due_jobs()
    services.cancel_payment(payment=payment)
    simulator.turn_dial(cancel="error_before")
    PaymentAttempt.objects.update(sent_at=timezone.now() - timedelta(days=5))

    bring_forward(OutboxJob.objects.all())
    run_due_jobs()

    assert OutboxJob.objects.get(task="ntc_payments.cancel_attempt").state == "done"


def test_waits_between_cancels_grow_with_the_time_the_prompt_is_out(start):
    attempt = start().attempts.get()
    waits = []
    for seconds in (1, 40, 7200, 100 * 3600):
        attempt.sent_at = timezone.now() - timedelta(seconds=seconds)
        waits.append(cancel_again_after_seconds(attempt, now=timezone.now()))

    assert waits[0] == 5.0
    assert 40 <= waits[1] < 42
    assert waits[2:] == [3600.0, None]
