"""Every order of what a company tells, with repetitions, ends the same: on the real code."""

from __future__ import annotations

import json
import uuid
from collections import Counter

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import Break, PaymentAttempt

from tests.books import balances
from tests.test_observing import PRICE, announced, require_lawful_history

__all__ = ["announced"]  # a fixture

pytestmark = pytest.mark.django_db

TOLD = "tests.companies.TellingProvider"
CLAIMS = {"pending": "accepted", "failed": "failure", "success": "success", "reversed": "reversed"}
#: fact that is true in the end -> attempt, payment, what is booked, what is announced.
ENDS = {
    "reversed": ("reversed", "succeeded", 0, {"payment_succeeded": 1, "payment_reversed": 1}),
    "success": ("succeeded", "succeeded", PRICE.minor, {"payment_succeeded": 1}),
    "failed": ("failed", "failed", 0, {}),
    "pending": ("pending", "processing", 0, {}),
}


def fact(name: str, attempt: PaymentAttempt) -> dict[str, object]:
    """Return what the company tells; a refund is of a reference that we never made."""
    values = {"reference": attempt.reference, "ref": f"T{attempt.pk}", "minor": PRICE.minor}
    if name == "refund":
        return {**values, "claim": "success", "subject": "refund", "reference": "RNOTOURS"}
    return {**values, "claim": CLAIMS[name]}


def tell(name: str, attempt: PaymentAttempt) -> None:
    """Deliver it as a webhook with an event id of its own, or let us ask."""
    if name == "poll":
        services.poll_attempt(attempt_id=attempt.pk)
        return
    response = Client().post(
        "/api/v1/webhooks/payments/told/",
        json.dumps([fact(name, attempt)]),
        "application/json",
        headers={"X-Key": "right", "X-Id": str(uuid.uuid4())},
    )
    assert response.status_code == 200
    run_due_jobs()


def truth_of(names: list[str]) -> str:
    """Return the last thing that happened to the money."""
    return next(name for name in ENDS if name in names or name == "pending")


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    names=st.sets(st.sampled_from([*CLAIMS, "refund"]), min_size=1),
    data=st.data(),
)
def test_every_order_ends_the_same(start, settings, announced, names, data):
    """Webhooks before, between and after our own queries, each any number of times."""
    truth = truth_of(sorted(names))
    options = {"class": TOLD, "truth": []}
    settings.NTC_PAYMENT_PROVIDERS = {"told": options}
    payment = start(method="control_number", idempotency_key=str(uuid.uuid4()))
    attempt = payment.attempts.get()
    settings.NTC_PAYMENT_PROVIDERS = {"told": {**options, "truth": [fact(truth, attempt)]}}
    repeats = data.draw(st.lists(st.sampled_from([*sorted(names), "poll"]), max_size=4))
    order = data.draw(st.permutations([*sorted(names), *repeats]))
    before = Counter(balances())
    announced.clear()
    if data.draw(st.booleans()):
        run_due_jobs()

    for name in order:
        tell(name, attempt)
    run_due_jobs()
    tell("poll", attempt)
    run_due_jobs()

    status, payment_status, booked, told = ENDS[truth]
    payment.refresh_from_db()
    attempt.refresh_from_db()
    change = Counter(balances())
    change.subtract(before)
    assert (attempt.status, payment.status) == (status, payment_status)
    assert attempt.captured_minor == booked
    assert {name: minor for name, minor in change.items() if minor} == (
        {"provider:told": booked, "sales": -booked} if booked else {}
    )
    once = ("payment_succeeded", "payment_reversed", "payment_duplicate_charge")
    assert {name: announced[name] for name in once if announced[name]} == told
    kinds = set(Break.objects.filter(attempt=attempt, state="open").values_list("kind", flat=True))
    assert kinds == ({"reversed"} if truth == "reversed" else set())
    require_lawful_history(payment)
