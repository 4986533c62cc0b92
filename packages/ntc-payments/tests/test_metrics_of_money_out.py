"""What a project's sink is told about money that goes back or out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from ntc_core.outbox.services import run_due_jobs
from ntc_core.outbox.tasks import tell_gauges
from ntc_payments import services

from tests.test_metrics import labels, told
from tests.test_payouts import pay_out
from tests.test_refunds import company, paid

__all__ = ["company", "paid", "pay_out", "told"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def money_out(paid, pay_out):
    """Return what makes a payment that can be given back, and what makes a payout."""
    return paid, pay_out


@pytest.mark.parametrize(
    ("fault", "ends"),
    [("none", ("accepted", "pending")), ("cut_after", ("no_answer", "unknown"))],
)
def test_refunds_and_payouts_are_counted_as_payments_are(money_out, company, told, fault, ends):
    """Each by what came back, and by what it became."""
    result, status = ends
    paid, pay_out = money_out
    payment = paid()
    told.clear()
    company.fault = fault
    services.refund_payment(payment=payment, reason="x", idempotency_key="k")
    pay_out()

    run_due_jobs()

    for subject in ("refund", "payout"):
        assert (subject, "cashier", result) in labels(told, "ntc_payment_initiations")
        assert (subject, "cashier", status) in labels(told, "ntc_payment_outcomes")


def test_oldest_unknown_refund_and_payout_are_gauges(pay_out, company, told):
    """A payout of which nobody knows is money that may be gone."""
    company.fault = "cut_after"
    payout = pay_out()
    run_due_jobs()
    type(payout).objects.update(sent_at=timezone.now() - timedelta(hours=2))
    told.clear()

    tell_gauges()

    ages = {
        about["subject"]: value
        for name, value, about in told
        if name == "ntc_payment_oldest_unknown_seconds" and about["provider"] == "cashier"
    }
    assert ages["payout"] >= 7200
    assert (ages["payment"], ages["refund"]) == (0, 0)
