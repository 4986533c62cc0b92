"""Polar takes the exam; what it answers to a start and a question."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer
from ntc_core.money import Money
from ntc_core.webhooks.types import WebhookRequest
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.testing import PaymentProviderSuite
from ntc_payments.types import (
    Address,
    CallHandle,
    Claim,
    FailureCode,
    Observation,
    Payer,
    PaymentMethod,
    StartResult,
)

from tests.polar_samples import (
    CHECKOUT_ID,
    CHECKOUTS,
    ORDERS,
    PRODUCT,
    REFERENCE,
    SESSION,
    VECTORS,
    delivery,
    event,
    listed,
    order,
    polar_checkout,
    polar_order,
    provider_at,
)
from tests.scripted_company import ScriptedCompany, scripted_company


@pytest.fixture
def company():
    """Run a company with a script."""
    with scripted_company() as running:
        yield running


class TestPolarProvider(PaymentProviderSuite):
    """The exam."""

    def make_provider(self, base_url: str) -> PaymentProvider:
        return provider_at(base_url, total_timeout_seconds=0.5)

    def make_webhook(self, fact: Observation) -> WebhookRequest:
        metadata = {"reference": fact.reference}
        if fact.claim is Claim.FAILURE:
            data = polar_checkout(status="expired", metadata=metadata)
            return delivery(event("checkout.expired", data))
        minor = fact.money.minor
        return delivery(event("order.paid", polar_order(total_amount=minor, metadata=metadata)))


# Starting.


def opened(company: ScriptedCompany, **changes: Any) -> None:
    """Let the company open a session."""
    session = polar_checkout(status="open", **changes)
    company.answer(CHECKOUTS, session, status=201)


def test_checkout_request_holds_the_sheets(company):
    """Every field of the sample, and what makes the price the payment's."""
    [row] = VECTORS["requests"]
    opened(company)
    request = order(
        return_url="https://app.example.com/done",
        payer=Payer(external_id="user_42", email="asha@example.com"),
    )

    outcome = provider_at(company.base_url).start(request)

    [call] = company.calls
    assert f"{call.method} {call.path}" == CHECKOUTS
    for name, value in row["headers"].items():
        assert call.headers[name.lower()] == value
    sample = json.loads(row["body"])
    assert {name: call.body[name] for name in sample} == sample
    assert call.body["prices"] == {
        PRODUCT: [
            {
                "amount_type": "fixed",
                "price_amount": 2_950_000,
                "price_currency": "tzs",
                "tax_behavior": "inclusive",
            }
        ]
    }
    assert call.body["allow_discount_codes"] is False
    assert call.body.keys() == sample.keys() | {"prices", "allow_discount_codes"}
    assert (outcome.result, outcome.provider_ref) == (StartResult.ACCEPTED, CHECKOUT_ID)
    assert outcome.checkout_url == "https://polar.sh/checkout/polar_c_EXAMPLE"


def test_what_is_known_of_the_payer_fills_the_page(company):
    opened(company)
    payer = Payer(name="A" * 300, address=Address(city="Dar es Salaam", country="TZ"))

    provider_at(company.base_url).start(order(payer=payer, method=PaymentMethod.CARD))

    body = company.calls[0].body
    assert body["customer_name"] == "A" * 256
    assert body["customer_billing_address"] == {"country": "TZ"}
    assert not {"success_url", "customer_email", "external_customer_id"} & body.keys()


@pytest.mark.parametrize(
    ("return_url", "success_url"),
    [
        ("https://a.example/x?y=1", "https://a.example/x?y=1&checkout_id={CHECKOUT_ID}"),
        ("https://a.example/x?", "https://a.example/x?checkout_id={CHECKOUT_ID}"),
        ("https://a.example/x#top", "https://a.example/x?checkout_id={CHECKOUT_ID}#top"),
        ("https://a.example/%7BCHECKOUT_ID%7D/", "https://a.example/{CHECKOUT_ID}/"),
        ("https://a.example/?c={CHECKOUT_ID}", "https://a.example/?c={CHECKOUT_ID}"),
    ],
)
def test_place_for_the_checkout_id_is_not_escaped(return_url, success_url, company):
    opened(company)

    provider_at(company.base_url).start(order(return_url=return_url))

    assert company.calls[0].body["success_url"] == success_url


@pytest.mark.parametrize(
    ("money", "minor"),
    [
        (Money.from_major(2_000, "UGX"), 200_000),  # two decimals there, none in ISO 4217
        (Money.from_major("0.50", "USD"), 50),
        (Money.from_major(70, "KES"), 7_000),
    ],
)
def test_amount_is_in_polars_minor_units(money, minor, company):
    opened(company)

    provider_at(company.base_url).start(order(money=money))

    [price] = company.calls[0].body["prices"][PRODUCT]
    assert (price["price_amount"], price["price_currency"]) == (minor, money.currency.lower())
    data = polar_order(total_amount=minor, currency=money.currency.lower())
    assert provider_at().read_webhook(event("order.paid", data))[0].money == money


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/checkout", "https://" + "a" * 2000, None])
def test_page_must_be_an_address(url, company):
    opened(company, url=url)

    with pytest.raises(AnswerUnreadable):
        provider_at(company.base_url).start(order())


@pytest.mark.parametrize(
    "row", VECTORS["errors"], ids=lambda row: f"{row['http']} {row['expected']}"
)
def test_error_to_a_start_becomes_what_the_sheet_says(row, company):
    raw = row["body"].encode() if isinstance(row["body"], str) else json.dumps(row["body"]).encode()
    company.answer(CHECKOUTS, raw, status=row["http"], headers=row.get("headers"))
    provider = provider_at(company.base_url)

    if row["http"] == 502:
        with pytest.raises(NoAnswer):
            provider.start(order())
        assert len(company.calls) == 1
        return
    outcome = provider.start(order())

    if row["http"] == 429:
        assert (outcome.result, outcome.retry_after_seconds) == (StartResult.TRY_LATER, 7.0)
        return
    invalid = row["http"] == 422
    assert outcome.result is StartResult.REFUSED
    assert outcome.failure_code is (
        FailureCode.INVALID_REQUEST if invalid else FailureCode.PROVIDER_REFUSED
    )
    assert outcome.failure_message.startswith(row["body"]["error"])
    assert outcome.failure_message.endswith("email: (text)" if invalid else "(text)")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"<html>Attention required</html>"),
        (403, b"[]"),
        (404, b'{"detail": "Not Found"}'),
        (418, b'{"error": "Teapot", "detail": "x"}'),
        (307, b""),
    ],
)
def test_answer_that_polar_may_not_have_given_is_no_outcome(status, body, company):
    company.answer(CHECKOUTS, body, status=status)

    with pytest.raises(NoAnswer):
        provider_at(company.base_url).start(order())


@pytest.mark.parametrize("detail", [["text"], [{"loc": "email", "msg": "bad"}], None])
def test_error_in_an_odd_shape_is_still_a_refusal(detail, company):
    company.answer(CHECKOUTS, {"error": "Odd", "detail": detail}, status=422)

    outcome = provider_at(company.base_url).start(order())

    assert outcome.result is StartResult.REFUSED
    assert outcome.failure_message.startswith("Odd")


def test_version_that_is_gone_is_an_alarm(company, caplog):
    """A 404 to everything, or another version in the answers."""
    company.answer(CHECKOUTS, {"detail": "Not Found"}, status=404)
    company.answer(CHECKOUTS, polar_checkout(), status=201, headers={"Polar-Version": "2027-01"})
    company.answer(CHECKOUTS, polar_checkout(), status=201, headers={"Polar-Version": "2026-10"})
    provider = provider_at(company.base_url)

    alarms = []
    for _ in range(3):
        caplog.clear()
        with caplog.at_level(logging.ERROR, "ntc_payments"):
            try:
                provider.start(order())
            except NoAnswer:
                alarms.append("no answer")
        alarms += caplog.messages

    assert alarms == ["no answer", *["payment.api_version_unavailable"] * 2]


def test_version_is_an_option(company):
    opened(company)

    provider_at(company.base_url, api_version="2027-01").start(order())

    assert company.calls[0].headers["polar-version"] == "2027-01"


# Querying.

KNOWN = CallHandle(reference=REFERENCE, provider_ref=CHECKOUT_ID)
LOST = CallHandle(reference=REFERENCE)


def test_paid_order_is_found_by_the_checkout(company):
    company.answer(ORDERS, listed(polar_order()))

    [observation] = provider_at(company.base_url).query(KNOWN)

    assert (observation.claim, observation.provider_ref) == (Claim.SUCCESS, CHECKOUT_ID)
    assert observation.money == Money.from_major(29_500, "TZS")
    assert company.calls[0].query == {"checkout_id": CHECKOUT_ID, "limit": "100", "page": "1"}


def test_paid_order_of_a_lost_answer_is_found_by_our_reference(company):
    company.answer(ORDERS, listed(polar_order()))

    [observation] = provider_at(company.base_url).query(LOST)

    assert (observation.claim, observation.provider_ref) == (Claim.SUCCESS, CHECKOUT_ID)
    assert company.calls[0].query["metadata[reference]"] == REFERENCE


def test_lost_answer_without_an_order_is_not_found(company):
    """Nobody has the address of that page, so nobody pays there."""
    company.answer(ORDERS, listed())

    assert provider_at(company.base_url).query(LOST) == [
        Observation(reference=REFERENCE, claim=Claim.NOT_FOUND)
    ]


def test_two_paid_orders_under_one_reference_are_two_charges(company):
    company.answer(ORDERS, listed(polar_order(), polar_order(id="O2", checkout_id="C2")))

    observations = provider_at(company.base_url).query(LOST)

    assert [one.provider_ref for one in observations] == [CHECKOUT_ID, "C2"]


def test_renewal_does_not_pay_the_first_payment(company):
    company.answer(ORDERS, listed(polar_order(billing_reason="subscription_cycle")))

    [observation] = provider_at(company.base_url).query(LOST)

    assert observation.claim is Claim.NOT_FOUND


@pytest.mark.parametrize(
    ("order_status", "session", "claim", "code"),
    [
        (None, "open", Claim.ACCEPTED, None),
        (None, "confirmed", Claim.ACCEPTED, None),
        (None, "succeeded", Claim.ACCEPTED, None),  # the order is still to come
        (None, "expired", Claim.FAILURE, FailureCode.TIMED_OUT),
        (None, "failed", Claim.FAILURE, FailureCode.DECLINED),
        ("pending", "succeeded", Claim.ACCEPTED, None),
        ("pending", "expired", Claim.ACCEPTED, None),
        ("void", "succeeded", Claim.FAILURE, FailureCode.CANCELED),
        ("void", "open", Claim.ACCEPTED, None),
    ],
)
def test_without_a_paid_order_the_session_tells(order_status, session, claim, code, company):
    """Never a success; and no failure while money may still come."""
    orders = [polar_order(status=order_status, paid=False)] if order_status else []
    company.answer(ORDERS, listed(*orders))
    company.answer(SESSION, polar_checkout(status=session))

    [observation] = provider_at(company.base_url).query(KNOWN)

    assert (observation.claim, observation.failure_code) == (claim, code)
    assert observation.provider_ref == CHECKOUT_ID


@pytest.mark.parametrize(
    ("orders", "claim"), [([], Claim.NOT_FOUND), ([polar_order(paid=False)], Claim.ACCEPTED)]
)
def test_session_that_polar_does_not_know_is_not_found(orders, claim, company):
    company.answer(ORDERS, listed(*orders))
    company.answer(SESSION, {"error": "ResourceNotFound", "detail": "Not found"}, status=404)

    [observation] = provider_at(company.base_url).query(KNOWN)

    assert observation.claim is claim


def test_not_found_that_polar_did_not_say_says_nothing(company):
    """The version may have gone between two questions."""
    company.answer(ORDERS, listed())
    company.answer(SESSION, {"detail": "Not Found"}, status=404)

    with pytest.raises(NoAnswer):
        provider_at(company.base_url).query(KNOWN)


def test_answer_about_another_reference_is_refused(company):
    company.answer(ORDERS, listed(polar_order(metadata={"reference": "OTHER"})))
    company.answer(ORDERS, listed())
    company.answer(SESSION, polar_checkout(metadata={}))

    for _ in range(2):
        with pytest.raises(AnswerUnreadable, match="another reference"):
            provider_at(company.base_url).query(KNOWN)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": "ResourceNotFound", "detail": "Not found"}),
        (404, {"detail": "Not Found"}),
        (401, {"error": "invalid_token", "error_description": "expired"}),
        (200, {"items": []}),
        (200, {"items": [], "pagination": {"max_page": None}}),
        (200, {"items": None, "pagination": {"max_page": 1}}),
        (200, listed(pages=11)),
    ],
)
def test_list_that_is_none_says_nothing(status, body, company):
    """Above all not "not found": the version may be gone, or the token."""
    company.answer(ORDERS, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        provider_at(company.base_url).query(LOST)


def test_every_page_of_a_list_is_read(company):
    company.answer(ORDERS, listed("nonsense", pages=2))
    company.answer(ORDERS, listed(polar_order(), pages=2))

    [observation] = provider_at(company.base_url).query(LOST)

    assert observation.claim is Claim.SUCCESS
    assert [call.query["page"] for call in company.calls] == ["1", "2"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_question_to_a_busy_server_is_repeated(status, company):
    for _ in range(3):
        company.answer(ORDERS, b"<html>", status=status)
    company.answer(ORDERS, listed(polar_order()))

    [observation] = provider_at(company.base_url, total_timeout_seconds=10).query(LOST)

    assert observation.claim is Claim.SUCCESS
    assert len(company.calls) == 4


def test_question_is_repeated_three_times_and_no_more(company):
    company.answer(ORDERS, b"", status=503)

    with pytest.raises(NoAnswer):
        provider_at(company.base_url, total_timeout_seconds=10).query(LOST)
    assert len(company.calls) == 4


def test_question_is_not_repeated_past_its_deadline(company):
    """The server asks for more patience than the call has."""
    company.answer(ORDERS, b"", status=429, headers={"Retry-After": "60"})

    with pytest.raises(NoAnswer):
        provider_at(company.base_url).query(LOST)
    assert len(company.calls) == 1


def test_question_that_fails_otherwise_is_not_repeated(company):
    company.answer(ORDERS, b"", status=500)

    with pytest.raises(NoAnswer):
        provider_at(company.base_url).query(LOST)
    assert len(company.calls) == 1
