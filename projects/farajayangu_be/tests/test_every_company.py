"""Pay for a plan by each company and each of its ways, over the project's own HTTP API."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest
from apps.accounts.models import User
from apps.common import demo
from apps.subscriptions.models import Plan
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.testing import assert_success
from ntc_payments.services import poll_due
from ntc_payments.testing import RunningSimulator, running_simulator

pytestmark = pytest.mark.django_db(transaction=True)

API = "/api/v1"
PHONE = "+255754100001"

#: Each company's ways in shillings; ClickPesa's cards are in dollars only.
WAYS = [
    ("selcom", "mobile_push"),
    ("selcom", "hosted_checkout"),
    ("selcom", "card"),
    ("selcom", "control_number"),
    ("clickpesa", "mobile_push"),
    ("clickpesa", "hosted_checkout"),
    ("clickpesa", "control_number"),
    ("beem", "hosted_checkout"),
    ("beem", "control_number"),
    ("polar", "hosted_checkout"),
    ("polar", "card"),
]


@pytest.fixture
def companies(settings, live_server) -> Any:
    """Run all four companies, and let each of them call this project back."""
    secret = settings.NTC_WEBHOOK_PATH_SECRET = secrets.token_hex(16)
    hooks = f"{live_server.url}{API}/webhooks/payments"
    with running_simulator() as simulator:
        settings.NTC_PAYMENT_PROVIDERS = {
            name: simulator.options_of(name, callback_url=f"{hooks}/{name}-{secret}/")
            | ({"disbursement_account": "ACC-1"} if name == "beem" else {})
            for name in ("selcom", "clickpesa", "beem", "polar")
        }
        yield simulator


@pytest.fixture
def buyer(api_client) -> Any:
    """Return the client of a customer with a proven phone."""
    demo.seed()
    user = User.objects.create_user(
        phone=PHONE,
        email="asha@example.com",
        password="maji-ya-kunywa-7",
        full_name="Asha Juma",
        phone_verified_at=timezone.now(),
    )
    api_client.force_authenticate(user)
    return api_client


def time_passes() -> None:
    """Let polls come due and jobs run."""
    poll_due()
    bring_forward(OutboxJob.objects.all())
    run_due_jobs()


def pay(simulator: RunningSimulator, company: str, payment: dict[str, Any], price: str) -> None:
    """Do what the payer does."""
    action = payment["next_action"]
    if action["type"] == "pay_control_number":
        simulator.pay_bill(
            company=company, number=action["payer_code"], amount=int(price.partition(".")[0])
        )
        return
    [prompt] = [each for each in simulator.prompts() if each["company"] == company]
    simulator.approve(reference=prompt["reference"])


@pytest.mark.parametrize(("company", "method"), WAYS)
def test_plan_is_paid(companies, buyer, company, method):
    """Started, shown what to do, paid, told by the company, active."""
    plan = Plan.objects.filter(amount_minor__gte=200_000).order_by("amount_minor").first()
    assert plan is not None
    answer = buyer.post(
        f"{API}/subscriptions/",
        {"plan": str(plan.uid), "method": method, "provider": company},
        headers={"Idempotency-Key": f"{company}-{method}"},
    )
    uid = assert_success(answer, 201)["payment"]["uid"]
    run_due_jobs()
    payment = assert_success(buyer.get(f"{API}/payments/{uid}/"))
    assert payment["provider"] == company

    pay(companies, company, payment, plan.price.to_major())

    deadline = time.monotonic() + 20
    while payment["status"] != "succeeded" and time.monotonic() < deadline:
        time_passes()
        time.sleep(0.2)
        payment = assert_success(buyer.get(f"{API}/payments/{uid}/"))
    time_passes()
    subscription = assert_success(buyer.get(f"{API}/subscriptions/me/"))
    assert (payment["status"], subscription["status"]) == ("succeeded", "active")
    assert companies.books()[company]["money"]["TZS"]["captured"] == plan.amount_minor
