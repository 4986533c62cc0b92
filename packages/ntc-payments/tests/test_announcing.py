"""The order in which a project is told: that money went back, never before that it came."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from ntc_core.money import Money
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_payments import services, signals
from ntc_payments.types import Claim, Source

from tests.test_observing import PRICE, observe
from tests.test_refunds import company, paid, refund

__all__ = ["company", "paid"]  # fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket(company, user):
    """Return a payment that waits on the phone."""
    payment = services.start_payment(
        payer=user,
        money=PRICE,
        method="mobile_push",
        phone="0712345678",
        purpose="ticket:1",
        description="A ticket",
        idempotency_key="key",
    )
    run_due_jobs()
    return payment


@contextmanager
def project_that_fails_once(*, at: str, then: str):
    """Note both signals as they are taken; the first `at` breaks, as on a bad day."""
    told: list[str] = []
    broken: list[str] = []

    def take_first(**_):
        if not broken:
            broken.append(at)
            raise RuntimeError("The project has a bad day.")
        told.append(at)

    def take_second(**_):
        told.append(then)

    signals.SIGNALS[at].connect(take_first)
    signals.SIGNALS[then].connect(take_second)
    yield told
    signals.SIGNALS[at].disconnect(take_first)
    signals.SIGNALS[then].disconnect(take_second)


def run_all_again() -> None:
    for _ in range(3):
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()


def test_reversal_is_told_after_the_success_that_it_takes_back(ticket):
    """Both are learned at once; taking back first what is granted then would grant it for good."""
    attempt = ticket.attempts.get()
    with project_that_fails_once(at="payment_succeeded", then="payment_reversed") as told:
        observe(attempt, Claim.REVERSED, Source.POLL, provider_ref="T1")
        run_due_jobs()
        assert told == []

        run_all_again()

    assert told == ["payment_succeeded", "payment_reversed"]


def test_refund_is_told_after_the_success_that_it_gives_back(paid, company):
    company.outcome = "DONE"
    with project_that_fails_once(at="payment_succeeded", then="payment_refunded") as told:
        refund(paid())
        run_due_jobs()
        assert told == []

        run_all_again()

    assert told == ["payment_succeeded", "payment_refunded"]


def test_returned_payout_is_told_after_its_success(company, user):
    payout = services.create_payout(
        created_by=user,
        money=Money.from_major("5000", "TZS"),
        method="mobile_wallet",
        phone="0712345678",
        purpose="wages",
        description="Wages",
        idempotency_key="key",
    )
    run_due_jobs()
    with project_that_fails_once(at="payout_succeeded", then="payout_reversed") as told:
        company.states[f"payouts/{payout.reference}"] = "RETURNED"
        services.poll_payout(payout_id=payout.pk)
        run_due_jobs()
        assert told == []

        run_all_again()

    assert told == ["payout_succeeded", "payout_reversed"]


def test_refund_of_money_that_paid_nothing_waits_for_no_success(company, ticket, settings):
    """Late money that a policy gives back: nobody is ever told that the payment succeeded."""
    settings.NTC_PAYMENT_LATE_SUCCESS_POLICY = "auto_refund"
    company.outcome = "DONE"
    services.cancel_payment(payment=ticket)
    told: list[str] = []

    def take(**_):
        told.append("payment_refunded")

    signals.payment_refunded.connect(take)
    observe(ticket.attempts.get(), Claim.SUCCESS, Source.POLL)
    run_all_again()
    signals.payment_refunded.disconnect(take)

    assert told == ["payment_refunded"]
