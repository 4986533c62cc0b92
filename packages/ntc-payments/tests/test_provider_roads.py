"""Polar and Beem behind the services and the webhook view: from the order to the money."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments.models import Payment
from ntc_payments.providers.beem import transaction_id_of

from tests.polar_samples import (
    CHECKOUT_ID,
    CHECKOUTS,
    PRODUCT,
    SECRET,
    delivery,
    event,
    polar_checkout,
    polar_order,
)
from tests.scripted_company import scripted_company

pytestmark = pytest.mark.django_db


@pytest.fixture
def scripted():
    """Run a company with a script."""
    with scripted_company() as running:
        yield running


def post(provider: str, body: bytes, headers: dict[str, str]) -> Any:
    """Deliver a webhook."""
    url = f"/api/v1/webhooks/payments/{provider}/"
    return Client().post(url, body, content_type="application/json", headers=headers)


def reload(payment: Payment) -> tuple[str, str]:
    """Return what became of the payment and its attempt."""
    payment.refresh_from_db()
    return payment.status, payment.attempts.get().status


def test_polar_page_then_paid_order(scripted, settings, start):
    """A renewal with the same reference is kept, and pays nothing."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "polar": {
            "access_token": "t",
            "webhook_secrets": SECRET,
            "product_id": PRODUCT,
            "base_url": scripted.base_url,
        }
    }
    scripted.answer(CHECKOUTS, polar_checkout(status="open"), status=201)
    payment = start(method="hosted_checkout", money=Money.from_major(29_500, "TZS"))
    run_due_jobs()
    attempt = payment.attempts.get()
    assert (attempt.status, attempt.provider_ref) == ("pending", CHECKOUT_ID)
    assert attempt.checkout_url == "https://polar.sh/checkout/polar_c_EXAMPLE"

    metadata = {"reference": attempt.reference}
    renewal = polar_order(id="O2", billing_reason="subscription_cycle", metadata=metadata)
    for webhook_id, data in [("evt_2", renewal), ("evt_1", polar_order(metadata=metadata))]:
        request = delivery(event("order.paid", data), webhook_id=webhook_id)
        assert post("polar", request.body, dict(request.headers)).status_code == 200
        run_due_jobs()
        paid = webhook_id == "evt_1"
        expected = ("succeeded", "succeeded") if paid else ("processing", "pending")
        assert reload(payment) == expected

    states = WebhookEvent.objects.values_list("dedupe_key", "state")
    assert dict(states) == {"evt_2": "unmatched", "evt_1": "processed"}


def test_beem_page_then_callback(scripted, settings, start):
    """Answered the way Beem wants it; a forged one changes nothing and is not stored."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "beem": {"api_key": "k", "secret_key": "s", "checkout_base_url": scripted.base_url}
    }
    scripted.answer("GET /v1/checkout", {"src": f"{scripted.base_url}/page"})
    payment = start(method="hosted_checkout")
    run_due_jobs()
    attempt = payment.attempts.get()
    assert (attempt.status, attempt.provider_ref) == (
        "pending",
        transaction_id_of(attempt.reference),
    )

    callback = {
        "amount": "15000",
        "referenceNumber": attempt.reference,
        "status": "success",
        "transactionID": attempt.provider_ref,
    }
    body = json.dumps(callback).encode()
    assert post("beem", body, {"beem-secure-token": "guess"}).status_code == 401
    assert not WebhookEvent.objects.exists()
    token = scripted.calls[0].headers["beem-secure-token"]
    answer = post("beem", body, {"beem-secure-token": token})
    run_due_jobs()

    assert (answer.status_code, answer.json()["transactionID"]) == (200, attempt.provider_ref)
    assert reload(payment) == ("succeeded", "succeeded")
