"""The whole road with Polar as the simulator plays it, over real sockets both ways."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services
from ntc_payments.errors import CannotRefund
from ntc_payments.models import Payment, PaymentAttempt, Refund

from tests.books import balances, breaks
from tests.conftest import listening_simulator
from tests.test_refunds import ask_now, run_everything

pytestmark = pytest.mark.django_db(transaction=True)

PRICE = Money.from_major(29_500, "TZS")


@pytest.fixture
def polar(simulator, settings, live_server):
    """Run the company with a webhook address, as the only provider."""
    del simulator  # What `start` asks for; the provider set here must come after it.
    with listening_simulator() as running:
        url = f"{live_server.url}/api/v1/webhooks/payments/polar/"
        options = running.options_of("polar", callback_url=url, total_timeout_seconds=1.0)
        settings.NTC_PAYMENT_PROVIDERS = {"polar": options}
        yield running


@pytest.fixture
def pay(start, polar):
    """Return a function that starts a payment at Polar and calls the company."""
    del polar

    def begin(**changes: Any) -> Payment:
        payment = start(**{"method": "hosted_checkout", "money": PRICE, **changes})
        run_due_jobs()
        return payment

    return begin


def take_webhooks(count: int) -> None:
    """Wait until so many were delivered, and do what they say."""
    deadline = time.monotonic() + 10
    while WebhookEvent.objects.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert WebhookEvent.objects.count() == count
    PaymentAttempt.objects.update(last_polled_at=None)  # Enough time has passed to ask again.
    run_everything()
    run_everything()


def state_of(payment: Payment) -> tuple[str, str]:
    payment.refresh_from_db()
    return payment.status, payment.attempts.get().status


@pytest.fixture
def paid(pay, polar):
    """Return a payment that the webhooks have settled."""
    payment = pay()
    polar.approve(reference=payment.attempts.get().reference)
    take_webhooks(3)
    assert state_of(payment) == ("succeeded", "succeeded")
    return payment


@pytest.mark.parametrize("method", ["hosted_checkout", "card"])
@pytest.mark.parametrize("money", [PRICE, Money.from_major("25.50", "USD")])
def test_payer_pays_after_a_decline(pay, polar, method, money):
    """The page stays open after a refused card; then all of the price is booked."""
    payment = pay(method=method, money=money)
    attempt = payment.attempts.get()
    assert attempt.status == "pending"
    assert attempt.checkout_url.startswith(polar.base_url)

    polar.decline(reference=attempt.reference)
    take_webhooks(1)
    assert state_of(payment) == ("processing", "pending")
    polar.approve(reference=attempt.reference)
    take_webhooks(4)

    assert state_of(payment) == ("succeeded", "succeeded")
    books = polar.books()["polar"]
    row = books["money"][money.currency]
    assert row["captured"] == money.minor
    assert books["prompts"] == {attempt.reference: 1}
    held = balances(money.currency)
    assert held["sales"] == -money.minor
    assert held["provider:polar"] == row["captured"] - row["fees"]
    assert breaks() == []


def test_paid_order_is_found_by_asking_where_no_webhook_comes(pay, polar):
    """And an open page waits."""
    polar.turn_dial(company="polar", callback="drop")
    payment = pay()
    attempt = payment.attempts.get()
    services.poll_attempt(attempt_id=attempt.pk)
    assert state_of(payment)[1] == "pending"

    polar.approve(reference=attempt.reference)
    services.poll_attempt(attempt_id=attempt.pk)

    assert state_of(payment) == ("succeeded", "succeeded")


@pytest.mark.parametrize("fault", ["error_after", "cut_after", "html"])
def test_lost_answer_to_a_start_opens_no_second_page(pay, polar, fault):
    """It is unknown, and what somebody paid there is found by our reference."""
    polar.turn_dial(company="polar", start=fault, times=1)
    payment = pay()
    attempt = payment.attempts.get()
    assert attempt.status == "unknown"

    polar.approve(reference=attempt.reference)
    take_webhooks(3)

    assert state_of(payment) == ("succeeded", "succeeded")
    assert polar.books()["polar"]["prompts"] == {attempt.reference: 1}


def test_webhooks_in_any_order_and_twice_settle_once(pay, polar):
    """As at least once, and in no order, means."""
    polar.turn_dial(company="polar", callback="duplicate")
    payment = pay()
    polar.approve(reference=payment.attempts.get().reference)
    take_webhooks(3)

    assert state_of(payment) == ("succeeded", "succeeded")
    assert balances()["sales"] == -PRICE.minor


def refund(payment: Payment, **changes: Any) -> Refund:
    made = services.refund_payment(
        **{"payment": payment, "reason": "Not needed", "idempotency_key": "refund-1", **changes}
    )
    run_due_jobs()
    made.refresh_from_db()
    return made


def test_refund_in_parts_until_nothing_is_left(paid, polar):
    """Each is once there and once in the books."""
    part = refund(paid, money=Money.from_major(5_900, "TZS"))
    rest = refund(paid, idempotency_key="refund-2")
    take_webhooks(9)
    for each in (part, rest):
        ask_now(each)

    assert (part.status, rest.status) == ("succeeded", "succeeded")
    assert polar.books()["polar"]["money"]["TZS"]["refunded"] == PRICE.minor
    assert "sales" not in balances()
    with pytest.raises(CannotRefund):
        refund(paid, idempotency_key="refund-3")


@pytest.mark.parametrize("fault", ["error_after", "cut_after"])
def test_refund_whose_answer_is_lost_is_not_made_twice(paid, polar, fault):
    """It is found by our reference in its metadata."""
    polar.turn_dial(company="polar", refund=fault, times=1)

    given = refund(paid)
    take_webhooks(6)
    ask_now(given)

    assert given.status == "succeeded"
    row = polar.books()["polar"]["money"]["TZS"]
    assert row["refunded"] == PRICE.minor
    assert balances()["provider:polar"] == row["captured"] - row["refunded"] - row["fees"]


def test_next_period_is_charged_and_given_back(paid, polar):
    """Polar charges by itself; its refund is asked of the renewal's order, not of the first one."""
    first = paid.attempts.get()

    polar.renew(company="polar", reference=first.reference)
    take_webhooks(5)

    renewal = Payment.objects.get(renews=paid)
    assert (renewal.status, renewal.money, renewal.payer) == ("succeeded", PRICE, paid.payer)
    assert polar.books()["polar"]["money"]["TZS"]["captured"] == 2 * PRICE.minor
    assert balances()["sales"] == -2 * PRICE.minor
    assert breaks() == []

    services.refund_payment(payment=renewal, reason="other", idempotency_key="k")
    run_everything()

    refund = Refund.objects.get()
    assert (refund.status, refund.payment) == ("succeeded", renewal)
    assert balances()["sales"] == -PRICE.minor
    assert polar.books()["polar"]["money"]["TZS"]["refunded"] == PRICE.minor
    first.refresh_from_db()
    assert first.refunded_minor == 0
