"""The whole road through Selcom: our services and provider, its server and callbacks."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from ntc_core.money import Money
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services
from ntc_payments.conf import provider_registry
from ntc_payments.models import Payout
from ntc_payments.services.statements import import_statement

from tests.books import balances, breaks
from tests.conftest import listening_simulator

pytestmark = pytest.mark.django_db(transaction=True)

MINOR = 1_500_000


@pytest.fixture
def selcom(start, settings, live_server):
    """Run Selcom with us as its only merchant."""
    settings.NTC_WEBHOOK_PATH_SECRET = path_secret = secrets.token_hex(16)
    url = f"{live_server.url}/api/v1/webhooks/payments/selcom-{path_secret}/"
    with listening_simulator() as running:
        options = running.options_of("selcom", callback_url=url, total_timeout_seconds=2)
        settings.NTC_PAYMENT_PROVIDERS = {"selcom": options}
        yield running


def started(start: Any, **values: Any) -> Any:
    """Start a payment and return its attempt as it is once Selcom was asked."""
    payment = start(**values)
    run_due_jobs()
    return payment.attempts.get()


def hear(count: int = 1) -> None:
    """Wait for so many callbacks, apply them, and ask where they only make us ask."""
    deadline = time.monotonic() + 10
    while WebhookEvent.objects.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert WebhookEvent.objects.count() == count
    run_due_jobs()
    ask()


def ask() -> None:
    """Let the next sweep come."""
    services.poll_due()
    bring_forward(OutboxJob.objects.all())
    run_due_jobs()


def ask_at_once(row: Any) -> None:
    type(row).objects.filter(pk=row.pk).update(
        next_poll_at=timezone.now() - timedelta(seconds=1), last_polled_at=None
    )
    ask()
    row.refresh_from_db()


def outcome(attempt: Any) -> tuple[str, str]:
    attempt.refresh_from_db()
    return attempt.payment.status, attempt.status


@pytest.mark.parametrize("method", ["mobile_push", "hosted_checkout", "card"])
def test_payer_pays_and_the_webhook_makes_us_ask(start, selcom, method):
    """One prompt, one success, the same sum in both books."""
    payer = make_user(email="asha@example.com", first_name="Asha", last_name="Juma")
    attempt = started(start, method=method, payer=payer)
    assert attempt.status == "pending"
    assert bool(attempt.checkout_url) == (method != "mobile_push")

    selcom.approve(reference=attempt.reference)
    hear()

    assert outcome(attempt) == ("succeeded", "succeeded")
    books = selcom.books()["selcom"]
    assert books["prompts"] == {attempt.reference: 1}
    assert books["money"]["TZS"]["captured"] == MINOR
    assert balances() == {"provider:selcom": MINOR, "sales": -MINOR}
    assert breaks() == []


def test_decline_is_found_out_by_asking(start, selcom):
    """Selcom tells successes only."""
    attempt = started(start)
    selcom.decline(reference=attempt.reference)

    ask_at_once(attempt)

    assert outcome(attempt) == ("failed", "failed")
    assert not WebhookEvent.objects.exists()


def test_payer_cancels(start, selcom):
    attempt = started(start)

    services.cancel_payment(payment=attempt.payment)
    run_due_jobs()
    ask_at_once(attempt)

    assert outcome(attempt) == ("canceled", "failed")
    assert selcom.prompts() == []


def test_control_number_is_looked_up_validated_and_paid(start, selcom):
    """Our answers are asked for while the payer waits; then the notification is the proof."""
    attempt = started(start, method="control_number", phone=None)
    assert len(attempt.payer_code) == 12

    selcom.pay_bill(company="selcom", number=attempt.payer_code, amount=15_000)
    hear()

    assert outcome(attempt) == ("succeeded", "succeeded")
    assert balances() == {"provider:selcom": MINOR, "sales": -MINOR}


@pytest.fixture
def direct(selcom, settings):
    """Have prompts sent without an order."""
    options = settings.NTC_PAYMENT_PROVIDERS["selcom"]
    settings.NTC_PAYMENT_PROVIDERS = {"selcom": {**options, "direct_push": True}}
    return selcom


@pytest.mark.parametrize("fault", ["none", "cut_after"])
def test_prompt_without_an_order_is_paid(start, direct, fault):
    """By its notification, which finds it although the answer to the call was lost."""
    direct.turn_dial(company="selcom", start=fault, times=1)
    attempt = started(start)
    assert attempt.status == ("pending" if fault == "none" else "unknown")

    direct.approve(reference=attempt.reference)
    hear()

    assert outcome(attempt) == ("succeeded", "succeeded")
    assert direct.books()["selcom"]["prompts"] == {attempt.reference: 1}
    assert balances() == {"provider:selcom": MINOR, "sales": -MINOR}
    assert breaks() == []


def test_prompt_without_an_order_is_declined(start, direct):
    """Nobody tells that; it is asked about."""
    attempt = started(start)
    direct.decline(reference=attempt.reference)

    ask_at_once(attempt)

    assert outcome(attempt) == ("failed", "failed")


@pytest.mark.parametrize("amount", [14_999, 15_001])
def test_wrong_amount_on_a_number_is_sent_back_by_selcom(start, selcom, amount):
    """We say too low or too high, and no money moves."""
    attempt = started(start, method="control_number", phone=None)

    with pytest.raises(OSError, match="404"):
        selcom.pay_bill(company="selcom", number=attempt.payer_code, amount=amount)

    assert not WebhookEvent.objects.exists()
    assert outcome(attempt) == ("processing", "pending")


@pytest.mark.parametrize("fault", ["cut_after", "error_after", "html"])
def test_lost_answer_to_the_order_is_asked_about(start, selcom, fault):
    """The order is there and no prompt was sent: nothing is sent again by itself."""
    selcom.turn_dial(company="selcom", start=fault, times=1)
    attempt = started(start)
    assert attempt.status == "unknown"

    ask_at_once(attempt)

    assert outcome(attempt) == ("processing", "pending")
    assert attempt.sends == 1


PAYOUTS = [
    ({"method": "mobile_wallet", "phone": "0754000001"}, "walletcashin"),
    (
        {"method": "bank_account", "bank_code": "CRDBBANK", "account_number": "0150000001"},
        "qwiksend",
    ),
    (
        {"method": "bank_account", "bank_code": "SPSCASHIN", "account_number": "0754000001"},
        "selcompesa",
    ),
]


def pay_out(**values: Any) -> Payout:
    payout = services.create_payout(
        **{
            "created_by": make_user(),
            "money": Money.from_major(5000, "TZS"),
            "receiver_name": "Asha Juma",
            "purpose": "wages:7",
            "description": "Wages",
            "idempotency_key": "wages-7",
            **values,
        }
    )
    run_due_jobs()
    payout.refresh_from_db()
    return payout


@pytest.mark.parametrize(("to", "rail"), PAYOUTS)
def test_payout_by_each_rail(selcom, to, rail):
    payout = pay_out(**to)

    assert (payout.status, payout.rail) == ("succeeded", rail)
    assert selcom.books()["selcom"]["money"]["TZS"]["paid_out"] == 500_000
    assert balances() == {"provider:selcom": -500_000, "payouts": 500_000}


@pytest.mark.parametrize(
    ("phone", "first", "then"),
    [
        ("0754000000", "pending", "pending"),
        ("0754000009", "pending", "failed"),
        # Paid, and the answer was 999: never taken for a failure, never sent again.
        ("0754000008", "unknown", "succeeded"),
    ],
)
def test_payout_that_is_not_done_at_once(selcom, phone, first, then):
    payout = pay_out(method="mobile_wallet", phone=phone)
    assert payout.status == first

    ask_at_once(payout)

    assert (payout.status, payout.sends) == (then, 1)


def test_refund_goes_back_as_a_payout(start, selcom):
    """Selcom has no refunds; the number that paid gets it."""
    attempt = started(start, phone="0754000001")
    selcom.approve(reference=attempt.reference)
    hear()

    services.refund_payment(payment=attempt.payment, reason="Rain", idempotency_key="rain")
    run_due_jobs()

    attempt.refresh_from_db()
    assert attempt.refunded_minor == MINOR
    assert balances() == {}
    money = selcom.books()["selcom"]["money"]["TZS"]
    assert money["captured"] == money["paid_out"] == MINOR


def test_statement_name_and_balance(start, selcom):
    """What Selcom's own lists say fits what we booked."""
    attempt = started(start)
    selcom.approve(reference=attempt.reference)
    hear()
    provider = provider_registry.get("selcom")
    today = timezone.localdate()
    span = {"first": today - timedelta(days=1), "last": today + timedelta(days=1)}

    entries = provider.fetch_statement(**span, currency="TZS")
    report = import_statement(provider="selcom", entries=entries)

    assert report.lines["matched"] == 1
    assert breaks() == []
    assert provider.list_balances() == [Money.from_major(1_000_000, "TZS")]
    preview = services.preview_payout(
        money=Money.from_major(5000, "TZS"), method="mobile_wallet", phone="0754000001"
    )
    assert preview.receiver_name
