"""Selcom takes the exam; its options, orders and pages."""

from __future__ import annotations

import base64
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ntc_core.http import AnswerUnreadable
from ntc_core.money import Money
from ntc_core.webhooks.types import WebhookRequest
from ntc_payments.conf import provider_registry
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.selcom import SelcomProvider
from ntc_payments.providers.selcom.answers import Reply, Verdict, read_page_url
from ntc_payments.testing import PaymentProviderSuite
from ntc_payments.types import (
    Address,
    AttemptRequest,
    Claim,
    FailureCode,
    Observation,
    Payer,
    PaymentMethod,
    StartResult,
)

from tests.scripted_company import scripted_company
from tests.selcom_company import (
    BODIES,
    CREATE,
    CREATE_FULL,
    KEY,
    PUSH,
    REFERENCE,
    encoded,
    make_provider,
    order,
    webhook,
)

CREATED = BODIES["create_order_minimal_ok"]
HOSTED = PaymentMethod.HOSTED_CHECKOUT


@pytest.fixture
def scripted():
    """Run a Selcom that answers what the test says."""
    with scripted_company() as company:
        yield company


class TestSelcomUnsigned(PaymentProviderSuite):
    """The exam, as long as nobody knows whether real webhooks are signed."""

    signs_webhooks = False
    options: dict[str, Any] = {}

    def make_provider(self, base_url: str) -> PaymentProvider:
        return make_provider(base_url, total_timeout_seconds=0.5, **self.options)

    def make_webhook(self, fact: Observation) -> WebhookRequest:
        assert fact.money is not None
        status = {Claim.SUCCESS: "COMPLETED", Claim.FAILURE: "USERCANCELED"}[fact.claim]
        amount = fact.money.to_major().removesuffix(".00")
        return webhook(
            signed=self.signs_webhooks,
            order_id=fact.reference,
            reference=fact.provider_ref,
            amount=amount,
            payment_status=status,
        )


class TestSelcomStrict(TestSelcomUnsigned):
    """The exam, with webhooks that have to be signed."""

    signs_webhooks = True
    options = {"strict_webhooks": True}


class TestSelcomPush(TestSelcomUnsigned):
    """The exam, where the order is made and the prompt itself meets the trouble."""

    well_answered = {"/v1/checkout/create-order-minimal": json.dumps(CREATED).encode()}


class TestSelcomCard(TestSelcomUnsigned):
    """The exam, for a card."""

    def make_request(self, provider: PaymentProvider) -> AttemptRequest:
        return order(method=PaymentMethod.CARD)


def test_settings_reach_it(settings):
    """By its name, and what an option does not switch on it does not promise."""
    few = {"base_url": "https://gw.example", "api_key": "k", "api_secret": "s", "vendor": "T"}
    settings.NTC_PAYMENT_PROVIDERS = {"selcom": few}
    plain = provider_registry.get("selcom")
    full = make_provider("https://gw.example", strict_webhooks=True)

    assert isinstance(plain, SelcomProvider)
    assert PaymentMethod.CONTROL_NUMBER not in plain.capabilities.methods
    assert (plain.inquiry_actions, plain.webhook_actions) == ((), ())
    assert plain.capabilities.payout_methods == ()
    assert not plain.capabilities.has_balance
    assert not plain.capabilities.signs_webhooks
    assert PaymentMethod.CONTROL_NUMBER in full.capabilities.methods
    assert full.inquiry_actions == ("lookup", "validation")
    assert full.webhook_actions == ("notification",)
    assert len(full.capabilities.payout_methods) == 2
    assert full.capabilities.has_balance
    assert full.capabilities.signs_webhooks


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "https://gw.example/v1"}, "without /v1"),
        ({"base_url": "https://gw.example/v1/"}, "without /v1"),
        ({"billing": {"town": "Moshi"}}, "town"),
        ({"billing": {"city": ""}}, "city"),
    ],
)
def test_wrong_option_is_named(options, said):
    """At the start, not at the first payment."""
    with pytest.raises(ValueError, match=said):
        make_provider(**{"base_url": "https://gw.example", **options})


@pytest.mark.parametrize(
    ("method", "money"),
    [
        (PaymentMethod.MOBILE_PUSH, Money(minor=2_500_050, currency="TZS")),
        (PaymentMethod.CARD, Money.from_major(10, "USD")),
    ],
)
def test_fractions_and_dollars_are_refused_before_any_call(method, money):
    """An order's status names no currency, so nothing would prove dollars."""
    provider = make_provider("http://127.0.0.1:1")

    assert provider.capabilities.refusal(method=method, money=money)
    with pytest.raises(ValueError, match="whole TZS"):
        provider.start(order(method=method, money=money))


# Orders.


def test_push_makes_the_smallest_order_and_then_one_prompt(scripted):
    """The prompt has a transid of its own, under the order that our reference names."""
    scripted.answer(CREATE, CREATED)
    scripted.answer(PUSH, BODIES["wallet_payment_ok"])

    outcome = make_provider(scripted.base_url).start(order())

    made, prompted = scripted.calls
    assert outcome.result is StartResult.ACCEPTED
    assert outcome.provider_ref == ""
    assert made.body == {
        "vendor": "TILL60000001",
        "order_id": REFERENCE,
        "buyer_email": "customer@example.com",
        "buyer_name": "Customer",
        "buyer_phone": "255700000001",
        "amount": 25000,
        "currency": "TZS",
        "redirect_url": base64.b64encode(b"https://shop.example/back?order=1").decode(),
        "cancel_url": base64.b64encode(b"https://shop.example/back?order=1").decode(),
        "webhook": base64.b64encode(b"https://shop.example/hooks/selcom-x/").decode(),
        "merchant_remarks": "Plan, one month",
        "no_of_items": 1,
    }
    assert set(prompted.body) == {"transid", "order_id", "msisdn"}
    assert (prompted.body["order_id"], prompted.body["msisdn"]) == (REFERENCE, "255700000001")
    assert re.fullmatch(r"[A-Z0-9]{10,20}", prompted.body["transid"])
    assert prompted.body["transid"] != REFERENCE


def test_every_prompt_has_another_transid(scripted):
    """A transid can never be used twice."""
    scripted.answer(CREATE, CREATED)
    scripted.answer(PUSH, BODIES["wallet_payment_ok"])
    provider = make_provider(scripted.base_url)

    for number in range(20):
        provider.start(order(reference=f"P{number:019}"))

    assert len({call.body["transid"] for call in scripted.calls_to(PUSH)}) == 20


@pytest.mark.parametrize(
    "phone", ["+254700000001", "+25570000000", "255700000001", "", "+2557000000011"]
)
def test_no_prompt_for_a_number_that_is_not_tanzanian(phone):
    """Refused without a call."""
    outcome = make_provider("http://127.0.0.1:1").start(order(phone_e164=phone))

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )


def test_empty_urls_and_unknown_ends_are_left_out(scripted):
    """An empty field is not sent, so not signed either."""
    scripted.answer(CREATE, CREATED)
    provider = make_provider(scripted.base_url, callback_url="")

    provider.start(order(method=HOSTED, return_url="", phone_e164="", description=""))

    [call] = scripted.calls
    assert not {"webhook", "redirect_url", "cancel_url", "expiry", "merchant_remarks"} & set(
        call.body
    )
    assert call.body["buyer_phone"] == "255000000000"
    assert call.headers["signed-fields"] == ",".join(call.body)


@pytest.mark.parametrize(
    ("left", "minutes"),
    [
        (timedelta(minutes=30), 30),
        (timedelta(seconds=90), 2),
        (timedelta(seconds=10), 1),
        (-timedelta(hours=1), 1),
    ],
)
def test_order_ends_when_we_stop_waiting(scripted, time_machine, left, minutes):
    """In whole minutes, and never in none."""
    time_machine.move_to(datetime(2026, 3, 2, 5, tzinfo=UTC), tick=False)
    scripted.answer(CREATE, CREATED)

    request = order(method=HOSTED, expires_at=datetime.now(UTC) + left)
    make_provider(scripted.base_url).start(request)

    assert scripted.calls[0].body["expiry"] == minutes


def test_card_order_carries_the_payer_and_fills_gaps(scripted):
    """Flat dotted names; the options fill what the payer does not say."""
    scripted.answer(CREATE_FULL, CREATED)
    payer = Payer(
        external_id="u-1",
        name="Asha Juma Ali",
        email="asha@example.test",
        address=Address(line="Plot 12", city="Mwanza", country="KE"),
    )
    provider = make_provider(
        scripted.base_url,
        billing={"city": "Moshi", "state_or_region": "Kilimanjaro"},
        cancel_url="https://shop.example/no",
    )

    outcome = provider.start(order(method=PaymentMethod.CARD, payer=payer))

    [call] = scripted.calls
    assert outcome.checkout_url == "https://pg.example.test/t12222"
    assert base64.b64decode(call.body["cancel_url"]) == b"https://shop.example/no"
    assert call.body["payment_methods"] == "CARD"
    assert call.body["buyer_userid"] == "u-1"
    assert call.body["buyer_email"] == "asha@example.test"
    assert {key: text for key, text in call.body.items() if key.startswith("billing.")} == {
        "billing.firstname": "Asha",
        "billing.lastname": "Juma Ali",
        "billing.address_1": "Plot 12",
        "billing.city": "Mwanza",
        "billing.state_or_region": "Kilimanjaro",
        "billing.postcode_or_pobox": "00000",
        "billing.country": "KE",
        "billing.phone": "255700000001",
    }


def test_guest_with_one_name_has_two(scripted):
    """Both are mandatory; an unknown customer id is left out."""
    scripted.answer(CREATE_FULL, CREATED)

    make_provider(scripted.base_url).start(order(method=PaymentMethod.CARD))

    body = scripted.calls[0].body
    assert (body["billing.firstname"], body["billing.lastname"]) == ("Customer", "Customer")
    assert "buyer_userid" not in body


@pytest.mark.parametrize(
    ("told", "url"),
    [
        (encoded("https://pg.example/1"), "https://pg.example/1"),
        ("https://pg.example/1", "https://pg.example/1"),
        (encoded("http://pg.example/1"), "http://pg.example/1"),
    ],
)
def test_page_comes_in_base64_or_plain(scripted, told, url):
    """Plain http only where the gateway itself is, as in a test."""
    scripted.answer(CREATE, {**CREATED, "data": [{"payment_gateway_url": told}]})

    outcome = make_provider(scripted.base_url).start(order(method=HOSTED))

    assert (outcome.result, outcome.checkout_url) == (StartResult.ACCEPTED, url)


@pytest.mark.parametrize(
    "told",
    [
        encoded("javascript:alert(1)"),
        encoded("ftp://pg.example/"),
        encoded("https:///nowhere"),
        encoded("https://pg.example/\n"),
        encoded("https://[pg.example/"),
        encoded("https://pg.example/" + "x" * 2000),
        base64.b64encode(b"\xff\xfe").decode(),
        "not base64!",
        "",
        None,
    ],
)
def test_page_that_is_none_is_never_shown(scripted, told):
    """The order may exist, so this is no refusal."""
    scripted.answer(CREATE, {**CREATED, "data": [{"payment_gateway_url": told}]})
    scripted.answer(CREATE_FULL, {**CREATED, "data": []})
    provider = make_provider(scripted.base_url)

    for method in (HOSTED, PaymentMethod.CARD):
        with pytest.raises(AnswerUnreadable):
            provider.start(order(method=method))


def test_https_gateway_leads_to_https_pages_only():
    """What stands between could swap a plain page."""
    for told in ("http://pg.example/1", encoded("http://pg.example/1")):
        reply = Reply(verdict=Verdict.DONE, rows=[{"payment_gateway_url": told}])

        with pytest.raises(AnswerUnreadable):
            read_page_url(reply, schemes={"https"})


def test_no_log_line_has_a_secret_or_a_person(scripted, caplog):
    """Not even at the finest level; but enough for Selcom's help desk."""
    caplog.set_level(logging.DEBUG)
    scripted.answer(CREATE, CREATED)
    scripted.answer(PUSH, BODIES["wallet_payment_ok"])
    scripted.answer("POST /v1/vendor/balance", BODIES["balance_ok"])
    provider = make_provider(scripted.base_url)

    provider.start(order())
    provider.list_balances()

    text = "\n".join(
        f"{record.__dict__}" for record in caplog.records if record.name == "ntc_payments"
    )
    digests = [call.headers["digest"] for call in scripted.calls]
    for secret in (KEY, encoded(KEY), "738194", "255700000001", "c2b-token", *digests):
        assert secret not in text
    for fact in (REFERENCE, "/v1/checkout/wallet-payment", "0289999289", "+03:00"):
        assert fact in text
