"""Selcom behind the services and the webhook view."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from ntc_core.outbox.services import run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services
from ntc_payments.models import PaymentAttempt

from tests.scripted_company import scripted_company
from tests.selcom_company import (
    BODIES,
    KEY,
    SECRET,
    TOKEN,
    order_row,
    webhook,
)

NOTIFICATION = {
    "operator": "MPESA-TZ",
    "transid": "MP000002",
    "reference": "0289990001",
    "utilityref": "123456789012",
    "amount": "25000",
    "msisdn": "255700000001",
}


@pytest.fixture
def scripted():
    """Run a Selcom that answers what the test says."""
    with scripted_company() as company:
        yield company


@pytest.fixture
def selcom(start, settings, scripted):
    """Configure Selcom alone, with the secret suffix in its path."""
    settings.NTC_WEBHOOK_PATH_SECRET = "suffix-of-the-path-0001"
    settings.NTC_PAYMENT_PROVIDERS = {
        "selcom": {
            "base_url": scripted.base_url,
            "api_key": KEY,
            "api_secret": SECRET,
            "vendor": "TILL60000001",
            "c2b_token": TOKEN,
        }
    }
    return scripted


def post(action: str, body: bytes | dict[str, Any], **headers: str) -> Any:
    """Call us as Selcom does."""
    url = f"/api/v1/webhooks/payments/selcom-suffix-of-the-path-0001/{action}"
    data = body if isinstance(body, bytes) else json.dumps(body)
    return Client().post(url, data, content_type="application/json", headers=headers)


@pytest.mark.django_db
def test_number_is_looked_up_validated_paid_and_settled_once(selcom, start):
    """No call to Selcom is needed for any of it."""
    payment = start(method="control_number")
    run_due_jobs()
    number = PaymentAttempt.objects.get().payer_code
    question = {**NOTIFICATION, "utilityref": number, "amount": "15000"}
    bearer = {"Authorization": f"Bearer {TOKEN}"}

    looked_up = post("lookup/", {**question, "amount": 0}, **bearer)
    too_little = post("validation", {**question, "amount": "14999"}, **bearer)
    stranger = post("lookup", question, Authorization="Bearer guess")
    notified = [post("notification/", question, **bearer) for _ in range(2)]
    run_due_jobs()

    payment.refresh_from_db()
    assert (looked_up.json()["resultcode"], looked_up.json()["amount"]) == ("000", 15000)
    assert too_little.json()["resultcode"] == "015"
    assert stranger.status_code == 401
    assert [one.json()["reference"] for one in notified] == ["0289990001"] * 2
    assert WebhookEvent.objects.count() == 1
    assert (payment.status, PaymentAttempt.objects.get().provider_ref) == (
        "succeeded",
        "0289990001",
    )
    assert post("lookup", question, **bearer).json()["resultcode"] == "010"
    assert selcom.calls == []


@pytest.mark.django_db
def test_forged_webhook_of_an_order_only_makes_us_ask(selcom, start):
    """The order's own status decides: first not paid, then paid."""
    selcom.answer("POST /v1/checkout/create-order-minimal", BODIES["create_order_minimal_ok"])
    selcom.answer("POST /v1/checkout/wallet-payment", BODIES["wallet_payment_ok"])
    payment = start()
    run_due_jobs()
    reference = PaymentAttempt.objects.get().reference
    row = {"order_id": reference, "amount": "15000"}
    status = "GET /v1/checkout/order-status"
    selcom.answer(status, order_row(**row, payment_status="PENDING"))
    selcom.answer(status, order_row(**row))
    planned_at = PaymentAttempt.objects.get().next_poll_at

    forged = post("", webhook(signed=False, order_id=reference, amount="15000").body)
    run_due_jobs()

    attempt = PaymentAttempt.objects.get()
    assert forged.status_code == 200
    assert (attempt.status, attempt.provider_ref) == ("pending", "")
    assert attempt.next_poll_at < planned_at
    for expected in ("processing", "succeeded"):
        services.poll_attempt(attempt_id=attempt.pk)
        payment.refresh_from_db()
        assert payment.status == expected
    assert len(selcom.calls_to("POST /v1/checkout/wallet-payment")) == 1
