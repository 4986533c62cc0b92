"""The whole road through Beem: our services and provider, its server and callbacks."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest
from ntc_core.http import NoAnswer
from ntc_core.money import Money
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services
from ntc_payments.conf import provider_registry
from ntc_payments.providers.beem import BeemProvider

from tests.books import balances, breaks
from tests.conftest import listening_simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def beem(start, settings, live_server):
    """Run Beem with us as its only merchant."""
    settings.NTC_WEBHOOK_PATH_SECRET = path_secret = secrets.token_hex(16)
    url = f"{live_server.url}/api/v1/webhooks/payments/beem-{path_secret}/"
    with listening_simulator() as running:
        options = running.options_of(
            "beem",
            callback_url=url,
            total_timeout_seconds=1,
            disbursement_account="ACC-1",
            disbursement_wallet_code="ABC12345",
        )
        settings.NTC_PAYMENT_PROVIDERS = {"beem": options}
        yield running


def started(start: Any, **values: Any) -> Any:
    """Start a payment and return its attempt as it is once Beem was asked."""
    payment = start(**values)
    run_due_jobs()
    return payment.attempts.get()


def hear(count: int = 1) -> None:
    """Wait for so many callbacks, and apply them."""
    deadline = time.monotonic() + 10
    while WebhookEvent.objects.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert WebhookEvent.objects.count() == count
    run_due_jobs()


def outcome(attempt: Any) -> tuple[str, str]:
    attempt.refresh_from_db()
    return attempt.payment.status, attempt.status


def test_page_is_paid(start, beem):
    """One prompt, one callback with its token, the money in both books."""
    attempt = started(start, method="hosted_checkout")
    assert attempt.status == "pending"
    assert attempt.checkout_url.startswith(f"{beem.base_url}/checkout/")

    beem.approve(reference=f"SAMPLE-{attempt.reference}")
    hear()

    assert outcome(attempt) == ("succeeded", "succeeded")
    books = beem.books()["beem"]
    assert books["prompts"] == {f"SAMPLE-{attempt.reference}": 1}
    assert books["money"]["TZS"]["captured"] == 1_500_000
    assert balances() == {"provider:beem": 1_500_000, "sales": -1_500_000}


def test_page_is_declined(start, beem):
    """The callback says so, and nothing is booked."""
    attempt = started(start, method="hosted_checkout")

    beem.decline(reference=f"SAMPLE-{attempt.reference}")
    hear()

    assert outcome(attempt) == ("failed", "failed")
    assert (balances(), beem.books()["beem"]["money"]) == ({}, {})


def test_number_is_paid_at_the_menu(start, beem):
    """Nobody is called; the collection alone tells. Its path is the only proof."""
    attempt = started(start, method="control_number", phone=None)

    beem.pay_bill(company="beem", number=attempt.payer_code, amount=15_000)
    hear()

    assert outcome(attempt) == ("succeeded", "succeeded")
    assert balances() == {"provider:beem": 1_500_000, "sales": -1_500_000}


def test_number_that_we_never_gave_is_held(beem):
    """The money is there all the same: in suspense, with a break."""
    beem.pay_bill(company="beem", number="000000000000", amount=700)
    hear()
    # Its attempt may come later, so it is looked for a few times first.
    while bring_forward(OutboxJob.objects.all()):
        run_due_jobs()

    assert balances() == {"provider:beem": 70_000, "suspense": -70_000}
    assert breaks() == [("unmatched", "open")]


def test_lost_answer_is_found_by_the_callback(start, beem):
    """The page was made, and its address never arrived: a later callback pays it."""
    beem.turn_dial(company="beem", start="cut_after", times=1)
    attempt = started(start, method="hosted_checkout")
    assert attempt.status == "unknown"

    beem.approve(reference=f"SAMPLE-{attempt.reference}")
    hear()

    assert outcome(attempt) == ("succeeded", "succeeded")
    assert beem.books()["beem"]["prompts"] == {f"SAMPLE-{attempt.reference}": 1}


def test_refused_keys_reject_the_attempt(start, beem):
    """The payer saw nothing."""
    beem.turn_dial(company="beem", start="expired_token")

    attempt = started(start, method="hosted_checkout")

    assert attempt.status == "rejected"
    assert beem.prompts() == []


def test_doubled_callback_counts_once(start, beem):
    beem.turn_dial(company="beem", callback="duplicate")
    attempt = started(start, method="hosted_checkout")

    beem.approve(reference=f"SAMPLE-{attempt.reference}")
    hear()
    time.sleep(0.5)
    run_due_jobs()

    assert balances() == {"provider:beem": 1_500_000, "sales": -1_500_000}


@pytest.mark.parametrize(
    ("phone", "status", "left"),
    [
        # Accepted is all that Beem says: a person closes it.
        ("0712345671", "pending", 500_000),
        ("0712345670", "pending", 0),
        ("0712345679", "rejected", 0),
        ("0712345678", "unknown", 500_000),
    ],
)
def test_payout_goes_out_once(beem, user, phone, status, left):
    """By the last digit: taken, taken and waiting, refused, a timeout after it was paid."""
    payout = services.create_payout(
        created_by=user,
        money=Money.from_major(5000, "TZS"),
        method="mobile_wallet",
        phone=phone,
        purpose="wages:7",
        description="Wages",
        idempotency_key="key-1",
    )
    run_due_jobs()
    services.poll_due()
    run_due_jobs()

    payout.refresh_from_db()
    assert payout.status == status
    money = beem.books()["beem"]["money"].get("TZS", {"paid_out": 0})
    assert money["paid_out"] == left


def test_site_is_taken_by_beem(beem):
    """Its own reading of the call, with the right keys and with wrong ones."""
    options = beem.options_of("beem")
    provider_registry.get("beem").allow_website("https://shop.example.com")
    stranger = BeemProvider(
        api_key="k", secret_key="s", checkout_base_url=options["checkout_base_url"]
    )

    with pytest.raises(NoAnswer, match="120"):
        stranger.allow_website("https://shop.example.com")
