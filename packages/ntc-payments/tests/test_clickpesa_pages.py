"""ClickPesa: cards, hosted pages and control numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer
from ntc_core.money import Money
from ntc_payments.providers.clickpesa import ClickPesaProvider
from ntc_payments.types import (
    Claim,
    Payer,
    PaymentMethod,
    StartResult,
)

from tests.clickpesa_company import BODIES, Company, running_company
from tests.clickpesa_orders import (
    BILL,
    CARD,
    CHECKOUT,
    REFERENCE,
    handle,
    make_provider,
    order,
    row,
)


@pytest.fixture
def company() -> Iterator[Company]:
    """Return a company that knows a token and nothing else yet."""
    with running_company() as running:
        yield running


@pytest.fixture
def provider(company) -> ClickPesaProvider:
    return make_provider(company.base_url)


def test_card_is_in_dollars_with_two_decimals_and_a_customer(provider, company):
    company.answer(CARD, {"cardPaymentLink": "https://pay.example.test/c1", "clientId": "APPTEST"})
    money = Money.from_major("25.50", "USD")

    outcome = provider.start(order(PaymentMethod.CARD, money=money))
    provider.start(order(PaymentMethod.CARD, money=money, phone_e164=""))

    assert outcome.checkout_url == "https://pay.example.test/c1"
    first, second = (call.body for call in company.calls_to(CARD))
    assert (first["amount"], first["currency"]) == ("25.50", "USD")
    assert first["customer"] == {
        "fullName": "Asha Juma",
        "email": "asha@example.test",
        "phoneNumber": "255700000001",
    }
    assert "phoneNumber" not in second["customer"]


def test_page_is_made_for_shillings_and_dollars(company):
    company.answer(CHECKOUT, BODIES["checkout_link_ok"])
    provider = make_provider(company.base_url, callback_url="https://shop.example.test/hook")

    outcome = provider.start(order(PaymentMethod.HOSTED_CHECKOUT))
    provider.start(
        order(
            PaymentMethod.HOSTED_CHECKOUT,
            money=Money.from_major("7.50", "USD"),
            payer=Payer(),
            phone_e164="",
        )
    )

    assert (outcome.result, outcome.checkout_url) == (
        StartResult.ACCEPTED,
        "https://checkout.example.test/abc",
    )
    first, second = (call.body for call in company.calls_to(CHECKOUT))
    del first["checksum"], second["checksum"]
    assert first == {
        "totalPrice": "10000",
        "orderCurrency": "TZS",
        "orderReference": REFERENCE,
        "customerName": "Asha Juma",
        "customerEmail": "asha@example.test",
        "customerPhone": "255700000001",
        "description": "Ada",
        "callbackUrl": "https://shop.example.test/hook",
    }
    assert second == {
        "totalPrice": "7.50",
        "orderCurrency": "USD",
        "orderReference": REFERENCE,
        "description": "Ada",
        "callbackUrl": "https://shop.example.test/hook",
    }


@pytest.mark.parametrize("link", [None, "", "javascript:alert(1)", "https://a b"])
def test_link_that_is_none_is_unreadable(provider, company, link):
    company.answer(CHECKOUT, {"checkoutLink": link})

    with pytest.raises(AnswerUnreadable, match="checkoutLink"):
        provider.start(order(PaymentMethod.HOSTED_CHECKOUT))


def test_control_number_is_asked_for_by_digits_of_our_reference(provider, company):
    """For the exact amount; what the payer types is what the company answers."""
    company.answer(BILL, BODIES["control_number_ok"])

    outcome = provider.start(order(PaymentMethod.CONTROL_NUMBER))
    provider.start(order(PaymentMethod.CONTROL_NUMBER, description=""))
    provider.start(order(PaymentMethod.CONTROL_NUMBER, reference="ORDTEST0002"))

    assert (outcome.result, outcome.payer_code) == (StartResult.ACCEPTED, "55042914871931")
    first, second, third = (call.body for call in company.calls_to(BILL))
    assert first["billReference"].isdecimal()
    assert len(first["billReference"]) == 14
    assert first["billReference"] == second["billReference"] != third["billReference"]
    assert (first["billAmount"], first["billPaymentMode"]) == (10000, "EXACT")
    assert first["billDescription"] == "Ada"
    assert "billDescription" not in second


def test_control_number_that_is_none_is_unreadable(provider, company):
    company.answer(BILL, {"billPayNumber": None})

    with pytest.raises(AnswerUnreadable, match="control number"):
        provider.start(order(PaymentMethod.CONTROL_NUMBER))


def test_lost_control_number_is_found_again(provider, company):
    """The answer was cut; the number is asked for by what it must be."""
    company.answer(BILL, b"", status=0)
    with pytest.raises(NoAnswer):
        provider.start(order(PaymentMethod.CONTROL_NUMBER))
    number = company.calls_to(BILL)[0].body["billReference"]
    unknown = {"message": f"Invalid or missing payment: {number}"}
    company.answer(f"/payments/{number}", unknown, status=404)
    bill = {**BODIES["control_number_ok"], "billPayNumber": number}
    company.answer(f"/billpay/{number}", bill)

    [waiting] = provider.query(handle("control_number"))

    assert (waiting.claim, waiting.payer_code) == (Claim.ACCEPTED, number)
    assert waiting.reference == REFERENCE


def test_control_number_nobody_knows_is_not_found(provider, company):
    company.answer("/payments/123", [])
    company.answer("/billpay/123", {"message": "Invalid bill"}, status=404)
    company.answer("/billpay/123", b"<html>", status=404)
    company.answer("/billpay/123", {"billPayNumber": "124"})
    waiting = handle("control_number", payer_code="123")

    [observation] = provider.query(waiting)

    assert (observation.claim, observation.payer_code) == (Claim.NOT_FOUND, "")
    with pytest.raises(NoAnswer):
        provider.query(waiting)
    with pytest.raises(AnswerUnreadable, match="another control number"):
        provider.query(waiting)


def test_paid_control_number_is_a_success_under_our_reference(provider, company):
    company.answer("/payments/123", [row(orderReference="123")])

    [paid] = provider.query(handle("control_number", payer_code="123"))

    assert (paid.reference, paid.claim) == (REFERENCE, Claim.SUCCESS)
