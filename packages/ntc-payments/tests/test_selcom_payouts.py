"""Selcom pays out, once, and tells on the rail that paid."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest
from ntc_core.http import AnswerUnreadable, HttpFailure, NoAnswer, NotSent
from ntc_core.money import Money
from ntc_payments.types import (
    CallHandle,
    Claim,
    FailureCode,
    Observation,
    PayoutMethod,
    PayoutPreview,
    StartOutcome,
    StartResult,
    Subject,
)

from tests.scripted_company import scripted_company
from tests.selcom_company import BODIES, UNCLEAR, envelope, make_provider, payout

PAY = "POST /v1/walletcashin/process"
ASK = "GET /v1/walletcashin/query"
NAME = "GET /v1/walletcashin/namelookup"

BANK = PayoutMethod.BANK_ACCOUNT
TO_BANK: dict[str, Any] = {
    "method": BANK,
    "phone_e164": "",
    "bank_code": "CRDBBANK",
    "account_number": "0150000001",
    "name": "Asha Juma",
}
TO_SELCOM_PESA = {**TO_BANK, "bank_code": "SPSCASHIN"}


@pytest.fixture
def scripted():
    """Run a Selcom that answers what the test says."""
    with scripted_company() as company:
        yield company


def paid(rail: str = "walletcashin") -> CallHandle:
    """Return the handle of our payout."""
    return CallHandle(reference="W0123456789ABCDEFGHJ", method="mobile_wallet", rail=rail)


# Where it goes.


@pytest.mark.parametrize(
    ("destination", "rail", "path", "fields"),
    [
        (
            {},
            "walletcashin",
            "/v1/walletcashin/process",
            {"utilitycode": "CASHIN", "utilityref": "255700000002"},
        ),
        (
            {"bank_code": "VMCASHIN"},
            "walletcashin",
            "/v1/walletcashin/process",
            {"utilitycode": "VMCASHIN", "utilityref": "255700000002"},
        ),
        (TO_SELCOM_PESA, "selcompesa", "/v1/selcompesa/cashin", {"utilityref": "0150000001"}),
        (
            {"bank_code": "SPSCASHIN"},
            "selcompesa",
            "/v1/selcompesa/cashin",
            {"utilityref": "255700000002"},
        ),
        (
            TO_BANK,
            "qwiksend",
            "/v1/qwiksend/process",
            {
                "recipientFiCode": "CRDBBANK",
                "recipientAccount": "0150000001",
                "recipientName": "Asha Juma",
                "senderAccount": "FLOAT60000001",
                "senderName": "FLOAT60000001",
                "msisdn": "255000000000",
                "purpose": "GIFT",
                "remarks": "Prize",
            },
        ),
    ],
)
def test_each_destination_has_its_rail(scripted, destination, rail, path, fields):
    """The amount is whole, the transid our reference, the float and its PIN the options."""
    scripted.answer(f"POST {path}", BODIES["payout_ok"])
    provider = make_provider(scripted.base_url)
    request = payout(**destination)

    chosen = provider.payout_rail(request)
    outcome = provider.start_payout(dataclasses.replace(request, rail=chosen))

    [call] = scripted.calls
    assert chosen == rail
    assert outcome.result is StartResult.DONE
    assert call.body == {
        "transid": "W0123456789ABCDEFGHJ",
        "amount": 12000,
        "vendor": "FLOAT60000001",
        "pin": "738194",
        **fields,
    }
    assert call.headers["signed-fields"] == ",".join(call.body)


def test_stored_rail_is_kept(scripted):
    """Also where another one would be chosen today."""
    scripted.answer("POST /v1/selcompesa/cashin", BODIES["payout_ok"])

    make_provider(scripted.base_url).start_payout(dataclasses.replace(payout(), rail="selcompesa"))

    assert [call.path for call in scripted.calls] == ["/v1/selcompesa/cashin"]


def test_float_is_the_till_unless_it_has_an_id_of_its_own(scripted):
    """And no word about a payout is no field."""
    scripted.answer("POST /v1/qwiksend/process", BODIES["payout_ok"])
    provider = make_provider(scripted.base_url, float_vendor="")

    provider.start_payout(dataclasses.replace(payout(**TO_BANK), description=""))

    assert scripted.calls[0].body["vendor"] == "TILL60000001"
    assert "remarks" not in scripted.calls[0].body


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ({"phone_e164": "+254700000001"}, "Tanzanian"),
        ({"phone_e164": ""}, "Tanzanian"),
        ({"bank_code": "CRDBBANK"}, "no wallet CRDBBANK"),
        ({**TO_BANK, "bank_code": ""}, "bank code"),
        ({**TO_BANK, "account_number": ""}, "account number"),
        ({**TO_BANK, "name": ""}, "name"),
        ({**TO_SELCOM_PESA, "account_number": ""}, "account or a Tanzanian number"),
    ],
)
def test_destination_that_cannot_be_paid_is_refused_before_any_call(destination, said):
    """With a sentence about what is missing."""
    with pytest.raises(ValueError, match=said):
        make_provider("http://127.0.0.1:1").payout_rail(payout(**destination))


def test_payout_of_less_than_a_thousand_shillings_is_refused():
    """Selcom's own limit, on what arrives."""
    capabilities = make_provider("http://127.0.0.1:1").capabilities

    for amount, refused in ((999, True), (1000, False)):
        money = Money.from_major(amount, "TZS")
        refusal = capabilities.payout_refusal(method=PayoutMethod.MOBILE_WALLET, money=money)
        assert bool(refusal) is refused


# What the answer to a payout means.


def test_paid_payout_is_done(scripted):
    """With the amount we named, which the answer does not repeat, and Selcom's number."""
    scripted.answer(PAY, BODIES["payout_ok"])

    assert make_provider(scripted.base_url).start_payout(payout()) == StartOutcome(
        result=StartResult.DONE, money=Money.from_major(12_000, "TZS"), provider_ref="0270720833"
    )


@pytest.mark.parametrize("code", ["111", "927", "001", "002", "003"])
@pytest.mark.parametrize("word", ["INPROGRESS", "PENDING", "FAIL", "?"])
def test_payout_under_way_is_accepted(scripted, code, word):
    """The number in that answer is not the payout's. The code counts, not the word."""
    scripted.answer(PAY, {**BODIES["payout_in_progress"], "resultcode": code, "result": word})

    outcome = make_provider(scripted.base_url).start_payout(payout())

    assert (outcome.result, outcome.provider_ref) == (StartResult.ACCEPTED, "")


@pytest.mark.parametrize("name", [*UNCLEAR, "busy"])
def test_payout_with_an_unclear_answer_is_neither_paid_nor_refused(scripted, name):
    """999 above all: money was sent twice because of it."""
    status, body = UNCLEAR.get(name, (429, envelope("429")))
    scripted.answer(PAY, body, status=status)

    with pytest.raises((HttpFailure, AnswerUnreadable)) as caught:
        make_provider(scripted.base_url).start_payout(payout())

    assert not isinstance(caught.value, NotSent)
    assert len(scripted.calls) == 1


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (200, BODIES["payout_bad_number"], FailureCode.INVALID_REQUEST),
        (200, envelope("013"), FailureCode.INVALID_REQUEST),
        (200, envelope("990", "FAILED"), FailureCode.INSUFFICIENT_FUNDS),
        (200, envelope("029", ""), FailureCode.PROVIDER_REFUSED),
        (404, envelope("404"), FailureCode.INVALID_REQUEST),
        (400, envelope("415"), FailureCode.PROVIDER_REFUSED),
        (403, BODIES["not_enabled_http_403"], FailureCode.PROVIDER_REFUSED),
        (401, b"", FailureCode.PROVIDER_REFUSED),
    ],
)
def test_refused_payout(scripted, caplog, status, body, failure):
    """Definite, so another payout may be made; at the door staff have to act."""
    scripted.answer(PAY, body, status=status)

    outcome = make_provider(scripted.base_url).start_payout(payout())

    assert (outcome.result, outcome.failure_code) == (StartResult.REFUSED, failure)
    alarms = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert bool(alarms) is (status in {401, 403})


def test_payout_that_was_made_before_is_asked_about(scripted):
    """The words are a guess; a refusal would let somebody pay again."""
    scripted.answer(PAY, envelope("400", message="Duplicate transaction id"))

    outcome = make_provider(scripted.base_url).start_payout(payout())

    assert outcome.result is StartResult.DUPLICATE


def test_payout_that_never_left_is_not_sent():
    """The same transid may be sent again."""
    with pytest.raises(NotSent):
        make_provider("http://127.0.0.1:1").start_payout(payout())


# What became of it.


@pytest.mark.parametrize("rail", ["walletcashin", "selcompesa", "qwiksend"])
def test_payout_is_asked_about_on_its_own_rail(scripted, rail):
    """No other one knows the transid."""
    scripted.answer(f"GET /v1/{rail}/query", BODIES["payout_query_ok"])

    [observation] = make_provider(scripted.base_url).query_payout(paid(rail))

    assert observation == Observation(
        subject=Subject.PAYOUT,
        reference="W0123456789ABCDEFGHJ",
        claim=Claim.SUCCESS,
        provider_ref="0270720833",
    )
    assert scripted.calls[0].query == {"transid": "W0123456789ABCDEFGHJ"}


@pytest.mark.parametrize("rail", ["", "mobile_wallet", "checkout/../qwiksend"])
def test_rail_that_is_none_is_a_mistake_of_ours(rail):
    """It would become part of a path."""
    with pytest.raises(ValueError, match="rail"):
        make_provider("http://127.0.0.1:1").query_payout(paid(rail))


@pytest.mark.parametrize(
    ("status", "body", "claim"),
    [
        (200, BODIES["payout_in_progress"], Claim.ACCEPTED),
        (200, envelope("927", "INPROGRESS"), Claim.ACCEPTED),
        (200, envelope("001", "INPROGRESS"), Claim.ACCEPTED),
        (200, envelope("404"), Claim.NOT_FOUND),
        (404, envelope("404"), Claim.NOT_FOUND),
        (200, envelope("400", message="Transaction not found"), Claim.NOT_FOUND),
    ],
)
def test_payout_that_is_not_over(scripted, status, body, claim):
    """Its answers have numbers of their own."""
    scripted.answer(ASK, body, status=status)

    [observation] = make_provider(scripted.base_url).query_payout(paid())

    assert (observation.claim, observation.provider_ref) == (claim, "")
    assert (observation.failure_code, observation.failure_message) == (None, "")


def test_payout_that_failed_says_why(scripted):
    """In our word and in theirs."""
    scripted.answer(ASK, BODIES["payout_bad_number"])

    [observation] = make_provider(scripted.base_url).query_payout(paid())

    assert (observation.claim, observation.failure_code) == (
        Claim.FAILURE,
        FailureCode.INVALID_REQUEST,
    )
    assert "Invalid mobile number" in observation.failure_message


@pytest.mark.parametrize("name", [*UNCLEAR, "door", "busy"])
def test_question_without_an_answer_keeps_the_payout_as_it_is(scripted, name):
    """999 came for transids that never existed, and a closed door says nothing of the payout."""
    more = {"door": (403, BODIES["not_enabled_http_403"]), "busy": (429, b"")}
    status, body = {**UNCLEAR, **more}[name]
    scripted.answer(ASK, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        make_provider(scripted.base_url).query_payout(paid())


# Whose account that is.


@pytest.mark.parametrize(
    ("destination", "path", "query"),
    [
        (
            {},
            "/v1/walletcashin/namelookup",
            {"utilitycode": "CASHIN", "utilityref": "255700000002"},
        ),
        (TO_SELCOM_PESA, "/v1/selcompesa/namelookup", {"utilityref": "0150000001"}),
        (TO_BANK, "/v1/qwiksend/lookup", {"bank": "CRDBBANK", "account": "0150000001"}),
    ],
)
def test_preview_tells_the_name(scripted, destination, path, query):
    """Under a transid of its own, each time another one."""
    scripted.answer(f"GET {path}", BODIES["namelookup_ok"])
    provider = make_provider(scripted.base_url)

    previews = [provider.preview_payout(payout(**destination)) for _ in range(2)]

    asked = [dict(call.query) for call in scripted.calls]
    assert previews == [PayoutPreview(receiver_name="ASHA JUMA")] * 2
    assert asked[0].pop("transid") != asked[1].pop("transid")
    assert asked == [query] * 2


@pytest.mark.parametrize(
    "body", [envelope("010"), envelope("404"), envelope("000", "SUCCESS", data=[])]
)
def test_name_that_is_not_told_is_empty(scripted, body):
    """Some wallets have no lookup; that stops nobody."""
    scripted.answer(NAME, body)

    assert make_provider(scripted.base_url).preview_payout(payout()) == PayoutPreview()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (403, b""),
        (200, BODIES["payout_ambiguous"]),
        (200, envelope("000", "SUCCESS", data=[{}])),
    ],
)
def test_preview_without_an_answer_says_so(scripted, status, body):
    """It is no empty name."""
    scripted.answer(NAME, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        make_provider(scripted.base_url).preview_payout(payout())
