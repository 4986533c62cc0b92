"""A company asks, while the payer waits, whether a number can be paid."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing import assert_error
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services
from ntc_payments.models import Payment, PaymentAttempt
from ntc_payments.types import Inquiry

pytestmark = pytest.mark.django_db

BASE = "/api/v1/webhooks/payments/told"
NUMBER = "99001"


@pytest.fixture
def numbered(start, settings) -> Payment:
    """Return a payment that waits on a control number."""
    options = {"class": "tests.companies.TellingProvider", "outcome": {"payer_code": NUMBER}}
    settings.NTC_PAYMENT_PROVIDERS = {"told": options}
    payment = start(method="control_number")
    run_due_jobs()
    return payment


def ask(action: str, body: Any = None, *, base: str = BASE, key: str = "right") -> Any:
    """Ask as the company does."""
    data = body if isinstance(body, bytes) else json.dumps({"number": NUMBER, **(body or {})})
    return Client().post(
        f"{base}/{action}", data, content_type="application/json", headers={"X-Key": key}
    )


@pytest.mark.parametrize("action", ["lookup", "lookup/", "validation", "validation/"])
def test_number_that_waits_is_payable(numbered, action):
    """With what is due and for what, in the company's own form; nothing is stored."""
    response = ask(action)

    assert response.status_code == 200
    assert response.json() == {
        "action": action.rstrip("/"),
        "verdict": "payable",
        "due": "15000.00",
        "text": "Plan, one month",
    }
    assert not WebhookEvent.objects.exists()
    assert PaymentAttempt.objects.get().status == "pending"


@pytest.mark.parametrize(
    ("amount", "verdict"),
    [
        ({}, "payable"),
        ({"amount_minor": 0}, "payable"),
        ({"amount_minor": 1_500_000}, "payable"),
        ({"amount_minor": 1_499_999}, "too_low"),
        ({"amount_minor": 1_500_001}, "too_high"),
        ({"amount_minor": 1_500_000, "currency": "USD"}, "invalid_amount"),
        ({"amount_minor": -1}, "invalid_amount"),
    ],
)
def test_amount_is_judged_before_the_payer_pays_it(numbered, amount, verdict):
    """To the cent, and in every case with what is due."""
    answer = ask("validation", amount).json()

    assert (answer["verdict"], answer["due"]) == (verdict, "15000.00")


@pytest.mark.parametrize(
    "end", ["unknown", "empty", "paid", "failed", "canceled", "expired", "other company"]
)
def test_what_cannot_be_paid_is_unknown(numbered, end):
    """So that the company returns the money by itself; what it was is not told."""
    number = {"unknown": "99002", "empty": ""}.get(end, NUMBER)
    if end in {"failed", "canceled"}:
        Payment.objects.update(status=end)
    if end == "paid":
        PaymentAttempt.objects.update(status="succeeded")
    if end == "expired":
        Payment.objects.update(expires_at=timezone.now())
    if end == "other company":
        PaymentAttempt.objects.update(provider="else")

    answer = ask("lookup", {"number": number}).json()

    assert (answer["verdict"], answer["due"], answer["text"]) == ("unknown", None, "")


def test_our_reference_is_a_number_too(numbered):
    """Where the payer types that."""
    reference = numbered.attempts.get().reference

    assert ask("lookup", {"number": reference}).json()["verdict"] == "payable"


def test_inquiry_is_answered_in_one_query(numbered, django_assert_num_queries):
    """The company waits some seconds, and then gives the money back."""
    inquiry = Inquiry(action="lookup", payer_code=NUMBER)

    with django_assert_num_queries(1):
        reply = services.answer_inquiry(provider="told", inquiry=inquiry)

    assert reply.verdict == "payable"


def test_forged_inquiry_is_refused(numbered):
    """And says nothing about the number."""
    assert_error(ask("lookup", key="wrong"), 401, code="signature_invalid")
    assert_error(ask("notification", b"[]", key="wrong"), 401)
    assert not WebhookEvent.objects.exists()
    assert not OutboxJob.objects.filter(task__contains="webhook").exists()


@pytest.mark.parametrize("body", [b"", b"{}", b"not json"])
def test_unreadable_inquiry_is_refused(numbered, body):
    """400 in the envelope."""
    assert_error(ask("lookup", body), 400)


@pytest.mark.parametrize("action", ["balance", "lookup/more", "Lookup"])
def test_action_that_the_provider_does_not_name_is_not_found(numbered, action):
    """Neither an inquiry nor a webhook."""
    assert_error(ask(action), 404)


@pytest.mark.parametrize("action", ["notification", "notification/"])
def test_other_actions_of_the_provider_are_webhooks(numbered, action):
    """Stored, acknowledged its way, applied by the job."""
    fact = {"reference": NUMBER, "claim": "success", "minor": 1_500_000, "ref": "T1"}

    response = ask(action, json.dumps([fact]).encode())
    run_due_jobs()

    numbered.refresh_from_db()
    assert (response.status_code, response.content) == (200, b'{"taken": true}')
    assert numbered.status == "succeeded"


@pytest.mark.parametrize("action", ["", "lookup", "notification"])
def test_company_that_does_not_sign_is_known_by_the_path(numbered, settings, action):
    """Without the secret there is nothing at all, not even a wrong signature."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {"class": "tests.companies.TellingProvider", "signs": False}
    }
    settings.NTC_WEBHOOK_PATH_SECRET = "s3cret"
    body = {} if action == "lookup" else b"[]"

    for base in (BASE, f"{BASE}-", f"{BASE}-guess"):
        assert_error(ask(action, body, base=base), 404)
    assert not WebhookEvent.objects.exists()

    assert ask(action, body, base=f"{BASE}-s3cret").status_code == 200
