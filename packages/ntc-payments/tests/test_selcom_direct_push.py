"""Selcom's prompt without an order: sent once, ended by a notification, asked about."""

from __future__ import annotations

import json

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer, NotSent
from ntc_core.money import Money
from ntc_payments.types import Claim, FailureCode, Observation, StartResult

from tests.scripted_company import scripted_company
from tests.selcom_company import (
    REFERENCE,
    STATUS,
    TOKEN,
    UNCLEAR,
    call,
    envelope,
    handle,
    make_provider,
    order,
    order_row,
)

DIRECT = "POST /v1/wallet/pushussd"
QUERY = "GET /v1/c2b/query-status"


@pytest.fixture
def scripted():
    """Run a Selcom that answers what the test says."""
    with scripted_company() as company:
        yield company


def direct(base_url: str):
    return make_provider(base_url, direct_push=True)


@pytest.mark.parametrize(
    "body", [envelope("000", "SUCCESS"), envelope("111", "INPROGRESS"), envelope("111", "PENDING")]
)
def test_prompt_is_one_call_under_our_reference(scripted, body):
    """All five parameters are mandatory; no order is made."""
    scripted.answer(DIRECT, body)

    outcome = direct(scripted.base_url).start(order())

    assert outcome.result is StartResult.ACCEPTED
    # Selcom's number in this answer is the answer's own, and nobody types ours.
    assert (outcome.provider_ref, outcome.payer_code) == ("", "")
    [sent] = scripted.calls
    assert sent.body == {
        "transid": REFERENCE,
        "utilityref": REFERENCE,
        "amount": 25000,
        "vendor": "TILL60000001",
        "msisdn": "255700000001",
    }
    assert sent.headers["signed-fields"] == "transid,utilityref,amount,vendor,msisdn"


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (envelope("010"), FailureCode.INVALID_REQUEST),
        (envelope("900"), FailureCode.PROVIDER_REFUSED),
        (envelope("403", message="Not enabled (4035)"), FailureCode.PROVIDER_REFUSED),
    ],
)
def test_refused_prompt_is_refused(scripted, body, failure):
    scripted.answer(DIRECT, body)

    outcome = direct(scripted.base_url).start(order())

    assert (outcome.result, outcome.failure_code) == (StartResult.REFUSED, failure)


def test_used_transid_is_asked_about(scripted):
    scripted.answer(DIRECT, envelope("409", message="Duplicate transid"))

    assert direct(scripted.base_url).start(order()).result is StartResult.DUPLICATE


@pytest.mark.parametrize("name", UNCLEAR)
def test_unclear_prompt_is_never_sent_again(scripted, name):
    """It may be on the phone."""
    status, body = UNCLEAR[name]
    scripted.answer(DIRECT, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        direct(scripted.base_url).start(order())
    assert len(scripted.calls) == 1


def test_prompt_that_never_left_may_be_sent_again():
    """Nothing was made before it, unlike where the prompt is on an order."""
    with pytest.raises(NotSent):
        direct("http://127.0.0.1:1").start(order())


def test_number_abroad_is_refused_without_a_call(scripted):
    outcome = direct(scripted.base_url).start(order(phone_e164="+254700000001"))

    assert outcome.result is StartResult.REFUSED
    assert scripted.calls == []


@pytest.mark.parametrize(
    ("body", "claim", "code"),
    [
        (envelope("000", "SUCCESS", "Payment successful"), Claim.SUCCESS, None),
        (envelope("000", "SUCCESS", "Received"), Claim.ACCEPTED, None),
        (envelope("111", "INPROGRESS"), Claim.ACCEPTED, None),
        (envelope("400"), Claim.FAILURE, FailureCode.INVALID_REQUEST),
    ],
)
def test_prompt_is_asked_about_by_its_transid(scripted, body, claim, code):
    """No amount is told, so a success settles nothing by itself."""
    scripted.answer(QUERY, body)

    [observation] = direct(scripted.base_url).query(handle())

    assert (observation.claim, observation.failure_code) == (claim, code)
    assert (observation.money, observation.provider_ref) == (None, "")
    assert scripted.calls[0].query == {"transid": REFERENCE}


def test_prompt_of_before_the_switch_is_found_as_an_order(scripted):
    scripted.answer(QUERY, envelope("404", message="Transaction not found"))
    scripted.answer(STATUS, order_row())

    [observation] = direct(scripted.base_url).query(handle())

    assert (observation.claim, observation.money) == (
        Claim.SUCCESS,
        Money.from_major(25_000, "TZS"),
    )


def test_prompt_that_is_nowhere_is_not_found(scripted):
    scripted.answer(QUERY, envelope("404", message="Transaction not found"))
    scripted.answer(STATUS, envelope("404", message="Order not found"))

    assert direct(scripted.base_url).query(handle()) == [
        Observation(reference=REFERENCE, claim=Claim.NOT_FOUND)
    ]


def test_notification_names_the_attempt():
    """Its utilityref is our reference, so it is found even if every answer was lost."""
    told = {
        "operator": "MPESA-TZ",
        "transid": "MP000002",
        "reference": "0289990001",
        "utilityref": REFERENCE,
        "amount": "25000",
        "msisdn": "255700000001",
    }
    request = call(told, {"authorization": f"Bearer {TOKEN}"})
    provider = direct("http://127.0.0.1:1")

    provider.open_webhook(request)
    [observation] = provider.read_webhook(json.dumps(told).encode())

    assert (observation.reference, observation.claim) == (REFERENCE, Claim.SUCCESS)
    assert observation.money == Money.from_major(25_000, "TZS")


def test_without_a_token_no_result_would_ever_come():
    with pytest.raises(ValueError, match="c2b_token"):
        make_provider("http://127.0.0.1:1", direct_push=True, c2b_token="")
