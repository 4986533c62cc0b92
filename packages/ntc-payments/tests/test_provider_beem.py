"""Beem takes the exam, and what it answers and calls back, from the files of its sheet."""

from __future__ import annotations

import base64
import json
import logging
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from ntc_core.http import AnswerUnreadable, HttpFailure, NoAnswer, NotSent
from ntc_core.money import Money
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.beem import BeemProvider, payer_code_of, transaction_id_of
from ntc_payments.testing import PaymentProviderSuite
from ntc_payments.testing.misbehaving import MISBEHAVIOURS, free_port, misbehaving_server
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Claim,
    FailureCode,
    Observation,
    Payer,
    PaymentMethod,
    PayoutDestination,
    PayoutMethod,
    PayoutRequest,
    StartResult,
    Trust,
)

from tests.scripted_company import scripted_company

VECTORS = json.loads((Path(__file__).parent / "vectors/beem.json").read_text())
CHECKOUT = "GET /v1/checkout"
TOKEN = "cb-token-000111222333"


def provider_at(base_url: str = "http://127.0.0.1:1", **options: Any) -> BeemProvider:
    """Return a provider all of whose hosts are that one."""
    values = {
        "api_key": "k",
        "secret_key": "s",
        "checkout_base_url": base_url,
        "balance_base_url": base_url,
        "total_timeout_seconds": 1.0,
        **options,
    }
    return BeemProvider(**values)


def order(**changes: Any) -> AttemptRequest:
    """Return an attempt of TZS 25,000."""
    values: dict[str, Any] = {
        "reference": "12345",
        "money": Money.from_major(25_000, "TZS"),
        "method": PaymentMethod.HOSTED_CHECKOUT,
        "phone_e164": "+255712345678",
        "description": "Plan",
        "return_url": "",
        **changes,
    }
    return AttemptRequest(**values)


def callback(body: Any, *, headers: dict[str, str] | None = None) -> WebhookRequest:
    """Return what Beem would send."""
    return WebhookRequest(
        method="POST",
        path="/",
        headers=headers or {},
        query={},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        received_at=datetime.now(UTC),
    )


def checkout_body(reference: str, **changes: Any) -> dict[str, Any]:
    """Return a callback about a transaction that we started."""
    return {
        "amount": "25000",
        "referenceNumber": reference,
        "status": "success",
        "timestamp": "2026-11-23T07:15:32+00:00",
        "transactionID": transaction_id_of(reference),
        "msisdn": "255712345678",
        **changes,
    }


@pytest.fixture
def company():
    """Run a company with a script."""
    with scripted_company() as running:
        yield running


class TestBeemProvider(PaymentProviderSuite):
    """The exam, with a fixed token."""

    proof_has_a_time = False
    proof_covers_the_body = False

    def make_provider(self, base_url: str) -> PaymentProvider:
        return provider_at(base_url, secure_token=TOKEN, total_timeout_seconds=0.5)

    def make_webhook(self, fact: Observation) -> WebhookRequest:
        status = {Claim.SUCCESS: "success", Claim.FAILURE: "failed"}[fact.claim]
        body = checkout_body(fact.reference, amount=fact.money.to_major(), status=status)
        return callback(body, headers={"beem-secure-token": TOKEN})


class TestBeemProviderWithTokensOfItsOwn(TestBeemProvider):
    """The exam, with a token per payment that nobody else can derive."""

    def make_provider(self, base_url: str) -> PaymentProvider:
        return provider_at(base_url, total_timeout_seconds=0.5)

    def make_webhook(self, fact: Observation) -> WebhookRequest:
        request = super().make_webhook(fact)
        with scripted_company() as running:
            running.answer(CHECKOUT, {"src": f"{running.base_url}/page"})
            provider_at(running.base_url).start(order(reference=fact.reference))
            token = running.calls[0].headers["beem-secure-token"]
        return callback(request.body, headers={"Beem-Secure-Token": token})


# The sheet's own values.


@pytest.mark.parametrize("row", VECTORS["authorizations"])
def test_every_call_carries_the_sheets_authorization(row, company):
    company.answer(CHECKOUT, {"src": f"{company.base_url}/page/1"})
    keys = {"api_key": row["api_key"], "secret_key": row["secret_key"]}

    provider_at(company.base_url, **keys).start(order())

    assert company.calls[0].headers["authorization"] == row["authorization"]


def test_checkout_request_is_the_sheets(company):
    """Same parameters in the same order, same headers; only the derived id differs."""
    [row] = [row for row in VECTORS["requests"] if "/v1/checkout?" in row["url"]]
    company.answer(CHECKOUT, {"src": f"{company.base_url}/page/1"})
    basic = row["headers"]["Authorization"].removeprefix("Basic ")
    api_key, _, secret_key = base64.b64decode(basic).decode().partition(":")
    keys = {"api_key": api_key, "secret_key": secret_key}
    provider = provider_at(company.base_url, secure_token=TOKEN, reference_prefix="SAMPLE-", **keys)

    provider.start(order())

    [call] = company.calls
    expected = dict(parse_qsl(urlsplit(row["url"]).query))
    expected["transaction_id"] = transaction_id_of("12345")
    assert list(call.query.items()) == list(expected.items())
    for name, value in row["headers"].items():
        assert call.headers[name.lower()] == value


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in VECTORS["answers"]
        if row["name"].startswith("checkout") or "HTML" in row["name"]
    ],
    ids=lambda row: row["name"],
)
def test_checkout_answer_becomes_what_the_sheet_says(row, company):
    body = row["body"].replace("https://checkout.beem.africa", company.base_url)
    company.answer(CHECKOUT, body.encode(), status=row["http"])
    provider, expected = provider_at(company.base_url), row["expected"]

    if expected.get("error") == "outcome_unknown":
        with pytest.raises(NoAnswer):
            provider.start(order())
        return
    outcome = provider.start(order())

    if expected["ok"]:
        page = expected["redirect_url"].replace("https://checkout.beem.africa", company.base_url)
        assert (outcome.result, outcome.checkout_url) == (StartResult.ACCEPTED, page)
        assert outcome.provider_ref == transaction_id_of("12345")
        return
    code = {
        "provider_configuration": FailureCode.PROVIDER_REFUSED,
        "invalid_amount": FailureCode.INVALID_REQUEST,
    }[expected["error"]]
    assert (outcome.result, outcome.failure_code) == (StartResult.REFUSED, code)
    assert outcome.failure_message.endswith(expected.get("message", "Invalid amount"))


@pytest.mark.parametrize(
    "row",
    [row for row in VECTORS["callbacks"] if row["kind"] in {"checkout", "collection"}],
    ids=lambda row: row["name"],
)
def test_callback_becomes_what_the_sheet_says(row):
    """The stored payment is TZS 25,000; a stranger's transaction id makes it a hint."""
    paybill = "000123" if row["kind"] == "collection" else ""
    provider = provider_at(secure_token=TOKEN, paybill_number=paybill)
    request, expected = callback(row["body"].encode(), headers=row["headers"]), row["expected"]

    if expected.get("rejected"):
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(request)
        return
    verified = provider.open_webhook(request)
    [observation] = provider.read_webhook(request.body)

    matches = observation.money == Money.from_major(expected.get("amount", "25000"), "TZS")
    state = {Claim.SUCCESS: "succeeded", Claim.FAILURE: "failed", Claim.ACCEPTED: "pending"}
    # The core leaves the attempt pending when the amount differs.
    told = state[observation.claim] if matches else "pending"
    assert told == expected["payment_state"]
    assert observation.reference == expected.get("reference", "SAMPLE-12345")
    assert observation.provider_ref == expected.get("transaction_id", observation.provider_ref)
    ack = json.loads(verified.ack.body)
    assert ack == expected.get("ack", ack)
    if row["kind"] == "checkout":
        assert observation.trust is Trust.HINT
        assert (ack["status"], ack["referenceNumber"]) == (True, "SAMPLE-12345")
        assert ack.keys() == {
            *("amount", "status", "referenceNumber", "statusMessage", "transactionID")
        }
    else:
        assert observation.trust is Trust.STRONG


# Starting.


def test_transaction_id_is_a_version_4_uuid_that_follows_from_the_reference():
    ids = [uuid.UUID(transaction_id_of(f"P{number}")) for number in range(200)]

    assert {(one.version, one.variant) for one in ids} == {(4, uuid.RFC_4122)}
    assert len(set(ids)) == 200
    assert transaction_id_of("P7") == str(ids[7])


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {"Location": "{base}/page/2"}, b""),
        (303, {"Location": "{base}/page/2"}, b"<html>"),
        (200, {}, b'{"src": "{base}/page/2"}'),
    ],
)
def test_page_may_come_as_json_or_as_a_redirect(status, headers, body, company):
    headers = {name: value.replace("{base}", company.base_url) for name, value in headers.items()}
    body = body.replace(b"{base}", company.base_url.encode())
    company.answer(CHECKOUT, body, status=status, headers=headers)

    outcome = provider_at(company.base_url).start(order())

    assert outcome.checkout_url == f"{company.base_url}/page/2"
    assert len(company.calls) == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://evil.example/page",
        "https://{host}/page",
        "http://{host}@evil.example/page",
        "http://user@{host}/page",
        "//evil.example/page",
        "/page/1",
        "javascript:alert(1)",
        "http://[",
        "",
        "http://{host}/" + "a" * 2000,
    ],
)
def test_payer_is_sent_to_no_other_host(address, company):
    address = address.replace("{host}", company.base_url.removeprefix("http://"))
    company.answer(CHECKOUT, {"src": address})
    company.answer(CHECKOUT, b"", status=302, headers={"Location": address})

    for _ in range(2):
        with pytest.raises(AnswerUnreadable):
            provider_at(company.base_url).start(order())


@pytest.mark.parametrize(
    ("body", "status", "code", "text"),
    [
        ({"code": 100, "message": "number"}, 400, FailureCode.INVALID_REQUEST, "100 number"),
        ({"code": "102"}, 200, FailureCode.INVALID_REQUEST, "102"),
        ({"data": {"code": 120, "message": "keys"}}, 401, FailureCode.PROVIDER_REFUSED, "120 keys"),
        (
            {"src": "{base}/checkout/error/?message=Bad%20reference"},
            400,
            FailureCode.INVALID_REQUEST,
            "Bad reference",
        ),
        ({"src": "{base}/checkout/error"}, 200, FailureCode.INVALID_REQUEST, "no reason given"),
    ],
)
def test_refusal_tells_whose_mistake_it_is(body, status, code, text, company):
    raw = json.dumps(body).replace("{base}", company.base_url).encode()
    company.answer(CHECKOUT, raw, status=status)

    outcome = provider_at(company.base_url).start(order())

    assert (outcome.result, outcome.failure_code) == (StartResult.REFUSED, code)
    assert text in outcome.failure_message


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": 777}, 200),
        ({"code": "x"}, 400),
        ({}, 401),
        ({"src": "{base}/page"}, 403),
        ({"code": 101}, 500),
    ],
)
def test_answer_without_a_known_code_is_no_outcome(body, status, company):
    raw = json.dumps(body).replace("{base}", company.base_url).encode()
    company.answer(CHECKOUT, raw, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        provider_at(company.base_url).start(order())


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", None)])
def test_busy_company_is_asked_again_later(header, seconds, company):
    company.answer(CHECKOUT, b"", status=429, headers={"Retry-After": header})

    outcome = provider_at(company.base_url).start(order())

    assert (outcome.result, outcome.retry_after_seconds) == (StartResult.TRY_LATER, seconds)


def test_payer_without_a_phone_is_known_by_email(company):
    company.answer(CHECKOUT, {"src": f"{company.base_url}/page"})

    provider_at(company.base_url).start(order(phone_e164="", payer=Payer(email="asha@example.com")))

    assert "mobile" not in company.calls[0].query
    assert company.calls[0].query["email"] == "asha@example.com"


@pytest.mark.parametrize("money", [Money(minor=2_500_050, currency="TZS"), Money(100, "USD")])
def test_fraction_or_other_currency_calls_nobody(money, company):
    provider = provider_at(company.base_url)
    method = PaymentMethod.HOSTED_CHECKOUT

    assert provider.capabilities.refusal(method=method, money=money)
    with pytest.raises(ValueError, match="whole shillings"):
        provider.start(order(money=money))
    assert company.calls == []


def test_beem_answers_no_question():
    provider = provider_at()

    assert not provider.capabilities.can_query
    with pytest.raises(NotImplementedError):
        provider.query(CallHandle(reference="12345"))


# Callbacks.


def test_own_transaction_is_strong_and_its_prefix_is_cut_off():
    provider = provider_at(secure_token=TOKEN, reference_prefix="SHOP-")
    body = checkout_body("P1") | {"referenceNumber": "SHOP-P1", "amount": 25000.0}

    [observation] = provider.read_webhook(json.dumps(body).encode())

    assert observation == Observation(
        reference="P1",
        claim=Claim.SUCCESS,
        money=Money.from_major(25_000, "TZS"),
        provider_ref=transaction_id_of("P1"),
        trust=Trust.STRONG,
        occurred_at=datetime(2026, 11, 23, 7, 15, 32, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("status", "claim", "code"),
    [
        ("Failure", Claim.FAILURE, FailureCode.DECLINED),
        ("CANCELLED", Claim.FAILURE, FailureCode.CANCELED),
        ("paid", Claim.ACCEPTED, None),
        (None, Claim.ACCEPTED, None),
        (True, Claim.ACCEPTED, None),
    ],
)
def test_only_listed_words_decide(status, claim, code, caplog):
    """And an unlisted one reaches staff."""
    provider = provider_at(secure_token=TOKEN)
    body = json.dumps(checkout_body("P1", status=status)).encode()

    with caplog.at_level(logging.ERROR, "ntc_payments"):
        [observation] = provider.read_webhook(body)
    verified = provider.open_webhook(callback(body, headers={"beem-secure-token": TOKEN}))

    assert (observation.claim, observation.failure_code) == (claim, code)
    assert ("payment.callback_odd" in caplog.messages) is (claim is Claim.ACCEPTED)
    assert (
        verified.event_type
        == f"checkout.{str(status).lower() if isinstance(status, str) else 'unknown'}"
    )


def test_strangers_number_is_nobodys_reference():
    """The money is not lost: it has Beem's id and no attempt."""
    provider = provider_at(secure_token=TOKEN, reference_prefix="SHOP-")

    [observation] = provider.read_webhook(json.dumps(checkout_body("OTHER-1")).encode())

    assert (observation.reference, observation.provider_ref) == ("", transaction_id_of("OTHER-1"))
    assert (observation.claim, observation.trust) == (Claim.SUCCESS, Trust.STRONG)


def test_transaction_that_no_token_can_be_of_is_refused():
    """Half of a UTF-16 pair, from whoever knows the path; a fault of ours would be a 500."""
    body = json.dumps(checkout_body("P1") | {"transactionID": "\ud83d"}).encode()

    with pytest.raises(SignatureInvalid):
        provider_at().open_webhook(callback(body, headers={"beem-secure-token": TOKEN}))


def test_token_of_one_payment_does_not_prove_another(company):
    company.answer(CHECKOUT, {"src": f"{company.base_url}/page"})
    provider = provider_at(company.base_url)
    for reference in ("P1", "P2"):
        provider.start(order(reference=reference))
    first, second = (call.headers["beem-secure-token"] for call in company.calls)

    provider.open_webhook(callback(checkout_body("P1"), headers={"beem-secure-token": first}))
    assert re.fullmatch("[0-9a-f]{64}", first)
    for headers in ({"beem-secure-token": second}, {"beem-secure-token": "ü"}, {}):
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(callback(checkout_body("P1"), headers=headers))


def test_dedupe_key_is_the_transaction_and_its_status():
    provider, headers = provider_at(secure_token=TOKEN), {"beem-secure-token": TOKEN}

    def key(**changes: Any) -> str:
        body = checkout_body("P1", **changes)
        return provider.open_webhook(callback(body, headers=headers)).dedupe_key

    assert key() == key(timestamp="2027-01-01T00:00:00Z", status="SUCCESS")
    assert len({key(), key(status="failed"), key(transactionID="another")}) == 3


@pytest.mark.parametrize("body", [b"", b"[]", b'{"amount": 1, "amount": 2}', b"\xff"])
def test_body_that_nobody_can_read_proves_nothing(body):
    with pytest.raises(SignatureInvalid):
        provider_at(secure_token=TOKEN).open_webhook(
            callback(body, headers={"beem-secure-token": TOKEN})
        )


@pytest.mark.parametrize(
    "changes",
    [{"transactionID": ""}, {"referenceNumber": ""}, {"referenceNumber": None}],
)
def test_proven_callback_without_its_ids_is_unreadable(changes):
    body = checkout_body("P1") | changes
    request = callback(body, headers={"beem-secure-token": TOKEN})

    with pytest.raises(PayloadUnreadable):
        provider_at(secure_token=TOKEN).open_webhook(request)


@pytest.mark.parametrize("amount", [None, True, "25,000", "1e9", "12.345", [], "NaN"])
def test_what_is_not_an_amount_is_unreadable(amount):
    with pytest.raises(PayloadUnreadable):
        provider_at().read_webhook(json.dumps(checkout_body("P1", amount=amount)).encode())


@pytest.mark.parametrize("reference", ["a\x00b", "a" * 151])
def test_what_no_column_takes_is_unreadable(reference):
    with pytest.raises(PayloadUnreadable):
        provider_at().read_webhook(json.dumps(checkout_body(reference)).encode())


@pytest.mark.parametrize("value", ["yesterday", None, 5])
def test_clock_that_makes_no_sense_is_left_out(value):
    body = json.dumps(checkout_body("P1", timestamp=value)).encode()

    [observation] = provider_at().read_webhook(body)

    assert observation.occurred_at is None


def test_time_without_a_zone_is_utc():
    body = json.dumps(checkout_body("P1", timestamp="2026-11-23T07:15:32")).encode()

    [observation] = provider_at().read_webhook(body)

    assert observation.occurred_at == datetime(2026, 11, 23, 7, 15, 32, tzinfo=UTC)


# Control numbers.


def collection(**changes: Any) -> dict[str, Any]:
    """Return a collection in the spelling of the .NET and Java models."""
    return {
        "remote_transaction_id": 77,
        "amount_collected": 500,
        "currency_from": "TZS",
        "currency_to": "tzs",
        "subscriber_msisdn": "255712345678",
        "reference_number": payer_code_of("P1"),
        "paybill_number": "000123",
        "timestamp": "2026-11-23T07:20:00Z",
        **changes,
    }


def test_control_number_is_made_here_and_found_again(company):
    provider = provider_at(company.base_url, paybill_number="000123")

    outcome = provider.start(order(reference="P1", method=PaymentMethod.CONTROL_NUMBER))
    request = callback(collection())
    verified = provider.open_webhook(request)
    [observation] = provider.read_webhook(request.body)

    assert company.calls == []
    assert (outcome.result, outcome.payer_code) == (StartResult.ACCEPTED, payer_code_of("P1"))
    assert (observation.reference, observation.claim) == (outcome.payer_code, Claim.SUCCESS)
    assert observation.money == Money.from_major(500, "TZS")
    assert (observation.provider_ref, verified.dedupe_key) == ("77", "collection:77")
    assert json.loads(verified.ack.body) == {"transaction_id": "77", "successful": True}


def test_payer_code_is_twelve_digits_with_a_check_digit():
    """Luhn, checked here the other way round: from the right, the check digit included."""
    codes = [payer_code_of(f"P{number}") for number in range(300)]

    for code in codes:
        assert re.fullmatch(r"[1-9][0-9]{11}", code)
        digits = [int(digit) for digit in reversed(code)]
        total = sum(
            sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(digits)
        )
        assert total % 10 == 0
    assert len(set(codes)) == 300


def test_collections_need_a_pay_bill_number_and_then_the_secret_path():
    """Without it nobody checked the path: anybody could have sent that."""
    without, with_number = provider_at(), provider_at(paybill_number="000123")

    assert without.capabilities.signs_webhooks
    assert PaymentMethod.CONTROL_NUMBER not in without.capabilities.methods
    assert not with_number.capabilities.signs_webhooks
    assert PaymentMethod.CONTROL_NUMBER in with_number.capabilities.methods
    with pytest.raises(SignatureInvalid):
        without.open_webhook(callback(collection()))


def test_checkout_callback_needs_its_token_on_the_secret_path_too():
    provider = provider_at(paybill_number="000123", secure_token=TOKEN)

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(callback(checkout_body("P1")))


def test_money_of_another_pay_bill_is_not_for_that_number():
    body = json.dumps(collection(paybill_number="999")).encode()

    [observation] = provider_at(paybill_number="000123").read_webhook(body)

    assert (observation.reference, observation.provider_ref) == ("", "77")


def test_collection_without_an_id_is_unreadable():
    body = collection()
    del body["remote_transaction_id"]

    with pytest.raises(PayloadUnreadable):
        provider_at(paybill_number="000123").open_webhook(callback(body))


# Payouts.


def payout(**changes: Any) -> PayoutRequest:
    """Return a payout of TZS 5,000."""
    values: dict[str, Any] = {"bank_code": "", **changes}
    destination = PayoutDestination(
        method=PayoutMethod.MOBILE_WALLET, phone_e164="+255712345678", **values
    )
    return PayoutRequest(
        reference="O1",
        money=Money.from_major(5_000, "TZS"),
        destination=destination,
        description="Winnings",
    )


def paying(base_url: str) -> BeemProvider:
    """Return a provider whose payouts are switched on."""
    return provider_at(
        base_url,
        disbursement_base_url=f"{base_url}/webservices/disbursement",
        disbursement_account="ACC-1",
        disbursement_wallet_code="W-1",
    )


TRANSFER = "POST /webservices/disbursement/transfer"


def test_payouts_are_off_until_somebody_switches_them_on():
    provider = provider_at()

    assert provider.capabilities.payout_refusal(
        method=PayoutMethod.MOBILE_WALLET, money=Money.from_major(5_000, "TZS")
    )
    with pytest.raises(NotImplementedError):
        provider.start_payout(payout())
    with pytest.raises(ValueError, match="disbursement_account"):
        provider_at(disbursement_base_url="https://apipay.beem.africa")


@pytest.mark.parametrize(
    ("destination", "wallet_code"), [({}, "W-1"), ({"bank_code": "W-2"}, "W-2")]
)
def test_payout_request_names_account_and_wallet(destination, wallet_code, company):
    company.answer(TRANSFER, {"code": 100, "transaction_id": 99})
    provider = paying(company.base_url)

    outcome = provider.start_payout(payout(**destination))

    assert not provider.capabilities.payout_refusal(
        method=PayoutMethod.MOBILE_WALLET, money=Money.from_major(5_000, "TZS")
    )
    assert (outcome.result, outcome.provider_ref) == (StartResult.ACCEPTED, "99")
    assert company.calls[0].body == {
        "amount": "5000",
        "client_reference_id": "O1",
        "source": {"account_no": "ACC-1", "currency": "TZS"},
        "destination": {
            "mobile": {
                "wallet_number": "255712345678",
                "wallet_code": wallet_code,
                "currency": "TZS",
            }
        },
    }


@pytest.mark.parametrize("code", [101, 102, 105, 106, 107, 108, 109, 110, 111, 112, 113, 120])
def test_payout_that_was_refused_may_be_tried_elsewhere(code, company):
    company.answer(TRANSFER, {"code": str(code), "message": "no"}, status=400)

    outcome = paying(company.base_url).start_payout(payout())

    assert (outcome.result, outcome.failure_message) == (StartResult.REFUSED, f"{code} no")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": 103}, 200),  # no credit, or the network: the lists disagree
        ({"code": 104}, 200),
        ({"code": 999}, 200),
        ({"code": 100, "transaction_id": 1}, 400),
        ({"code": 105}, 500),
        ({}, 200),
    ],
)
def test_unclear_payout_is_never_an_outcome(body, status, company):
    company.answer(TRANSFER, body, status=status)

    with pytest.raises(NoAnswer):
        paying(company.base_url).start_payout(payout())
    assert len(company.calls) == 1


def test_payout_under_way_is_accepted_and_one_without_an_id_unreadable(company):
    company.answer(TRANSFER, {"code": 114, "transaction_id": "T"})
    company.answer(TRANSFER, {"code": 100})
    provider = paying(company.base_url)

    assert provider.start_payout(payout()).result is StartResult.ACCEPTED
    with pytest.raises(AnswerUnreadable):
        provider.start_payout(payout())


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_misbehaving_company_never_refuses_a_payout(name):
    with misbehaving_server(name) as base_url:
        provider = BeemProvider(
            api_key="k",
            secret_key="s",
            disbursement_base_url=base_url,
            disbursement_account="A",
            total_timeout_seconds=0.5,
        )
        with pytest.raises((HttpFailure, AnswerUnreadable)) as caught:
            provider.start_payout(payout())
    assert not isinstance(caught.value, NotSent)


def test_payout_that_never_left_is_not_sent():
    with pytest.raises(NotSent):
        paying(f"http://127.0.0.1:{free_port()}").start_payout(payout())


# The whitelist.

ALLOW = "POST /v1/whitelist/add-to-list"


def test_site_is_put_on_the_whitelist(company):
    """With the keys, as every call."""
    company.answer(ALLOW, {"status": 200, "message": "successful"})

    provider_at(company.base_url).allow_website("https://shop.example.com")

    [sent] = company.calls
    assert sent.body == {"website": "https://shop.example.com"}
    assert sent.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": 120, "message": "keys"}, 401),
        ({"code": 105, "message": "no"}, 200),
        ({"status": 400, "message": "no"}, 200),
        ({"status": 200, "message": "successful"}, 500),
        ({}, 200),
    ],
)
def test_site_that_was_not_listed_is_told(body, status, company):
    company.answer(ALLOW, body, status=status)

    with pytest.raises(NoAnswer, match="did not list"):
        provider_at(company.base_url).allow_website("https://shop.example.com")


@pytest.mark.parametrize("website", ["", "shop.example.com", "ftp://shop.example.com", "https://"])
def test_what_is_no_site_is_refused_without_a_call(website, company):
    with pytest.raises(ValueError, match="sites such as"):
        provider_at(company.base_url).allow_website(website)
    assert company.calls == []


# Balance.


@pytest.mark.parametrize(
    ("body", "balance"),
    [
        ({"data": {"credit_bal": "5300.0000"}}, "5300"),
        ({"code": {"credit_bal": "5300.0099"}}, "5300"),
        ({"credit_bal": 12.5}, "12.50"),
        (
            {
                "balance_infos": [
                    {"app_name": "USSD", "credit_bal": "1"},
                    {"app_name": "BPAY", "credit_bal": "2"},
                ]
            },
            "2",
        ),
        ({"balance_infos": [None, {"credit_bal": "3"}]}, "3"),
    ],
)
def test_balance_is_found_wherever_it_lies(body, balance, company):
    company.answer("GET /v1/credit-balance", body)

    assert provider_at(company.base_url).list_balances() == [Money.from_major(balance, "TZS")]
    assert company.calls[0].query == {"app_name": "BPAY"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": {"credit_bal": "much"}}, 200),
        ({"data": {"credit_bal": "Infinity"}}, 200),
        ({"data": {}}, 200),
        ({"code": 120}, 401),
    ],
)
def test_balance_that_is_none_is_no_balance(body, status, company):
    company.answer("GET /v1/credit-balance", body, status=status)

    with pytest.raises((AnswerUnreadable, NoAnswer)):
        provider_at(company.base_url).list_balances()
