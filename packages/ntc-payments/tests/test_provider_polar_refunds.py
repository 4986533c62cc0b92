"""Money that goes back through Polar; its subscriptions and customers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.http import AnswerUnreadable, NoAnswer, NotSent
from ntc_core.money import Money
from ntc_payments.providers.polar import PolarRefused, PortalSession, _refund_amount
from ntc_payments.testing.misbehaving import free_port
from ntc_payments.types import (
    CallHandle,
    Claim,
    FailureCode,
    RefundRequest,
    StartResult,
    Subject,
)

from tests.polar_samples import (
    CHECKOUT_ID,
    ORDER_ID,
    ORDERS,
    PAYLOADS,
    REFERENCE,
    VECTORS,
    listed,
    polar_order,
    polar_refund,
    provider_at,
)
from tests.scripted_company import ScriptedCompany, scripted_company

REFUND, REFUNDS = "POST /v1/refunds/", "GET /v1/refunds/"
REFUND_ID = PAYLOADS["refund.updated"]["id"]


def error_name(row: dict[str, Any]) -> str:
    """Return the name of a test about that error."""
    return f"{row['http']} {row['expected']}"


@pytest.fixture
def company():
    """Run a company with a script."""
    with scripted_company() as running:
        yield running


def refund(amount: str = "5900", **changes: Any) -> RefundRequest:
    """Return a refund of the sheet's order, by the sheet's reference."""
    values: dict[str, Any] = {
        "reference": "RF-1",
        "money": Money.from_major(amount, "TZS"),
        "payment_reference": REFERENCE,
        "payment_ref": CHECKOUT_ID,
        **changes,
    }
    return RefundRequest(**values)


def refunding(company: ScriptedCompany, *known: Any, **changes: Any) -> None:
    """Let the company know the order and those refunds of it."""
    company.answer(ORDERS, listed(polar_order(**changes)))
    company.answer(REFUNDS, listed(*known))


# Starting a refund.


def test_refund_goes_back_with_its_share_of_the_tax(company):
    """TZS 5,900 are 5,000 and 18 % of it; Polar is told 5,000."""
    refunding(company)
    company.answer(REFUND, polar_refund(), status=201)

    outcome = provider_at(company.base_url).start_refund(refund(reason="Too late"))

    assert outcome.result is StartResult.DONE
    assert outcome.money == Money.from_major(5_900, "TZS")
    assert outcome.provider_ref == REFUND_ID
    assert company.calls_to(ORDERS)[0].query["checkout_id"] == CHECKOUT_ID
    assert company.calls_to(REFUNDS)[0].query["order_id"] == ORDER_ID
    assert company.calls_to(REFUND)[0].body == {
        "order_id": ORDER_ID,
        "reason": "customer_request",
        "comment": "Too late",
        "amount": 500_000,
        "metadata": {"reference": "RF-1"},
    }


@pytest.mark.parametrize(
    ("reason", "sent"),
    [("", {"reason": "customer_request"}), ("duplicate", {"reason": "duplicate"})],
)
def test_reason_is_one_of_polars_or_a_comment(reason, sent, company):
    refunding(company)
    company.answer(REFUND, polar_refund(), status=201)

    provider_at(company.base_url).start_refund(refund(reason=reason))

    body = company.calls_to(REFUND)[0].body
    assert {name: body[name] for name in ("reason", "comment") if name in body} == sent


def test_all_that_is_left_goes_back_with_all_its_tax(company):
    """Even where the rounding of parts left an odd share."""
    refunding(company, refundable_amount=3, refundable_tax_amount=7)
    company.answer(REFUND, polar_refund(amount=3, tax_amount=7), status=201)

    outcome = provider_at(company.base_url).start_refund(refund("0.10"))

    assert company.calls_to(REFUND)[0].body["amount"] == 3
    assert outcome.money == Money(10, "TZS")


@pytest.mark.parametrize(
    ("amount", "changes"),
    [
        ("0.03", {}),  # 3 cents: 2 and a tax of 0, or 3 and a tax of 1
        ("29500.01", {}),
        ("5900", {"refundable_amount": 100, "refundable_tax_amount": 18}),
        ("5900", {"currency": "kes"}),
        ("5900", {"net_amount": 0, "tax_amount": 0}),
    ],
)
def test_amount_that_cannot_be_given_back_exactly_is_refused_before_the_call(
    amount, changes, company
):
    refunding(company, **changes)

    outcome = provider_at(company.base_url).start_refund(refund(amount))

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )
    assert "exactly" in outcome.failure_message
    assert company.calls_to(REFUND) == []


@given(net=st.integers(1, 10**9), percent=st.integers(0, 25), wanted=st.integers(1, 10**9))
def test_what_is_asked_for_always_comes_to_exactly_the_refund(net, percent, wanted):
    """Polar's rule: the tax of a part is rounded, the rest of an order takes all of its tax."""
    tax = round(net * percent / 100)
    data = {
        "currency": "tzs",
        "net_amount": net,
        "tax_amount": tax,
        "refundable_amount": net,
        "refundable_tax_amount": tax,
    }
    amount = _refund_amount(data, Money(wanted, "TZS"))

    possible = {net: tax} if wanted == net + tax else {}
    near = wanted * net // (net + tax)
    for one in range(max(near - 3, 1), min(near + 4, net)):
        if one + round(one * (tax / net)) == wanted:
            possible[one] = wanted - one
    assert (amount in possible) if possible else (amount is None)


def test_refund_that_polar_knows_is_not_asked_for_again(company):
    """After a lost answer: no second POST, and the first one's id."""
    refunding(company, polar_refund(metadata={}, id="OTHER"), polar_refund())

    outcome = provider_at(company.base_url).start_refund(refund())

    assert (outcome.result, outcome.provider_ref) == (StartResult.DUPLICATE, REFUND_ID)
    assert company.calls_to(REFUND) == []


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("pending", StartResult.ACCEPTED),
        ("succeeded", StartResult.DONE),
        ("failed", StartResult.REFUSED),
        ("canceled", StartResult.REFUSED),
        ("brand_new_word", StartResult.ACCEPTED),
    ],
)
def test_refund_may_be_done_at_once_or_later(status, result, company):
    refunding(company)
    company.answer(REFUND, polar_refund(status=status), status=201)

    assert provider_at(company.base_url).start_refund(refund()).result is result


@pytest.mark.parametrize(
    "row", VECTORS["errors"], ids=lambda row: f"{row['http']} {row['expected']}"
)
def test_error_to_a_refund_becomes_what_the_sheet_says(row, company):
    refunding(company)
    raw = row["body"].encode() if isinstance(row["body"], str) else json.dumps(row["body"]).encode()
    company.answer(REFUND, raw, status=row["http"], headers=row.get("headers"))
    provider = provider_at(company.base_url)

    if row["http"] == 502:
        with pytest.raises(NoAnswer):
            provider.start_refund(refund())
    elif row["http"] == 429:
        assert provider.start_refund(refund()).retry_after_seconds == 7.0
    else:
        assert provider.start_refund(refund()).result is StartResult.REFUSED
    assert len(company.calls_to(REFUND)) == 1


@pytest.mark.parametrize(
    "orders", [[], [polar_order(paid=False)], [polar_order(billing_reason="subscription_cycle")]]
)
def test_payment_without_a_paid_order_has_nothing_to_give_back(orders, company):
    company.answer(ORDERS, listed(*orders))

    outcome = provider_at(company.base_url).start_refund(refund(payment_ref=""))

    assert outcome.result is StartResult.REFUSED
    assert company.calls[0].query["metadata[reference]"] == REFERENCE


@pytest.mark.parametrize("broken", [ORDERS, REFUNDS])
def test_order_that_cannot_be_read_means_not_sent(broken, company):
    """Nothing left: the same refund may be tried again."""
    company.answer(broken, b"", status=500)
    refunding(company)

    with pytest.raises(NotSent):
        provider_at(company.base_url).start_refund(refund())
    assert company.calls_to(REFUND) == []


# Querying a refund.

BY_ID = CallHandle(reference="RF-1", provider_ref=REFUND_ID, parent_ref=CHECKOUT_ID)
BY_ORDER = CallHandle(reference="RF-1", parent_ref=CHECKOUT_ID)


def test_refund_is_found_by_its_id(company):
    company.answer(REFUNDS, listed(polar_refund()))

    [observation] = provider_at(company.base_url).query_refund(BY_ID)

    assert company.calls[0].query["id"] == REFUND_ID
    assert (observation.subject, observation.claim) == (Subject.REFUND, Claim.SUCCESS)
    assert observation.money == Money.from_major(5_900, "TZS")


def test_refund_of_a_lost_answer_is_found_among_those_of_the_order(company):
    refunding(company, polar_refund(metadata={"reference": "RF-0"}), polar_refund(status="pending"))

    [observation] = provider_at(company.base_url).query_refund(BY_ORDER)

    assert (observation.reference, observation.claim) == ("RF-1", Claim.ACCEPTED)


SAME_ORDER = f"GET /v1/orders/{BY_ORDER.parent_ref}"


@pytest.mark.parametrize("handle", [BY_ID, BY_ORDER])
@pytest.mark.parametrize("orders", [[], [polar_order()]])
def test_refund_that_polar_does_not_know_is_not_found(handle, orders, company):
    company.answer(ORDERS, listed(*orders))
    # Of a renewal the order itself would be named.
    company.answer(SAME_ORDER, {"error": "ResourceNotFound", "detail": "No."}, status=404)
    company.answer(REFUNDS, listed())

    [observation] = provider_at(company.base_url).query_refund(handle)

    assert (observation.subject, observation.claim) == (Subject.REFUND, Claim.NOT_FOUND)


def test_answer_about_another_refund_is_refused(company):
    company.answer(REFUNDS, listed(polar_refund(metadata={})))

    with pytest.raises(AnswerUnreadable, match="another reference"):
        provider_at(company.base_url).query_refund(BY_ID)


def test_refund_without_id_and_order_cannot_be_looked_up():
    with pytest.raises(NoAnswer):
        provider_at().query_refund(CallHandle(reference="RF-1"))


def test_query_that_never_left_is_not_sent():
    provider = provider_at(f"http://127.0.0.1:{free_port()}")

    for ask in (provider.query_refund, provider.query):
        with pytest.raises(NotSent):
            ask(BY_ID)
    with pytest.raises(NotSent):
        provider.start_refund(refund())


# Subscriptions.

SUBSCRIPTION = PAYLOADS["subscription.canceled"]
CHANGE = f"PATCH /v1/subscriptions/{SUBSCRIPTION['id']}"


@pytest.mark.parametrize(
    ("act", "sent"),
    [
        (lambda p, ref: p.cancel_subscription(ref), {"cancel_at_period_end": True}),
        (lambda p, ref: p.cancel_subscription(ref, at_period_end=False), {"revoke": True}),
        (lambda p, ref: p.keep_subscription(ref), {"cancel_at_period_end": False}),
        (lambda p, ref: p.revoke_subscription(ref), {"revoke": True}),
    ],
)
def test_subscription_ends_as_asked(act, sent, company):
    company.answer(CHANGE, SUBSCRIPTION)

    subscription = act(provider_at(company.base_url), SUBSCRIPTION["id"])

    assert company.calls[0].body == sent
    assert subscription.subscription_ref == SUBSCRIPTION["id"]
    assert subscription.ends_at == datetime(2026, 12, 22, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("trialing", "active"),
        ("active", "active"),
        ("past_due", "past_due"),
        ("unpaid", "past_due"),
        ("incomplete", "pending"),
        ("incomplete_expired", "canceled"),
        ("canceled", "canceled"),
        ("paused", "paused"),
        ("brand_new_word", "unknown"),
    ],
)
def test_state_of_a_subscription_in_our_words(status, state, company):
    company.answer(CHANGE, {**SUBSCRIPTION, "status": status, "ends_at": None})

    subscription = provider_at(company.base_url).keep_subscription(SUBSCRIPTION["id"])

    assert (subscription.state, subscription.ends_at) == (state, None)


@pytest.mark.parametrize(
    "row", VECTORS["errors"], ids=lambda row: f"{row['http']} {row['expected']}"
)
def test_error_to_a_change_is_raised_with_polars_name(row, company):
    """Once: a PATCH is never repeated."""
    raw = row["body"].encode() if isinstance(row["body"], str) else json.dumps(row["body"]).encode()
    company.answer(CHANGE, raw, status=row["http"], headers=row.get("headers"))
    provider = provider_at(company.base_url)

    with pytest.raises(NoAnswer if row["http"] == 502 else PolarRefused) as caught:
        provider.revoke_subscription(SUBSCRIPTION["id"])

    assert len(company.calls) == 1
    if row["http"] != 502:
        name = row["body"]["error"] if row["body"] else ""
        assert (caught.value.status, caught.value.code) == (row["http"], name)


# Customers.

CUSTOMER = PAYLOADS["order.paid"]["customer"]
LOOKUP = "GET /v1/customers/external/user%2F42"
CUSTOMERS, LIST = "POST /v1/customers/", "GET /v1/customers/"
MISSING = {"error": "ResourceNotFound", "detail": "(text)"}
EXISTS = {"error": "PolarRequestValidationError", "detail": [{"loc": ["body", "email"]}]}


def who(company: ScriptedCompany, **changes: Any) -> str:
    """Ask for the customer of our user."""
    values = {"external_id": "user/42", "email": "asha@example.com", **changes}
    return provider_at(company.base_url).get_or_create_customer(**values)


def test_known_customer_is_found_by_our_id(company):
    """Escaped: an id of ours may hold anything."""
    company.answer(LOOKUP, CUSTOMER)

    assert who(company) == CUSTOMER["id"]
    assert len(company.calls) == 1


@pytest.mark.parametrize(("name", "sent"), [("Asha", {"name": "Asha"}), ("", {})])
def test_new_customer_is_made(name, sent, company):
    company.answer(LOOKUP, MISSING, status=404)
    company.answer(CUSTOMERS, CUSTOMER, status=201)

    assert who(company, name=name) == CUSTOMER["id"]
    body = company.calls_to(CUSTOMERS)[0].body
    assert body == {"external_id": "user/42", "email": "asha@example.com", **sent}


def test_customer_known_by_address_only_is_linked(company):
    change = f"PATCH /v1/customers/{CUSTOMER['id']}"
    company.answer(LOOKUP, MISSING, status=404)
    company.answer(CUSTOMERS, EXISTS, status=422)
    company.answer(LIST, listed({**CUSTOMER, "email": "Asha@Example.com", "external_id": None}))
    company.answer(change, CUSTOMER)

    assert who(company) == CUSTOMER["id"]
    assert company.calls_to(change)[0].body == {"external_id": "user/42"}


@pytest.mark.parametrize("found", [[], [CUSTOMER], [{**CUSTOMER, "email": None}]])
def test_address_of_somebody_else_is_a_conflict(found, company):
    """Its id can never be changed, so it stays theirs."""
    company.answer(LOOKUP, MISSING, status=404)
    company.answer(CUSTOMERS, EXISTS, status=422)
    company.answer(LIST, listed(*found))

    with pytest.raises(PolarRefused) as caught:
        who(company)
    assert caught.value.status == 422


def test_customer_that_cannot_be_made_is_refused(company):
    company.answer(LOOKUP, MISSING, status=404)
    company.answer(CUSTOMERS, {"error": "NotPermitted", "detail": "x"}, status=403)

    with pytest.raises(PolarRefused, match="NotPermitted"):
        who(company)


@pytest.mark.parametrize(
    ("return_url", "sent"),
    [("", {}), ("https://a.example/me", {"return_url": "https://a.example/me"})],
)
def test_portal_session_is_made_per_click(return_url, sent, company):
    answer = {
        "customer_portal_url": "https://polar.sh/portal?token=x",
        "expires_at": "2026-11-23T01:00:00Z",
        "token": "x",
    }
    company.answer("POST /v1/customer-sessions/", answer, status=201)

    session = provider_at(company.base_url).create_portal_session("user_42", return_url)

    assert company.calls[0].body == {"external_customer_id": "user_42", **sent}
    assert session == PortalSession(
        url="https://polar.sh/portal?token=x", expires_at=datetime(2026, 11, 23, 1, tzinfo=UTC)
    )
