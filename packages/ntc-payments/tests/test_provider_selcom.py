"""Selcom takes the exam; its signature, its two-step push, its codes, its payouts."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from ntc_core.http import AnswerUnreadable, NoAnswer, NotSent
from ntc_core.money import Money
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest
from ntc_payments.conf import provider_registry
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.selcom import SelcomProvider
from ntc_payments.providers.selcom.requests import control_number
from ntc_payments.providers.selcom.signing import sign_headers, signing_string
from ntc_payments.testing import PaymentProviderSuite
from ntc_payments.testing.misbehaving import free_port
from ntc_payments.types import (
    Address,
    AttemptRequest,
    CallHandle,
    Claim,
    FailureCode,
    Inquiry,
    InquiryReply,
    InquiryVerdict,
    Observation,
    Payer,
    PaymentMethod,
    PayoutDestination,
    PayoutMethod,
    PayoutRequest,
    StartResult,
    Subject,
    Trust,
)

from tests.scripted_company import ScriptedCompany, scripted_company

VECTORS = Path(__file__).parent / "vectors"
SIGNING = json.loads((VECTORS / "selcom.json").read_text())["vectors"]
BODIES = json.loads((VECTORS / "selcom_bodies.json").read_text())

REFERENCE = "P0123456789ABCDEFGHJ"
KEYS = {"api_key": "TESTKEY-zanzibar-01", "api_secret": "test-secret-kilimanjaro-01"}
TOKEN = "a-token-that-we-chose"
CREATE = "POST /v1/checkout/create-order-minimal"
CREATE_FULL = "POST /v1/checkout/create-order"
PUSH = "POST /v1/checkout/wallet-payment"
STATUS = "GET /v1/checkout/order-status"
PRICE = Money.from_major(25_000, "TZS")


def make_provider(base_url: str, **options: Any) -> SelcomProvider:
    return SelcomProvider(
        **{
            "base_url": base_url,
            **KEYS,
            "vendor": "TILL60000001",
            "float_vendor": "FLOAT60000001",
            "pin": "000000",
            "c2b_token": TOKEN,
            "callback_url": "https://shop.example/hooks/selcom/",
            "total_timeout_seconds": 1,
            **options,
        }
    )


def order(method: PaymentMethod = PaymentMethod.MOBILE_PUSH, **changes: Any) -> AttemptRequest:
    return AttemptRequest(
        **{
            "reference": REFERENCE,
            "money": PRICE,
            "method": method,
            "phone_e164": "+255700000001",
            "description": "A ticket",
            "return_url": "https://shop.example/back",
            **changes,
        }
    )


@pytest.fixture
def company() -> Iterator[ScriptedCompany]:
    with scripted_company() as company:
        yield company


@pytest.fixture
def provider(company: ScriptedCompany) -> SelcomProvider:
    return make_provider(company.base_url)


def row(**changes: Any) -> dict[str, Any]:
    """Return an order's status as Selcom tells it."""
    [known] = BODIES["order_status_completed"]["data"]
    return {
        **BODIES["order_status_completed"],
        "data": [{**known, "order_id": REFERENCE, **changes}],
    }


def webhook(body: dict[str, Any], *, names: str | None = None, **changes: Any) -> WebhookRequest:
    """Return what Selcom posts, signed as it documents."""
    signed = (names or "transid,order_id,reference,result,resultcode,payment_status").split(",")
    timestamp = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    headers = sign_headers({name: body[name] for name in signed}, timestamp=timestamp, **KEYS)
    return WebhookRequest(
        **{
            "method": "POST",
            "path": "/api/v1/webhooks/payments/selcom/",
            "headers": {name.lower(): value for name, value in headers.items()},
            "query": {},
            "body": json.dumps(body).encode(),
            "received_at": datetime.now(UTC),
            **changes,
        }
    )


class TestSelcomProvider(PaymentProviderSuite):
    """The exam, with signatures demanded."""

    # Amount and phone are not among the documented signed fields.
    proof_covers_the_body = False

    def make_provider(self, base_url: str) -> PaymentProvider:
        return make_provider(base_url, strict_webhooks=True, total_timeout_seconds=0.5)

    def make_webhook(self, fact: Observation) -> WebhookRequest:
        assert fact.money is not None
        done = fact.claim is Claim.SUCCESS
        return webhook(
            {
                **BODIES["webhook_completed"],
                "order_id": fact.reference,
                "amount": fact.money.to_major(),
                "payment_status": "COMPLETED" if done else "CANCELLED",
            }
        )


def test_it_is_in_the_registry(settings):
    settings.NTC_PAYMENT_PROVIDERS = {
        "selcom": {"base_url": "http://127.0.0.1:1", **KEYS, "vendor": "T"}
    }
    provider = provider_registry.get("selcom")

    assert PaymentMethod.CONTROL_NUMBER not in provider.capabilities.methods
    assert provider.capabilities.payout_methods == ()


# The signature.


@pytest.mark.parametrize("vector", SIGNING, ids=lambda vector: vector["id"])
def test_vector_is_signed_as_every_client_does(vector):
    expected = vector["expected"]
    fields = dict(vector["fields"])

    headers = sign_headers(
        fields,
        timestamp=vector["timestamp"],
        api_key=vector["api_key"],
        api_secret=vector["api_secret"],
    )

    text = signing_string(fields, timestamp=vector["timestamp"])
    assert text == expected["signing_string"]
    for name in ("Authorization", "Signed-Fields", "Digest"):
        assert headers[name] == expected[name]
    assert headers["Digest-Method"] == "HS256"


@pytest.mark.parametrize("value", [None, True, 1000.0, Decimal(5), ["a"], {"a": 1}], ids=repr)
def test_value_without_one_text_form_is_refused(value):
    """Clients disagree about these, and the server would not."""
    with pytest.raises(TypeError):
        signing_string({"amount": value}, timestamp="T")


@pytest.mark.parametrize("name", ["timestamp", "a,b", "ñ", "a\n"])
def test_name_that_the_header_cannot_carry_is_refused(name):
    with pytest.raises(ValueError, match="cannot be the name"):
        signing_string({name: "x"}, timestamp="T")


def test_every_call_has_a_time_of_its_own_in_dar_es_salaam(provider, company):
    """Whatever the zone of the server, and the same characters in header and signature."""
    company.answer(STATUS, row())
    with time_machine.travel("2026-03-01T22:15:30+00:00", tick=False) as clock:
        provider.query(CallHandle(reference=REFERENCE))
        clock.shift(5)
        provider.query(CallHandle(reference=REFERENCE))

    first, second = (call.headers["timestamp"] for call in company.calls)
    assert (first, second) == ("2026-03-02T01:15:30+03:00", "2026-03-02T01:15:35+03:00")
    for call in company.calls:
        signed = sign_headers(dict(call.query), timestamp=call.headers["timestamp"], **KEYS)
        assert call.headers["digest"] == signed["Digest"]
        assert call.headers["signed-fields"] == "order_id"


# Orders and pushes.


def test_push_makes_the_order_and_then_the_prompt(provider, company):
    company.answer(CREATE, BODIES["create_order_minimal_ok"])
    company.answer(PUSH, BODIES["wallet_payment_ok"])

    outcome = provider.start(order(expires_at=datetime.now(UTC) + timedelta(minutes=30)))

    made, pushed = (call.body for call in company.calls)
    assert outcome.result is StartResult.ACCEPTED
    assert made["amount"] == 25_000
    assert made["no_of_items"] == 1
    assert made["expiry"] == 30
    assert base64.b64decode(made["webhook"]) == b"https://shop.example/hooks/selcom/"
    assert base64.b64decode(made["redirect_url"]) == b"https://shop.example/back"
    assert "payment_methods" not in made
    assert list(pushed) == ["transid", "order_id", "msisdn"]
    assert (pushed["order_id"], pushed["msisdn"]) == (REFERENCE, "255700000001")
    assert re.fullmatch(r"T[0-9A-F]{16}", pushed["transid"])


@pytest.mark.parametrize("code", ["000", "111"])
def test_accepted_prompt_is_not_a_payment(provider, company, code):
    company.answer(CREATE, BODIES["create_order_minimal_ok"])
    company.answer(PUSH, {**BODIES["wallet_payment_ok"], "resultcode": code})

    assert provider.start(order()).result is StartResult.ACCEPTED


@pytest.mark.parametrize("url", ["http://pg.example.test/t12222", "https://pg.example.test/p"])
@pytest.mark.parametrize("encoded", [True, False])
def test_hosted_page_comes_in_base64_or_plain(provider, company, url, encoded):
    body = BODIES["create_order_minimal_ok"]
    text = base64.b64encode(url.encode()).decode() if encoded else url
    company.answer(CREATE, {**body, "data": [{**body["data"][0], "payment_gateway_url": text}]})

    outcome = provider.start(order(PaymentMethod.HOSTED_CHECKOUT))

    assert (outcome.result, outcome.checkout_url) == (StartResult.ACCEPTED, url)


@pytest.mark.parametrize("text", ["", "no base64!", "amF2YXNjcmlwdDphbGVydCgxKQ==", None])
def test_page_that_is_no_address_is_refused(provider, company, text):
    """A payer is not sent just anywhere."""
    body = BODIES["create_order_minimal_ok"]
    company.answer(CREATE, {**body, "data": [{"payment_gateway_url": text}]})

    with pytest.raises(AnswerUnreadable):
        provider.start(order(PaymentMethod.HOSTED_CHECKOUT))


def test_page_over_plain_http_is_for_tests_only(company):
    """Where the API itself is called over https, so is the page."""
    provider = make_provider("https://127.0.0.1:1")

    assert provider._page_schemes == {"https"}


def test_card_needs_billing_data_and_gets_it_flat(provider, company):
    """The payer's own where it is known, else the merchant's; dotted names, never nested."""
    company.answer(CREATE_FULL, BODIES["create_order_minimal_ok"])
    payer = Payer(
        name="Asha Juma Ally",
        email="asha@example.test",
        address=Address(line="Plot 12", city="Mwanza", country="TZ"),
    )

    provider.start(order(PaymentMethod.CARD, payer=payer))

    [sent] = company.calls
    assert sent.body["payment_methods"] == "ALL"
    assert sent.body["billing.firstname"] == "Asha"
    assert sent.body["billing.lastname"] == "Juma Ally"
    assert sent.body["billing.city"] == "Mwanza"
    assert sent.body["billing.postcode_or_pobox"] == "11101"
    assert not [value for value in sent.body.values() if isinstance(value, dict)]
    assert sent.headers["signed-fields"].split(",") == list(sent.body)


def test_billing_defaults_are_the_merchants(company):
    company.answer(CREATE_FULL, BODIES["create_order_minimal_ok"])
    make_provider(company.base_url, billing={"city": "Arusha"}).start(order(PaymentMethod.CARD))

    assert company.calls[0].body["billing.city"] == "Arusha"
    with pytest.raises(ValueError, match="wrong or empty street"):
        make_provider(company.base_url, billing={"street": "x"})


def test_base_url_has_no_version():
    with pytest.raises(ValueError, match="without /v1"):
        make_provider("https://apigw.example.test/v1/")


def test_prompt_to_another_country_is_refused_before_any_call(provider, company):
    outcome = provider.start(order(phone_e164="+254712345678"))

    assert outcome.result is StartResult.REFUSED
    assert company.calls == []


def test_refused_order_is_asked_about_before_it_is_believed(provider, company):
    """A repeated order id has no documented answer: it may be one that we made before."""
    refusal = {"resultcode": "651", "result": "FAIL", "message": "Order exists", "data": []}
    for known, result in [
        (BODIES["order_status_unknown"], StartResult.REFUSED),
        (BODIES["order_status_pending"], StartResult.DUPLICATE),
    ]:
        with scripted_company() as another:
            another.answer(CREATE, refusal)
            another.answer(STATUS, known, status=200)
            outcome = make_provider(another.base_url).start(order())

        assert outcome.result is result
        assert not another.calls_to(PUSH)


def test_missing_parameter_is_our_mistake(provider, company):
    company.answer(CREATE, BODIES["create_order_http_412"], status=412)

    outcome = provider.start(order())

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )
    assert len(company.calls) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, BODIES["not_enabled_http_403"]),
        (403, b"<html>"),
        (401, b""),
        (200, {"resultcode": "4XX", "result": "FAIL", "message": "No (4032)", "data": []}),
    ],
)
def test_closed_door_is_a_refusal_and_an_alarm(provider, company, status, body, caplog):
    """Nothing is in flight, and nobody but staff can change that."""
    company.answer(CREATE, body, status=status)

    outcome = provider.start(order())

    assert outcome.result is StartResult.REFUSED
    assert [record.message for record in caplog.records] == ["payment.provider_misconfigured"]
    assert KEYS["api_secret"] not in caplog.text


def test_second_step_that_never_left_reached_nobody():
    """The order is there, the prompt is not: the payer may try again, under another order."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_once_and_go() -> None:
        connection, _ = listener.accept()
        # Before the answer: the second call must find nobody.
        listener.close()
        with connection:
            connection.recv(65536)
            body = json.dumps(BODIES["create_order_minimal_ok"]).encode()
            head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=answer_once_and_go)
    thread.start()

    outcome = make_provider(base_url).start(order())

    thread.join()
    assert outcome.result is StartResult.REFUSED
    assert outcome.failure_code is FailureCode.PROVIDER_UNREACHABLE


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"oops"),
        (200, b"<html>"),
        (200, {"resultcode": "999", "result": "AMBIGOUS", "message": "?", "data": []}),
        (200, {"resultcode": "321", "result": "MAYBE", "message": "?", "data": []}),
        (429, b""),
    ],
)
def test_unclear_second_step_is_no_answer(provider, company, status, body):
    """The prompt may be on the phone."""
    company.answer(CREATE, BODIES["create_order_minimal_ok"])
    company.answer(PUSH, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        provider.start(order())
    assert len(company.calls_to(PUSH)) == 1


def test_refused_second_step_is_a_refusal(provider, company):
    company.answer(CREATE, BODIES["create_order_minimal_ok"])
    company.answer(PUSH, {"resultcode": "010", "result": "FAIL", "message": "No", "data": []})

    outcome = provider.start(order())

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", None)])
def test_busy_before_the_order_may_be_sent_again(provider, company, header, seconds):
    company.answer(CREATE, b"", status=429, headers={"Retry-After": header})

    outcome = provider.start(order())

    assert outcome.result is StartResult.TRY_LATER
    assert outcome.retry_after_seconds == seconds


# What became of it.


@pytest.mark.parametrize(
    ("word", "claim", "code"),
    [
        ("PENDING", Claim.ACCEPTED, None),
        ("INPROGRESS", Claim.ACCEPTED, None),
        ("COMPLETED", Claim.SUCCESS, None),
        ("complete", Claim.SUCCESS, None),
        ("REJECTED", Claim.FAILURE, FailureCode.DECLINED),
        ("FAILED", Claim.FAILURE, FailureCode.OTHER),
        ("FAIL", Claim.FAILURE, FailureCode.OTHER),
        ("CANCELLED", Claim.FAILURE, FailureCode.CANCELED),
        ("CANCELED", Claim.FAILURE, FailureCode.CANCELED),
        ("CANCEL", Claim.FAILURE, FailureCode.CANCELED),
        ("USERCANCELLED", Claim.FAILURE, FailureCode.CANCELED),
        ("USERCANCELED", Claim.FAILURE, FailureCode.CANCELED),
        ("EXPIRED", Claim.FAILURE, FailureCode.TIMED_OUT),
        ("SOMETHING NEW", Claim.ACCEPTED, None),
    ],
)
def test_every_word_has_one_meaning(provider, company, word, claim, code):
    company.answer(STATUS, row(payment_status=word))

    [observation] = provider.query(CallHandle(reference=REFERENCE))

    assert (observation.claim, observation.failure_code) == (claim, code)
    assert observation.money == PRICE
    assert observation.provider_ref == "0281121212"


def test_unknown_order_is_not_found(provider, company):
    for status in (200, 404):
        with scripted_company() as another:
            another.answer(STATUS, BODIES["order_status_unknown"], status=status)
            [observation] = make_provider(another.base_url).query(CallHandle(reference=REFERENCE))
        assert observation.claim is Claim.NOT_FOUND


@pytest.mark.parametrize(
    "body",
    [
        {**row(), "data": []},
        row(order_id="OTHER"),
        row(amount=25.5),
        row(amount="-5"),
        row(payment_status=None),
        {"resultcode": "999", "result": "AMBIGOUS", "message": "", "data": []},
        {"resultcode": "000", "result": "FAIL", "message": "", "data": []},
    ],
)
def test_query_without_information_says_nothing(provider, company, body):
    company.answer(STATUS, body)
    with pytest.raises((NoAnswer, AnswerUnreadable)):
        provider.query(CallHandle(reference=REFERENCE))


@pytest.mark.parametrize("name", ["cancel_ok", "create_order_http_412", "order_status_unknown"])
def test_cancel_is_a_signed_query_string(provider, company, name):
    company.answer("DELETE /v1/checkout/cancel-order", BODIES[name])
    provider.cancel(CallHandle(reference=REFERENCE))

    [call] = company.calls
    assert dict(call.query) == {"order_id": REFERENCE}


def test_unclear_cancel_is_no_answer(provider, company):
    company.answer(
        "DELETE /v1/checkout/cancel-order", {"resultcode": "999", "result": "", "message": ""}
    )
    with pytest.raises(NoAnswer):
        provider.cancel(CallHandle(reference=REFERENCE))
    provider.cancel(CallHandle(reference=REFERENCE, method=PaymentMethod.CONTROL_NUMBER))


# Webhooks.


def test_webhook_only_makes_us_ask(provider):
    """Signed or not: sources disagree whether real ones are."""
    [observation] = provider.read_webhook(webhook(BODIES["webhook_completed"]).body)

    assert observation.trust is Trust.HINT
    assert observation.claim is Claim.SUCCESS


def test_signed_webhook_is_proven(provider):
    vector = next(vector for vector in SIGNING if vector["method"] == "WEBHOOK")
    headers = {
        "digest": vector["expected"]["Digest"],
        "signed-fields": vector["expected"]["Signed-Fields"],
        "timestamp": vector["timestamp"],
    }
    request = webhook(
        {**dict(vector["fields"]), "amount": "25000"},
        headers=headers,
        received_at=datetime.fromisoformat(vector["timestamp"]),
    )

    assert provider.open_webhook(request).event_type == "COMPLETED"


@pytest.mark.parametrize(
    "changes", [{"order_id": "OTHER"}, {"payment_status": "PENDING"}, {"reference": "1"}]
)
def test_changed_field_is_forged(provider, changes):
    request = webhook(BODIES["webhook_completed"])
    body = json.dumps({**BODIES["webhook_completed"], **changes}).encode()

    with pytest.raises(SignatureInvalid, match="does not match"):
        provider.open_webhook(dataclasses.replace(request, body=body))


def test_signature_must_be_about_the_order(provider):
    """A digest over one harmless field proves nothing about the rest."""
    with pytest.raises(SignatureInvalid, match="does not cover"):
        provider.open_webhook(webhook(BODIES["webhook_completed"], names="result"))
    with pytest.raises(SignatureInvalid, match="cannot be rebuilt"):
        provider.open_webhook(
            dataclasses.replace(
                webhook(BODIES["webhook_completed"]), headers={"digest": "x", "timestamp": "T"}
            )
        )


def test_misspelt_code_is_taken_where_it_is_signed(provider):
    body = {**BODIES["webhook_completed"]}
    request = webhook(body)
    body["resulcode"] = body.pop("resultcode")

    assert provider.open_webhook(
        dataclasses.replace(request, body=json.dumps(body).encode())
    ).dedupe_key


@pytest.mark.parametrize("strict", [False, True])
def test_unsigned_webhook_is_a_hint_or_refused(strict):
    provider = make_provider("http://127.0.0.1:1", strict_webhooks=strict)
    request = dataclasses.replace(webhook(BODIES["webhook_completed"]), headers={})

    assert provider.capabilities.signs_webhooks is strict
    if strict:
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(request)
    else:
        assert provider.open_webhook(request).ack.status == 200


def test_repeated_webhook_has_the_same_key_though_its_time_differs(provider):
    first = provider.open_webhook(webhook(BODIES["webhook_completed"]))
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        second = provider.open_webhook(webhook(BODIES["webhook_completed"]))
    other = provider.open_webhook(
        webhook({**BODIES["webhook_completed"], "payment_status": "CANCELLED"})
    )

    assert first.dedupe_key == second.dedupe_key != other.dedupe_key


# Control numbers (C2B).

NOTICE = {
    "operator": "MPESA-TZ",
    "transid": "MP1",
    "reference": "0289",
    "utilityref": control_number(REFERENCE),
    "amount": "25000",
    "msisdn": "255700000001",
}


def c2b(action: str, body: Any = None, token: str = f"Bearer {TOKEN}") -> WebhookRequest:
    return WebhookRequest(
        method="POST",
        path=f"/api/v1/webhooks/payments/selcom/{action}",
        headers={"authorization": token},
        query={},
        body=json.dumps(NOTICE if body is None else body).encode(),
        received_at=datetime.now(UTC),
    )


def test_control_number_needs_no_call(provider, company):
    first, again = (provider.start(order(PaymentMethod.CONTROL_NUMBER)) for _ in range(2))

    assert re.fullmatch(r"[0-9]{12}", first.payer_code)
    assert first.payer_code == again.payer_code
    assert control_number("P1") != control_number("P2")
    assert company.calls == []


def test_notification_moves_money_under_the_number(provider):
    verified = provider.open_webhook(c2b("notification"))
    [observation] = provider.read_webhook(c2b("notification").body)

    assert observation == Observation(
        reference=control_number(REFERENCE),
        claim=Claim.SUCCESS,
        money=PRICE,
        provider_ref="0289",
    )
    assert json.loads(verified.ack.body) == {
        "reference": "0289",
        "resultcode": "000",
        "message": "Received",
        "result": "SUCCESS",
    }


@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", TOKEN])
def test_question_or_notification_without_our_token_is_forged(provider, token):
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(c2b("notification", token=token))
    with pytest.raises(SignatureInvalid):
        provider.open_inquiry(c2b("lookup", token=token), action="lookup")
    with pytest.raises(SignatureInvalid):
        make_provider("http://127.0.0.1:1", c2b_token="").open_inquiry(
            c2b("lookup", token="Bearer "), action="lookup"
        )


@pytest.mark.parametrize(("amount", "money"), [("25000", PRICE), (0, None), (None, None)])
def test_question_is_read(provider, amount, money):
    body = {**NOTICE, "amount": amount}

    inquiry = provider.open_inquiry(c2b("validation", body), action="validation")

    assert inquiry == Inquiry(
        action="validation",
        payer_code=control_number(REFERENCE),
        company_ref="0289",
        money=money,
    )


@pytest.mark.parametrize("body", [{**NOTICE, "amount": 1.5}, {"reference": "1"}, []])
def test_unreadable_question_is_an_error_of_its_own(provider, body):
    with pytest.raises(PayloadUnreadable):
        provider.open_inquiry(c2b("lookup", body), action="lookup")


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
def test_answer_is_spelled_selcoms_way(provider, verdict, code):
    inquiry = Inquiry(action="lookup", payer_code="1", company_ref="0289")

    ack = provider.answer_inquiry(
        inquiry, InquiryReply(verdict=verdict, money=PRICE, description="A ticket")
    )

    answer = json.loads(ack.body)
    assert (answer["reference"], answer["resultcode"]) == ("0289", code)
    assert (answer["amount"], answer["name"]) == (25_000, "A ticket")


def test_number_is_asked_about_once_somebody_has_paid(provider, company):
    """Before, Selcom knows nothing of it; its answer has no amount, so it only confirms."""
    handle = CallHandle(reference=REFERENCE, method=PaymentMethod.CONTROL_NUMBER)
    [before] = provider.query(handle)
    company.answer(
        "GET /v1/c2b/query-status",
        {"resultcode": "000", "result": "SUCCESS", "message": "COMPLETE", "data": []},
    )
    [after] = provider.query(dataclasses.replace(handle, provider_ref="0289"))

    assert (before.claim, after.claim, after.money) == (Claim.ACCEPTED, Claim.SUCCESS, None)


def test_answer_about_a_number_that_does_not_say_paid_is_not_paid(provider, company):
    company.answer(
        "GET /v1/c2b/query-status",
        {"resultcode": "000", "result": "SUCCESS", "message": "Received", "data": []},
    )
    handle = CallHandle(
        reference=REFERENCE, method=PaymentMethod.CONTROL_NUMBER, provider_ref="0289"
    )

    [observation] = provider.query(handle)

    assert observation.claim is Claim.ACCEPTED


# Payouts.


def payout(**changes: Any) -> PayoutRequest:
    destination = {
        "method": PayoutMethod.MOBILE_WALLET,
        "phone_e164": "+255700000002",
        **changes,
    }
    return PayoutRequest(
        reference="D0123456789ABCDEFGHJ",
        money=Money.from_major(12_000, "TZS"),
        destination=PayoutDestination(**destination),
        description="Wages",
    )


BANK = {
    "method": PayoutMethod.BANK_ACCOUNT,
    "bank_code": "CRDBBANK",
    "account_number": "0150",
    "name": "Asha Juma",
}


@pytest.mark.parametrize(
    ("changes", "rail", "path"),
    [
        ({}, "walletcashin", "walletcashin/process"),
        ({"bank_code": "VMCASHIN"}, "walletcashin", "walletcashin/process"),
        ({"bank_code": "SPSCASHIN"}, "selcompesa", "selcompesa/cashin"),
        ({**BANK, "bank_code": "SPSCASHIN"}, "selcompesa", "selcompesa/cashin"),
        (BANK, "qwiksend", "qwiksend/process"),
    ],
)
def test_payout_goes_by_its_rail_and_is_asked_about_there(provider, company, changes, rail, path):
    company.answer(f"POST /v1/{path}", BODIES["payout_ok"])
    company.answer(f"GET /v1/{rail}/query", BODIES["payout_query_ok"])
    request = payout(**changes)
    request = dataclasses.replace(request, rail=provider.payout_rail(request))

    outcome = provider.start_payout(request)
    [observation] = provider.query_payout(
        CallHandle(reference=request.reference, rail=request.rail)
    )

    assert request.rail == rail
    assert (outcome.result, outcome.provider_ref) == (StartResult.DONE, "0270720833")
    assert (observation.claim, observation.provider_ref) == (Claim.SUCCESS, "0270720833")
    assert observation.subject is Subject.PAYOUT
    sent, asked = company.calls
    assert sent.body["transid"] == request.reference
    assert sent.body["amount"] == 12_000
    assert (sent.body["vendor"], sent.body["pin"]) == ("FLOAT60000001", "000000")
    assert dict(asked.query) == {"transid": request.reference}


@pytest.mark.parametrize("changes", [{"bank_code": "X"}, {**BANK, "bank_code": "X"}])
def test_payout_to_nowhere_is_refused_before_any_call(provider, changes):
    with pytest.raises(ValueError, match="Selcom has no"):
        provider.payout_rail(payout(**changes))


@pytest.mark.parametrize(
    ("body", "result", "code"),
    [
        ("payout_in_progress", StartResult.ACCEPTED, None),
        ("payout_bad_number", StartResult.REFUSED, FailureCode.INVALID_REQUEST),
        ("not_enabled_http_403", StartResult.REFUSED, FailureCode.PROVIDER_REFUSED),
    ],
)
def test_answer_to_a_payout(provider, company, body, result, code):
    status = 403 if body == "not_enabled_http_403" else 200
    company.answer("POST /v1/walletcashin/process", BODIES[body], status=status)

    outcome = provider.start_payout(payout())

    assert (outcome.result, outcome.failure_code) == (result, code)


def test_empty_float_and_a_repeated_transid(company, provider):
    company.answer(
        "POST /v1/walletcashin/process",
        {"resultcode": "990", "result": "FAIL", "message": "Insufficient", "data": []},
    )
    company.answer(
        "POST /v1/walletcashin/process",
        {"resultcode": "612", "result": "FAIL", "message": "Duplicate transid", "data": []},
    )

    empty, repeated = (provider.start_payout(payout()) for _ in range(2))

    assert empty.failure_code is FailureCode.INSUFFICIENT_FUNDS
    assert repeated.result is StartResult.DUPLICATE


@pytest.mark.parametrize("code", ["111", "927", "001", "002", "003"])
def test_running_codes_run_on_both_calls(provider, company, code):
    body = {**BODIES["payout_in_progress"], "resultcode": code}
    company.answer("POST /v1/walletcashin/process", body)
    company.answer("GET /v1/walletcashin/query", body)

    assert provider.start_payout(payout()).result is StartResult.ACCEPTED
    [observation] = provider.query_payout(CallHandle(reference="D1", rail="walletcashin"))
    assert observation.claim is Claim.ACCEPTED


def test_999_is_never_a_failure(provider, company):
    """Not when it is sent, and not when it is asked about."""
    company.answer("POST /v1/walletcashin/process", BODIES["payout_ambiguous"])
    company.answer("GET /v1/walletcashin/query", BODIES["payout_ambiguous"])

    with pytest.raises(NoAnswer):
        provider.start_payout(payout())
    with pytest.raises(NoAnswer):
        provider.query_payout(CallHandle(reference="D1", rail="walletcashin"))


def test_failed_and_unknown_payouts(provider, company):
    company.answer("GET /v1/walletcashin/query", BODIES["payout_bad_number"])
    company.answer("GET /v1/walletcashin/query", BODIES["order_status_unknown"])
    company.answer("GET /v1/walletcashin/query", BODIES["not_enabled_http_403"], status=403)
    handle = CallHandle(reference="D1", rail="walletcashin")

    [failed] = provider.query_payout(handle)
    [unknown] = provider.query_payout(handle)

    assert (failed.claim, failed.failure_code) == (Claim.FAILURE, FailureCode.INVALID_REQUEST)
    assert unknown.claim is Claim.NOT_FOUND
    with pytest.raises(NoAnswer):
        provider.query_payout(handle)
    with pytest.raises(ValueError, match="no rail"):
        provider.query_payout(CallHandle(reference="D1", rail="pigeon"))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, "walletcashin/namelookup"),
        ({"bank_code": "SPSCASHIN"}, "selcompesa/namelookup"),
        (BANK, "qwiksend/lookup"),
    ],
)
def test_preview_tells_whose_account_that_is(provider, company, changes, path):
    company.answer(f"GET /v1/{path}", BODIES["namelookup_ok"])
    company.answer(f"GET /v1/{path}", BODIES["payout_bad_number"])
    company.answer(f"GET /v1/{path}", BODIES["payout_ambiguous"])

    known, unknown = (provider.preview_payout(payout(**changes)) for _ in range(2))

    assert (known.receiver_name, unknown.receiver_name) == ("ASHA JUMA", "")
    with pytest.raises(NoAnswer):
        provider.preview_payout(payout(**changes))


# Its books.


def test_balance_is_the_floats(provider, company):
    company.answer("POST /v1/vendor/balance", BODIES["balance_ok"])
    company.answer("POST /v1/vendor/balance", {**BODIES["balance_ok"], "data": []})
    company.answer("POST /v1/vendor/balance", BODIES["payout_ambiguous"])

    assert provider.list_balances() == [Money.from_major(1_000_000, "TZS")]
    with pytest.raises(AnswerUnreadable):
        provider.list_balances()
    with pytest.raises(NoAnswer):
        provider.list_balances()


def test_statement_is_the_days_paid_orders(provider, company):
    path = "GET /v1/checkout/list-orders"
    paid = {
        "order_id": REFERENCE,
        "creation_date": "2026-03-02 08:15:35",
        "amount": "25000",
        "payment_status": "COMPLETED",
    }
    canceled = {**paid, "order_id": "P2", "payment_status": "CANCEL"}
    body = {"resultcode": "000", "result": "SUCCESS", "message": ""}
    company.answer(path, {**body, "data": [paid, canceled]})
    company.answer(path, BODIES["order_status_unknown"])
    company.answer(path, {**body, "data": [{**paid, "creation_date": "today"}]})
    company.answer(path, {**body, "data": [{**paid, "amount": None}]})
    company.answer(path, BODIES["payout_ambiguous"])
    days = {"first": date(2026, 3, 2), "last": date(2026, 3, 3), "currency": "TZS"}

    [entry] = provider.fetch_statement(**days)

    assert dict(company.calls[0].query) == {"fromdate": "2026-03-02", "todate": "2026-03-03"}
    assert (entry.reference, entry.money, entry.subject) == (REFERENCE, PRICE, Subject.PAYMENT)
    assert entry.booked_at == datetime(2026, 3, 2, 5, 15, 35, tzinfo=UTC)
    assert provider.fetch_statement(**days) == []
    for _ in range(2):
        with pytest.raises(AnswerUnreadable):
            provider.fetch_statement(**days)
    with pytest.raises(NoAnswer):
        provider.fetch_statement(**days)
    assert provider.fetch_statement(**{**days, "currency": "USD"}) == []


def test_secrets_stay_out_of_logs(provider, company, caplog):
    caplog.set_level("DEBUG")
    company.answer("POST /v1/walletcashin/process", BODIES["payout_ok"])
    provider.start_payout(payout())

    assert "payment.provider_called" in caplog.text
    everything = caplog.text + str([record.__dict__ for record in caplog.records])
    for secret in (*KEYS.values(), "000000", "255700000002"):
        assert secret not in everything


def test_nobody_listening_is_not_sent():
    with pytest.raises(NotSent):
        make_provider(f"http://127.0.0.1:{free_port()}").start(order())
