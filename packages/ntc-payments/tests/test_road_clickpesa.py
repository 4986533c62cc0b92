"""The whole road with ClickPesa as the simulator plays it, over real sockets both ways."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services
from ntc_payments.conf import provider_registry
from ntc_payments.models import Payment, PaymentAttempt, Payout
from ntc_payments.services.statements import import_statement

from tests.books import balances, breaks
from tests.conftest import listening_simulator
from tests.test_refunds import ask_now, run_everything

pytestmark = pytest.mark.django_db(transaction=True)

SHILLINGS = Money.from_major("15000", "TZS")
DOLLARS = Money.from_major("25.50", "USD")


@pytest.fixture
def clickpesa(simulator, settings, live_server):
    """Run the company with a webhook address, as the only provider."""
    del simulator  # What `start` asks for; the provider set here must come after it.
    with listening_simulator() as running:
        url = f"{live_server.url}/api/v1/webhooks/payments/clickpesa/"
        options = running.options_of("clickpesa", callback_url=url, total_timeout_seconds=1.0)
        settings.NTC_PAYMENT_PROVIDERS = {"clickpesa": options}
        yield running


@pytest.fixture
def pay(start, clickpesa):
    """Return a function that starts a payment at ClickPesa and calls the company."""
    del clickpesa

    def begin(**changes: Any) -> Payment:
        payment = start(**changes)
        run_due_jobs()
        return payment

    return begin


def take_webhooks(count: int) -> None:
    """Wait until so many were delivered, and do what they say."""
    deadline = time.monotonic() + 10
    while WebhookEvent.objects.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert WebhookEvent.objects.count() == count
    for row in (PaymentAttempt, Payout):
        row.objects.update(last_polled_at=None)  # Enough time has passed to ask again.
    run_everything()  # What they say is a hint, and makes us ask at the next sweep.
    run_everything()


def state_of(payment: Payment) -> tuple[str, str]:
    payment.refresh_from_db()
    return payment.status, payment.attempts.get().status


@pytest.mark.parametrize(
    ("method", "money"),
    [
        ("mobile_push", SHILLINGS),
        ("hosted_checkout", SHILLINGS),
        ("hosted_checkout", DOLLARS),
        ("card", DOLLARS),
    ],
)
def test_payer_pays_and_the_webhook_makes_us_ask(pay, clickpesa, method, money):
    """One prompt, one success, the same sum in both books."""
    payer = make_user(email="asha@example.com", first_name="Asha", last_name="Juma")
    payment = pay(method=method, money=money, payer=payer)
    attempt = payment.attempts.get()
    assert attempt.status == "pending"
    assert bool(attempt.checkout_url) == (method != "mobile_push")

    clickpesa.approve(reference=attempt.reference)
    take_webhooks(1)

    assert state_of(payment) == ("succeeded", "succeeded")
    books = clickpesa.books()["clickpesa"]
    assert books["money"][money.currency]["captured"] == money.minor
    assert books["prompts"] == {attempt.reference: 1}
    expected = {"provider:clickpesa": money.minor, "sales": -money.minor}
    assert balances(money.currency) == expected
    assert breaks() == []


def test_control_number_is_paid(pay, clickpesa):
    """Under the number that the company gave."""
    payment = pay(method="control_number")
    attempt = payment.attempts.get()
    assert attempt.payer_code

    clickpesa.pay_bill(company="clickpesa", number=attempt.payer_code, amount=15000)
    take_webhooks(1)

    assert state_of(payment) == ("succeeded", "succeeded")
    assert balances() == {"provider:clickpesa": SHILLINGS.minor, "sales": -SHILLINGS.minor}


def test_payer_declines(pay, clickpesa):
    """No money, no books."""
    payment = pay()

    clickpesa.decline(reference=payment.attempts.get().reference)
    take_webhooks(1)

    assert state_of(payment)[1] == "failed"
    assert balances() == {}


def test_success_is_found_by_asking_where_no_webhook_comes(pay, clickpesa):
    """And one that nobody paid yet waits."""
    clickpesa.turn_dial(company="clickpesa", callback="drop")
    payment = pay()
    attempt = payment.attempts.get()
    services.poll_attempt(attempt_id=attempt.pk)
    assert state_of(payment)[1] == "pending"

    clickpesa.approve(reference=attempt.reference)
    services.poll_attempt(attempt_id=attempt.pk)

    assert state_of(payment) == ("succeeded", "succeeded")


@pytest.mark.parametrize("fault", ["error_after", "cut_after", "hang_after", "html"])
def test_lost_answer_to_a_start_is_asked_about(pay, clickpesa, fault):
    """The payer was asked once, and what he paid is found."""
    clickpesa.turn_dial(company="clickpesa", start=fault, times=1, hang_seconds=1.5)
    payment = pay()
    attempt = payment.attempts.get()
    assert attempt.status == "unknown"

    clickpesa.approve(reference=attempt.reference)
    services.poll_attempt(attempt_id=attempt.pk)

    assert state_of(payment) == ("succeeded", "succeeded")
    assert clickpesa.books()["clickpesa"]["prompts"] == {attempt.reference: 1}


def test_page_that_is_paid_twice_is_a_duplicate_for_people(pay, clickpesa):
    """Both sums are in the books, the second belongs to the customer."""
    payment = pay(method="hosted_checkout")
    reference = payment.attempts.get().reference
    clickpesa.approve(reference=reference)
    take_webhooks(1)

    clickpesa.approve(reference=reference)
    take_webhooks(2)

    assert state_of(payment) == ("succeeded", "succeeded")
    captured = clickpesa.books()["clickpesa"]["money"]["TZS"]["captured"]
    assert captured == balances()["provider:clickpesa"] == 2 * SHILLINGS.minor
    assert balances()["customer_credit"] == -SHILLINGS.minor


def test_token_that_was_refused_is_fetched_again(pay, clickpesa):
    """Once, for the same call."""
    clickpesa.turn_dial(company="clickpesa", start="expired_token", times=1)

    assert state_of(pay())[1] == "pending"


def pay_out(**changes: Any) -> Payout:
    payout = services.create_payout(
        **{
            "created_by": make_user(),
            "money": Money.from_major(5000, "TZS"),
            "method": "mobile_wallet",
            "phone": "0754000001",
            "purpose": "wages:7",
            "description": "Wages",
            "idempotency_key": "key-1",
            **changes,
        }
    )
    run_due_jobs()
    payout.refresh_from_db()
    return payout


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "method": "bank_account",
            "phone": None,
            "bank_code": "CORUTZTZ",
            "account_number": "0150000001",
            "receiver_name": "Juma Ally",
        },
    ],
)
def test_payout_is_paid_once_with_its_fee(clickpesa, changes):
    """To a wallet, to a bank."""
    payout = pay_out(**changes)
    take_webhooks(1)

    ask_now(payout)

    assert payout.status == "succeeded"
    money = clickpesa.books()["clickpesa"]["money"]["TZS"]
    assert money["paid_out"] == balances()["payouts"] == 500_000
    assert balances()["provider:clickpesa"] == -(money["paid_out"] + money["fees"])
    assert balances()["fees:clickpesa"] == money["fees"] > 0


def test_statement_fits_a_payout_and_its_fee(clickpesa):
    """The fee has a line of its own there, under the payout's reference."""
    payout = pay_out()
    take_webhooks(1)
    ask_now(payout)
    today = timezone.localdate()
    days = {"first": today - timedelta(days=1), "last": today + timedelta(days=1)}

    entries = provider_registry.get("clickpesa").fetch_statement(**days, currency="TZS")
    report = import_statement(provider="clickpesa", entries=entries)

    assert report.lines["matched"] == 1
    assert breaks() == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"phone": "0754000000"}, "pending"),
        ({"phone": "0754000009"}, "failed"),
        ({"money": Money.from_major(999_900, "TZS")}, "rejected"),
    ],
)
def test_payout_that_is_not_paid(clickpesa, changes, status):
    """It waits, it fails, it is refused; nothing is booked."""
    payout = pay_out(**changes)

    if status != "rejected":
        ask_now(payout)

    assert payout.status == status
    assert balances() == {}


def test_payout_that_comes_back(clickpesa):
    """Success first, then the money is ours again."""
    payout = pay_out(phone="0754000008")
    ask_now(payout)
    assert payout.status == "succeeded"

    take_webhooks(2)
    ask_now(payout)

    assert payout.status == "reversed"
    assert clickpesa.books()["clickpesa"]["money"] == {}
    assert "payouts" not in balances()
    # The fee does not come back by itself: a person looks at it.
    assert breaks() == [("reversed", "open")]


def test_payout_that_comes_back_without_a_word_is_found(clickpesa):
    """Its webhook is lost: for three days a payout that was paid is asked about all the same."""
    clickpesa.options_of("clickpesa", callback_url="http://127.0.0.1:9/nobody")
    payout = pay_out(phone="0754000008")
    ask_now(payout)
    assert payout.status == "succeeded"
    assert payout.next_poll_at is not None

    later(payout, hours=2)
    payout.refresh_from_db()

    assert payout.status == "reversed"
    assert payout.next_poll_at is None
    assert breaks() == [("reversed", "open")]


def test_payout_is_asked_about_for_three_days_and_no_longer(clickpesa):
    """A few times: there is a cap on the calls of a day."""
    payout = pay_out()
    ask_now(payout)
    assert payout.status == "succeeded"
    begun = payout.polls

    for hours in (2, 8, 30, 90, 200):
        later(payout, hours=hours)
        payout.refresh_from_db()

    assert payout.polls - begun == 4
    assert (payout.status, payout.next_poll_at) == ("succeeded", None)
    assert breaks() == []


def later(payout: Any, *, hours: float) -> None:
    """Let so much time have passed since the call, and the sweep come."""
    sent_at = timezone.now() - timedelta(hours=hours)
    due = {"next_poll_at": timezone.now() - timedelta(seconds=1)} if payout.next_poll_at else {}
    Payout.objects.filter(pk=payout.pk).update(sent_at=sent_at, **due)
    services.poll_due()
    run_due_jobs()
