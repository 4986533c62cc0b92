"""W3 of the fault matrix: every order of what a company tells, with repetitions, ends the same.

On the real code. In every test run some orders, in the fault run 2,000 of each kind.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from django.test import Client, override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.errors import CannotRefund
from ntc_payments.models import Break, Payment, PaymentAttempt

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


def company(**truth: Any) -> override_settings:
    """Return a context in which the company, asked, answers this."""
    return override_settings(NTC_PAYMENT_PROVIDERS={"told": {"class": TOLD, **truth}})


def truth_of(names: list[str]) -> str:
    """Return the last thing that happened to the money."""
    return next(name for name in ENDS if name in names or name == "pending")


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


NAMES = st.sets(st.sampled_from([*CLAIMS, "refund"]), min_size=1)


@examples(80)
@given(names=NAMES, data=st.data())
def test_every_order_ends_the_same(start, announced, names, data):
    """Webhooks before, between and after our own queries, each any number of times."""
    require_same_end(start, announced, names=names, data=data)


@pytest.mark.faults
@examples(2000)
@given(names=NAMES, data=st.data())
def test_each_of_2000_orders_ends_the_same(start, announced, names, data):
    require_same_end(start, announced, names=names, data=data)


def require_same_end(start: Any, announced: Counter[str], *, names: set[str], data: Any) -> None:
    truth = truth_of(sorted(names))
    with company(truth=[]):
        payment = start(method="control_number", idempotency_key=str(uuid.uuid4()))
    attempt = payment.attempts.get()
    repeats = data.draw(st.lists(st.sampled_from([*sorted(names), "poll"]), max_size=4))
    order = data.draw(st.permutations([*sorted(names), *repeats]))
    before = Counter(balances())
    announced.clear()
    with company(truth=[fact(truth, attempt)]):
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


# A refund of ours.

#: What becomes of the refund -> its status, what is given back, and the break that is open.
REFUND_ENDS = {
    "success": ("succeeded", PRICE.minor, set()),
    "failure": ("failed", 0, {"refund_failed"}),
}
TOLD_OF_REFUNDS = st.lists(
    st.sampled_from(["pending", "failed", "success", "ask", "refund", "poll", "poll_refund"]),
    max_size=12,
)


@examples(80)
@given(order=TOLD_OF_REFUNDS, end=st.sampled_from(sorted(REFUND_ENDS)))
def test_every_order_with_a_refund_ends_the_same(start, order, end):
    """Staff ask for a refund as soon as there is money, or later; news of both mix."""
    require_same_end_of_refund(start, order=order, end=end)


@pytest.mark.faults
@examples(2000)
@given(order=TOLD_OF_REFUNDS, end=st.sampled_from(sorted(REFUND_ENDS)))
def test_each_of_2000_orders_with_a_refund_ends_the_same(start, order, end):
    require_same_end_of_refund(start, order=order, end=end)


def require_same_end_of_refund(start: Any, *, order: list[str], end: str) -> None:
    with company(truth=[], refund_truth=[{"claim": "accepted"}]):
        payment = start(method="control_number", idempotency_key=str(uuid.uuid4()))
        attempt = payment.attempts.get()
        run_due_jobs()
    before = Counter(balances())
    truth = [fact("success", attempt)]
    with company(truth=truth, refund_truth=[{"claim": "accepted"}]):
        for name in order:
            tell_of_refund(name, payment, end=end)
    # In the end everything has been told once, in the order in which it happened.
    with company(truth=truth, refund_truth=[{"claim": end}]):
        for name in ("success", "poll", "ask", "poll_refund", "refund"):
            tell_of_refund(name, payment, end=end)

    status, given_back, breaks = REFUND_ENDS[end]
    payment.refresh_from_db()
    attempt.refresh_from_db()
    [refund] = payment.refunds.all()
    change = Counter(balances())
    change.subtract(before)
    assert (payment.status, attempt.status, refund.status) == ("succeeded", "succeeded", status)
    assert attempt.captured_minor == PRICE.minor
    assert attempt.refunded_minor == attempt.refund_reserved_minor == given_back
    assert change["provider:told"] == PRICE.minor - given_back
    assert sum(change.values()) == 0
    kinds = Break.objects.filter(payment=payment, state="open").values_list("kind", flat=True)
    assert set(kinds) == breaks
    require_lawful_history(payment)


def tell_of_refund(name: str, payment: Payment, *, end: str) -> None:
    """Let the company tell, or us ask, or staff give the money back once there is some."""
    attempt = payment.attempts.get()
    refund = payment.refunds.first()
    if name in CLAIMS or name == "poll":
        tell(name, attempt)
    elif name == "ask":
        with suppress(CannotRefund):
            services.refund_payment(payment=payment, reason="Rain", idempotency_key="once")
    elif refund is None:
        return  # nobody knows of one yet
    elif name == "poll_refund":
        services.poll_refund(refund_id=refund.pk)
    else:
        response = Client().post(
            "/api/v1/webhooks/payments/told/",
            json.dumps([{"claim": end, "subject": "refund", "reference": refund.reference}]),
            "application/json",
            headers={"X-Key": "right", "X-Id": str(uuid.uuid4())},
        )
        assert response.status_code == 200
    run_due_jobs()
