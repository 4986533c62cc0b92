"""ClickPesa takes the exam; pushes, refusals and limits."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer, NotSent
from ntc_core.money import Money
from ntc_core.webhooks.types import WebhookRequest
from ntc_payments.conf import provider_registry
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.clickpesa import ClickPesaProvider
from ntc_payments.testing import PaymentProviderSuite
from ntc_payments.types import (
    Claim,
    FailureCode,
    Observation,
    Payer,
    PaymentMethod,
    StartResult,
)

from tests.clickpesa_company import BODIES, Company, running_company
from tests.clickpesa_orders import (
    INITIATE,
    KEY,
    PREVIEW,
    QUERY,
    REFERENCE,
    handle,
    make_provider,
    order,
    row,
)


class TestClickPesaProvider(PaymentProviderSuite):
    """The exam."""

    proof_has_a_time = False
    well_answered = {
        "/generate-token": json.dumps(BODIES["token_ok"]).encode(),
        PREVIEW: json.dumps(BODIES["preview_ussd_ok"]).encode(),
    }

    def make_provider(self, base_url: str) -> PaymentProvider:
        return make_provider(base_url, total_timeout_seconds=0.5)

    def make_webhook(self, fact: Observation) -> WebhookRequest:
        success = fact.claim is Claim.SUCCESS
        event = {
            "event": "PAYMENT RECEIVED" if success else "PAYMENT FAILED",
            "data": {
                "id": fact.provider_ref,
                "status": "SUCCESS" if success else "FAILED",
                "orderReference": fact.reference,
                "collectedAmount": fact.money.to_major().removesuffix(".00"),
                "collectedCurrency": fact.money.currency,
            },
        }
        text = json.dumps(event, separators=(",", ":"), sort_keys=True)
        event["checksum"] = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
        return WebhookRequest(
            method="POST",
            path="/",
            headers={},
            query={},
            body=json.dumps(event).encode(),
            received_at=datetime.now(UTC),
        )

    def without_proof(self, request: WebhookRequest) -> WebhookRequest:
        event = json.loads(request.body)
        del event["checksum"]
        return dataclasses.replace(request, body=json.dumps(event).encode())


@pytest.fixture
def company() -> Iterator[Company]:
    """Return a company that knows a token and nothing else yet."""
    with running_company() as running:
        yield running


@pytest.fixture
def provider(company) -> ClickPesaProvider:
    return make_provider(company.base_url)


def test_push_is_previewed_then_made_with_text_amounts_and_a_checksum(provider, company):
    """The same reference goes to both; the token is the company's text as it is."""
    company.answer(PREVIEW, BODIES["preview_ussd_ok"])
    company.answer(INITIATE, BODIES["initiate_ussd_ok"])

    outcome = provider.start(order())

    assert outcome.result is StartResult.ACCEPTED
    assert outcome.provider_ref == "CPTEST0001LCP"
    assert outcome.money == Money.from_major(10000, "TZS")
    assert [call.path for call in company.calls] == ["/generate-token", PREVIEW, INITIATE]
    token, preview, initiate = company.calls
    assert (token.headers["client-id"], token.headers["api-key"]) == ("client", "key")
    assert "authorization" not in token.headers
    assert token.text == ""
    assert initiate.headers["authorization"] == "Bearer token-1"
    assert initiate.headers["content-type"] == "application/json"
    assert initiate.body == preview.body
    # Vector clickpesa-canonical-01.
    assert initiate.body == {
        "amount": "10000",
        "currency": "TZS",
        "orderReference": REFERENCE,
        "phoneNumber": "255700000001",
        "checksum": "ed1ca5dee993b9bcfd34e7a01172e0afe49f6a5cdf99f90a6bf68412167b20e8",
    }


def test_without_a_key_nothing_is_signed(company):
    company.answer(INITIATE, BODIES["initiate_ussd_ok"])
    unsigned = make_provider(company.base_url, checksum_key="", preview=False)

    assert unsigned.start(order()).result is StartResult.ACCEPTED
    assert "checksum" not in company.calls_to(INITIATE)[0].body
    assert company.calls_to(PREVIEW) == []


def test_closed_networks_refuse_before_any_prompt(provider, company):
    """Only when every network is closed: whose the number is, the preview does not say."""
    closed = {"name": "M-PESA", "status": "UNAVAILABLE", "message": "Service is down"}
    company.answer(PREVIEW, {"activeMethods": [closed, {**closed, "name": "X", "message": None}]})

    outcome = provider.start(order())

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.PROVIDER_REFUSED,
    )
    assert "M-PESA: Service is down" in outcome.failure_message
    assert "X: unavailable" in outcome.failure_message
    assert company.calls_to(INITIATE) == []


def test_refused_preview_refuses_before_any_prompt(provider, company):
    company.answer(PREVIEW, BODIES["bad_number_http_400"], status=400)

    outcome = provider.start(order())

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )
    assert outcome.failure_message == "Invalid / unsupported phone number"
    assert company.calls_to(INITIATE) == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"message": "Error validating fee, try again later"}),
        (200, b"<html>"),
        (200, {"activeMethods": None}),
        (200, {"activeMethods": [7]}),
        (200, {"activeMethods": []}),
        (200, {"activeMethods": [{"name": "M-PESA", "status": "ANOTHER WORD"}]}),
        (0, b""),
    ],
)
def test_unclear_preview_does_not_stop_the_payer(provider, company, status, body):
    company.answer(PREVIEW, body, status=status)
    company.answer(INITIATE, BODIES["initiate_ussd_ok"])

    assert provider.start(order()).result is StartResult.ACCEPTED


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("SUCCESS", StartResult.DONE),
        ("SETTLED", StartResult.DONE),
        ("FAILED", StartResult.REFUSED),
        ("REVERSED", StartResult.ACCEPTED),
        ("ON-HOLD", StartResult.ACCEPTED),
    ],
)
def test_push_that_ends_at_once(provider, company, status, result):
    """With HTTP 200: paid, or failed. A word we do not know is on its way."""
    company.answer(PREVIEW, BODIES["preview_ussd_ok"])
    company.answer(INITIATE, {**BODIES["initiate_ussd_ok"], "status": status})

    assert provider.start(order()).result is result


def test_success_without_an_amount_is_left_to_the_query(company):
    answer = {**BODIES["initiate_ussd_ok"], "status": "SUCCESS", "collectedAmount": None}
    company.answer(INITIATE, answer)

    outcome = make_provider(company.base_url, preview=False).start(order())

    assert (outcome.result, outcome.money) == (StartResult.ACCEPTED, None)


def test_answer_about_another_reference_is_no_answer(provider, company):
    """A proxy that mixes up answers must not settle the wrong payment."""
    company.answer(PREVIEW, BODIES["preview_ussd_ok"])
    company.answer(INITIATE, {**BODIES["initiate_ussd_ok"], "orderReference": "ORDTEST0002"})
    company.answer(QUERY, [row(orderReference="ORDTEST0002")])

    with pytest.raises(AnswerUnreadable, match="another reference"):
        provider.start(order())
    with pytest.raises(AnswerUnreadable, match="another reference"):
        provider.query(handle())


REFUSALS = [
    (400, {"message": "Valid Client ID is required"}, FailureCode.PROVIDER_REFUSED, True),
    (
        400,
        {"message": "Application has no access to COLLECTION API feature"},
        FailureCode.PROVIDER_REFUSED,
        True,
    ),
    (400, {"message": "Invalid Order Reference, should"}, FailureCode.INVALID_REQUEST, False),
    (400, BODIES["bad_number_http_400"], FailureCode.INVALID_REQUEST, False),
    (
        400,
        {"message": ["Total Price is required", 7]},
        FailureCode.INVALID_REQUEST,
        False,
    ),
    (400, {"message": "Insufficient balance"}, FailureCode.INSUFFICIENT_FUNDS, False),
    (422, {"message": "You have insufficient funds"}, FailureCode.INSUFFICIENT_FUNDS, False),
    (400, b"<html>Bad request</html>", FailureCode.INVALID_REQUEST, False),
    (401, {"message": "Unauthorized"}, FailureCode.PROVIDER_REFUSED, True),
    (403, {"message": "Invalid or Expired API-Key"}, FailureCode.PROVIDER_REFUSED, True),
    (
        404,
        {"message": "Account has no payment collection methods"},
        FailureCode.PROVIDER_REFUSED,
        True,
    ),
    (404, {"message": "Merchant shop does not exists"}, FailureCode.PROVIDER_REFUSED, True),
    (422, {"message": "payment method is not active"}, FailureCode.PROVIDER_REFUSED, False),
    (404, [], FailureCode.PROVIDER_REFUSED, False),
]


@pytest.mark.parametrize(("status", "body", "code", "alarm"), REFUSALS)
def test_refusal_says_why_and_calls_people_only_for_our_setup(
    company, caplog, *, status, body, code, alarm
):
    company.answer(INITIATE, body, status=status)

    outcome = make_provider(company.base_url, preview=False).start(order())

    assert (outcome.result, outcome.failure_code) == (StartResult.REFUSED, code)
    assert outcome.failure_message
    assert ("payment.provider_setup" in caplog.messages) is alarm


def test_wrong_checksum_is_refused_and_people_are_told(company, caplog):
    """The sentence is in a list there."""
    company.answer(INITIATE, BODIES["invalid_checksum_http_400"], status=400)

    outcome = make_provider(company.base_url, preview=False).start(order())

    assert (outcome.result, outcome.failure_message) == (StartResult.REFUSED, "Invalid checksum")
    assert "payment.provider_setup" in caplog.messages


@pytest.mark.parametrize(
    ("status", "message"),
    [(409, BODIES["duplicate_http_409"]["message"]), (400, "billReference already used")],
)
def test_used_reference_is_a_duplicate(company, status, message):
    company.answer(INITIATE, {"message": message}, status=status)

    outcome = make_provider(company.base_url, preview=False).start(order())

    assert outcome.result is StartResult.DUPLICATE


@pytest.mark.parametrize(
    ("message", "headers", "wait"),
    [
        ("Too many requests", {}, None),
        ("Too many requests", {"retry-after": "7"}, 7.0),
        ("Please wait 42 seconds", {"retry-after": "Wed, 25 Nov 2026 10:00:00 GMT"}, 42.0),
        ("KYC: you have reached 100 calls per day", {"retry-after": "7"}, 3600.0),
    ],
)
def test_limit_says_when_to_come_back(company, message, headers, wait):
    company.answer(INITIATE, {"message": message}, status=429, headers=headers)

    outcome = make_provider(company.base_url, preview=False).start(order())

    assert (outcome.result, outcome.retry_after_seconds) == (StartResult.TRY_LATER, wait)


@pytest.mark.parametrize("status", [202, 302, 408, 499, 500, 502, 503])
def test_undocumented_status_is_no_answer(company, status):
    """500 "Error validating fee" too: the same reference is asked about first."""
    company.answer(INITIATE, {"message": "Error validating fee, try again later"}, status=status)
    company.answer(QUERY, {"message": "?"}, status=status)
    provider = make_provider(company.base_url, preview=False)

    with pytest.raises(NoAnswer):
        provider.start(order())
    with pytest.raises(NoAnswer):
        provider.query(handle())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"money": Money.from_major("10000.50", "TZS")}, "whole TZS"),
        ({"money": Money.from_major(999, "TZS")}, "at least TZS 1,000"),
        ({"money": Money.from_major(10, "USD")}, "does not take USD"),
        ({"phone_e164": "+254700000001"}, "numbers of Tanzania"),
        ({"phone_e164": "+25570000000\u0661"}, "numbers of Tanzania"),
        ({"reference": "ORD-1"}, "20 letters and digits"),
        ({"reference": "A" * 21}, "20 letters and digits"),
        ({"reference": "ORDÉ"}, "20 letters and digits"),
        (
            {"method": PaymentMethod.CARD, "money": Money.from_major(10, "USD"), "payer": Payer()},
            "name and email",
        ),
    ],
)
def test_what_it_cannot_take_is_refused_without_a_call(provider, company, changes, sentence):
    outcome = provider.start(order(**changes))

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )
    assert sentence in outcome.failure_message
    assert company.calls == []


def test_smallest_payment_is_an_option(company):
    limits = make_provider(company.base_url, minimum="500").capabilities.limits

    assert limits["TZS"].minimum == Money.from_major(500, "TZS")


def test_settings_name_it(settings):
    settings.NTC_PAYMENT_PROVIDERS = {
        "clickpesa": {"base_url": "http://127.0.0.1:1", "client_id": "c", "api_key": "k"}
    }

    assert isinstance(provider_registry.get("clickpesa"), ClickPesaProvider)


def test_refused_keys_refuse_a_start_and_say_nothing_in_a_query(provider, company, caplog):
    company.answer("/generate-token", {"message": "Invalid client details"}, status=403)

    outcome = provider.start(order())

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.PROVIDER_REFUSED,
    )
    assert outcome.failure_message == "Invalid client details"
    assert len(company.calls) == 1
    assert "payment.provider_setup" in caplog.messages
    with pytest.raises(NotSent):
        provider.query(handle())
