"""What payers complain about at their banks, from Polar's list to the books."""

from __future__ import annotations

import pytest
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import Break, Payment, PaymentAttempt
from ntc_payments.signals import payment_reversed
from ntc_payments.types import Dispute, DisputeState

from tests.books import balances, breaks
from tests.polar_samples import CHECKOUT_ID, ORDER_ID, REFERENCE, polar_order, provider_at
from tests.scripted_company import scripted_company
from tests.test_road_polar import pay, polar, take_webhooks  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db(transaction=True)

DISPUTES, ORDER = "GET /v1/disputes/", f"GET /v1/orders/{ORDER_ID}"


def row(**changes: object) -> dict[str, object]:
    return {
        "id": "DISPUTE-1",
        "created_at": "2026-11-22T23:59:50Z",
        "modified_at": None,
        "status": "needs_response",
        "resolved": False,
        "closed": False,
        "amount": 2500000,
        "tax_amount": 450000,
        "currency": "tzs",
        "order_id": ORDER_ID,
        "payment_id": "PAYMENT-1",
        "case_id": None,
        **changes,
    }


@pytest.fixture
def scripted():
    with scripted_company() as running:
        running.answer(ORDER, polar_order())
        yield running


def listed(*rows: dict[str, object]) -> dict[str, object]:
    return {"items": list(rows), "pagination": {"total_count": len(rows), "max_page": 1}}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("early_warning", DisputeState.OPEN),
        ("needs_response", DisputeState.OPEN),
        ("under_review", DisputeState.OPEN),
        ("brand_new_word", DisputeState.OPEN),
        ("won", DisputeState.WON),
        ("lost", DisputeState.LOST),
        ("prevented", DisputeState.LOST),
    ],
)
def test_dispute_is_read_with_its_charge(scripted, status, state):
    """All that went over the card: the amount and its tax."""
    scripted.answer(DISPUTES, listed(row(status=status)))

    assert provider_at(scripted.base_url).list_disputes() == [
        Dispute(
            dispute_ref="DISPUTE-1",
            state=state,
            money=Money.from_major(29_500, "TZS"),
            reference=REFERENCE,
            provider_ref=CHECKOUT_ID,
        )
    ]


def test_dispute_of_a_renewal_names_the_renewal(scripted):
    """And not the first payment, whose reference its metadata repeat."""
    scripted.answer(DISPUTES, listed(row(order_id="ORDER-2")))
    renewal = polar_order(id="ORDER-2", billing_reason="subscription_cycle", checkout_id=None)
    scripted.answer("GET /v1/orders/ORDER-2", renewal)

    [dispute] = provider_at(scripted.base_url).list_disputes()

    assert (dispute.reference, dispute.provider_ref) == ("", "ORDER-2")


@pytest.mark.parametrize(
    "rows", [[row(amount="much")], [row(order_id=None)], [row(order_id="ORDER-9")]]
)
def test_strange_dispute_is_unreadable(scripted, rows):
    scripted.answer(DISPUTES, listed(*rows))
    scripted.answer("GET /v1/orders/ORDER-9", {"error": "ResourceNotFound"}, status=404)

    with pytest.raises((AnswerUnreadable, HttpFailure, ValueError)):
        provider_at(scripted.base_url).list_disputes()


@pytest.fixture
def paid(pay, polar):  # noqa: F811 - fixtures
    payment = pay()
    polar.approve(reference=payment.attempts.get().reference)
    take_webhooks(3)
    payment.refresh_from_db()
    assert payment.status == "succeeded"
    return payment


def complain(polar, payment: Payment, status: str) -> None:  # noqa: F811 - fixture
    reference = payment.attempts.get().reference
    polar.dispute(company="polar", reference=reference, status=status)
    assert services.check_disputes() == 1
    run_due_jobs()


def test_open_dispute_is_one_break_until_it_is_won(paid, polar):  # noqa: F811 - fixture
    before = balances()
    complain(polar, paid, "needs_response")
    complain(polar, paid, "under_review")
    [found] = Break.objects.all()
    assert (found.kind, found.state, found.payment) == ("disputed", "open", paid)

    complain(polar, paid, "won")

    assert breaks() == [("disputed", "closed")]
    assert balances() == before


@pytest.mark.parametrize("status", ["lost", "prevented"])
def test_lost_dispute_leaves_the_books_once(paid, polar, status):  # noqa: F811 - fixture
    """And the project takes back what was paid for."""
    told = []
    payment_reversed.connect(lambda payment, **_: told.append(payment.pk), weak=False)
    complain(polar, paid, "needs_response")

    complain(polar, paid, status)
    events = paid.events.count()
    complain(polar, paid, status)

    attempt = PaymentAttempt.objects.get(payment=paid)
    assert (attempt.status, attempt.captured_minor) == ("reversed", 0)
    assert balances().get("sales", 0) == 0
    assert told == [paid.pk]
    assert paid.events.count() == events
    assert set(Break.objects.filter(state="open").values_list("kind", flat=True)) == {"reversed"}


def test_dispute_about_money_of_nobody_is_for_a_person(paid, polar):  # noqa: F811 - fixture
    reference = paid.attempts.get().reference
    PaymentAttempt.objects.update(provider_ref="", reference="P0000000000000000000")
    polar.dispute(company="polar", reference=reference, status="lost")

    services.check_disputes()

    [found] = Break.objects.filter(kind="disputed")
    assert (found.payment, found.state) == (None, "open")


def test_company_that_does_not_answer_is_asked_another_time(paid, polar):  # noqa: F811 - fixture
    polar.turn_dial(company="polar", query="error_before")

    assert services.check_disputes() == 0
    assert breaks() == []
