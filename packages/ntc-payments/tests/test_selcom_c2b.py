"""Selcom's control numbers: asked about, paid, queried."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer
from ntc_core.money import Money
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest
from ntc_payments.types import (
    Claim,
    Inquiry,
    InquiryReply,
    InquiryVerdict,
    Observation,
    PaymentMethod,
    StartResult,
    Trust,
)

from tests.scripted_company import scripted_company
from tests.selcom_company import (
    BODIES,
    REFERENCE,
    TOKEN,
    call,
    envelope,
    handle,
    make_provider,
    order,
)

QUERY_C2B = "GET /v1/c2b/query-status"
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
def provider():
    """Return a provider that calls nobody."""
    return make_provider("http://127.0.0.1:1")


def authorized(fields: Any, *, token: str = TOKEN) -> WebhookRequest:
    """Return a C2B call."""
    return call(fields, {"authorization": f"Bearer {token}"})


def test_control_number_needs_no_call(provider):
    """Twelve digits, the same ones each time, others for another reference."""
    outcome = provider.start(order(method=PaymentMethod.CONTROL_NUMBER))
    again = provider.start(order(method=PaymentMethod.CONTROL_NUMBER))
    codes = {
        provider.start(
            order(method=PaymentMethod.CONTROL_NUMBER, reference=f"P{number:019}")
        ).payer_code
        for number in range(500)
    }

    assert outcome == again
    assert outcome.result is StartResult.ACCEPTED
    assert all(len(code) == 12 and code.isdecimal() and code[0] != "0" for code in codes)
    assert len(codes) == 500
    # Payers have it on paper: another version must not make another number of it.
    assert outcome.payer_code == "462256052804"


def test_notification_is_money(provider):
    """With Selcom's own number of it, which the answer repeats."""
    request = authorized(NOTIFICATION)

    verified = provider.open_webhook(request)

    assert verified.event_type == "notification"
    assert json.loads(verified.ack.body)["reference"] == "0289990001"
    assert json.loads(verified.ack.body)["resultcode"] == "000"
    assert provider.read_webhook(request.body) == [
        Observation(
            reference="123456789012",
            claim=Claim.SUCCESS,
            money=Money.from_major(25_000, "TZS"),
            provider_ref="0289990001",
            trust=Trust.STRONG,
        )
    ]


def test_notification_is_known_by_its_reference(provider):
    """As Selcom asks."""
    first = provider.open_webhook(authorized(NOTIFICATION))
    again = provider.open_webhook(authorized({**NOTIFICATION, "transid": "other"}))
    other = provider.open_webhook(authorized({**NOTIFICATION, "reference": "0289990002"}))

    assert first.dedupe_key == again.dedupe_key != other.dedupe_key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
    ],
)
def test_money_and_questions_need_the_token(provider, headers):
    """An order's signature, or the fields of an order, do not stand for it."""
    disguised = {**NOTIFICATION, "order_id": REFERENCE, "payment_status": "COMPLETED"}
    for body in (NOTIFICATION, disguised):
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(call(body, headers))
    with pytest.raises(SignatureInvalid):
        provider.open_inquiry(call(NOTIFICATION, headers), action="lookup")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer "}])
def test_without_a_token_nothing_is_proven(headers):
    """An empty token is none."""
    provider = make_provider("http://127.0.0.1:1", c2b_token="")

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(call(NOTIFICATION, headers))


@pytest.mark.parametrize(
    ("amount", "money"),
    [
        ({"amount": "25000"}, Money.from_major(25_000, "TZS")),
        ({"amount": 25000}, Money.from_major(25_000, "TZS")),
        ({"amount": "0"}, None),
        ({"amount": 0}, None),
        ({}, None),
    ],
)
def test_question_is_read(provider, amount, money):
    """A lookup has no amount, and 0 asks for it."""
    fields = {key: text for key, text in NOTIFICATION.items() if key != "amount"}

    inquiry = provider.open_inquiry(authorized({**fields, **amount}), action="validation")

    assert inquiry == Inquiry(
        action="validation",
        payer_code="123456789012",
        company_ref="0289990001",
        money=money,
    )


def test_number_may_come_as_a_number(provider):
    """Nobody says that it is a text; `true` is none of both."""
    body = {**NOTIFICATION, "utilityref": 123456789012}

    assert provider.read_webhook(json.dumps(body).encode())[0].reference == "123456789012"
    with pytest.raises(PayloadUnreadable):
        provider.read_webhook(json.dumps({**body, "utilityref": True}).encode())


def test_question_with_a_strange_amount_is_unreadable(provider):
    """So is money."""
    odd = {**NOTIFICATION, "amount": "lots"}

    with pytest.raises(PayloadUnreadable):
        provider.open_inquiry(authorized(odd), action="validation")
    with pytest.raises(PayloadUnreadable):
        provider.read_webhook(json.dumps(odd).encode())


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (InquiryVerdict.PAYABLE, "000"),
        (InquiryVerdict.UNKNOWN, "010"),
        (InquiryVerdict.INVALID_AMOUNT, "012"),
        (InquiryVerdict.TOO_HIGH, "014"),
        (InquiryVerdict.TOO_LOW, "015"),
    ],
)
def test_each_reply_has_its_code(provider, verdict, code):
    """With the echo of the question; and what is due, where we know it."""
    inquiry = Inquiry(action="lookup", payer_code="1", company_ref="0289990001")
    due = Money.from_major(25_000, "TZS")

    told = provider.answer_inquiry(
        inquiry, InquiryReply(verdict=verdict, money=due, description="Plan")
    )
    bare = provider.answer_inquiry(inquiry, InquiryReply(verdict=verdict))

    answer = json.loads(told.body)
    assert (told.status, answer["resultcode"], answer["reference"]) == (200, code, "0289990001")
    assert (answer["result"] == "SUCCESS") is (code == "000")
    assert (answer["amount"], answer["name"]) == (25000, "Plan")
    assert not {"amount", "name"} & set(json.loads(bare.body))


def test_number_is_on_its_way_until_somebody_pays(provider):
    """There is nobody to ask, and nothing to withdraw."""
    waiting = handle(method="control_number", payer_code="123456789012")

    provider.cancel(waiting)
    [observation] = provider.query(waiting)

    assert observation == Observation(reference=REFERENCE, claim=Claim.ACCEPTED)


@pytest.mark.parametrize(
    ("body", "claim"),
    [
        (envelope("000", "SUCCESS", "Transaction COMPLETE"), Claim.SUCCESS),
        (envelope("000", "SUCCESS", "CONFIRMED"), Claim.SUCCESS),
        (envelope("000", "SUCCESS", "Payment successful"), Claim.SUCCESS),
        (envelope("000", "SUCCESS", "Received"), Claim.ACCEPTED),
        (envelope("111", "INPROGRESS"), Claim.ACCEPTED),
        (envelope("404"), Claim.NOT_FOUND),
        (envelope("400"), Claim.FAILURE),
    ],
)
def test_number_that_was_paid_is_asked_about_by_selcoms_own_id(scripted, body, claim):
    """The answer has no amount, so it confirms and does not settle."""
    scripted.answer(QUERY_C2B, body)

    [observation] = make_provider(scripted.base_url).query(
        handle(method="control_number", provider_ref="0289990001")
    )

    assert (observation.claim, observation.money) == (claim, None)
    assert observation.provider_ref == "0289990001"
    assert scripted.calls[0].query == {"reference": "0289990001"}


@pytest.mark.parametrize("status", [200, 500])
def test_number_with_an_unclear_answer_keeps_its_state(scripted, status):
    """999 says nothing."""
    scripted.answer(QUERY_C2B, BODIES["payout_ambiguous"], status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        make_provider(scripted.base_url).query(
            handle(method="control_number", provider_ref="0289990001")
        )
