"""ClickPesa's webhooks: the checksum in the body, and that everything is only a hint."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from ntc_core.money import Money
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest
from ntc_payments.types import Claim, FailureCode, Subject, Trust

from tests.clickpesa_company import VECTORS
from tests.clickpesa_orders import KEY, make_provider

PAID, REVERSED = (VECTORS["clickpesa-canonical"][number] for number in (9, 11))


def webhook(event: object, headers: dict[str, str] | None = None) -> WebhookRequest:
    return WebhookRequest(
        method="POST",
        path="/",
        headers=headers or {},
        query={},
        body=event if isinstance(event, bytes) else json.dumps(event).encode(),
        received_at=datetime.now(UTC),
    )


def signed(vector: dict, **changes) -> dict:
    event = copy.deepcopy(vector["payload"])
    return {**event, "checksum": vector["expected"]["checksum"], **changes}


@pytest.fixture
def provider():
    return make_provider("http://127.0.0.1:1")


@pytest.fixture
def keyless():
    return make_provider("http://127.0.0.1:1", checksum_key="")


def test_vectors_are_proven_and_told_apart(provider):
    """The key is event, id and status: SETTLED after SUCCESS is news, a repetition is none."""
    paid = provider.open_webhook(webhook(signed(PAID)))
    back = provider.open_webhook(webhook(signed(REVERSED)))

    assert (paid.event_type, paid.dedupe_key) == (
        "PAYMENT RECEIVED",
        "PAYMENT RECEIVED:CPTEST0001LCP:SUCCESS",
    )
    assert back.dedupe_key == "PAYOUT REVERSED:PAYTESTCD:REVERSED"
    assert provider.capabilities.signs_webhooks


def test_checksum_in_capitals_and_in_a_header_is_taken(provider):
    event, checksum = PAID["payload"], PAID["expected"]["checksum"]

    assert provider.open_webhook(webhook(signed(PAID, checksum=f" {checksum.upper()}")))
    for name in ("x-clickpesa-signature", "x-clickpesa-checksum"):
        assert provider.open_webhook(webhook(event, {name: checksum}))


@pytest.mark.parametrize("checksum", [None, "", "0" * 64, "0", "é", "\ud83d", 7, ["x"]])
def test_missing_or_wrong_checksum_is_refused(provider, checksum):
    """Of whatever length and type."""
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(webhook(signed(PAID, checksum=checksum)))
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(webhook(PAID["payload"], {"x-clickpesa-signature": "0" * 64}))


def test_checksum_over_ascii_escapes_is_refused(provider):
    """The value that the vectors call wrong."""
    [vector] = [v for v in VECTORS["clickpesa-canonical"] if "wrong_ascii_escaped" in v["expected"]]
    wrong = {**vector["payload"], "checksum": vector["expected"]["wrong_ascii_escaped"]}

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(webhook(wrong))


@pytest.mark.parametrize(
    "body", [b'{"7": 1, "checksum": "0"}', b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}"]
)
def test_body_that_nobody_can_sign_is_refused(provider, body):
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(webhook(body))


def test_legacy_is_tried_only_where_it_is_switched_on(provider):
    """It covers the event's name only, so such an account's path needs the secret suffix."""
    event = {"event": "PAYMENT RECEIVED", "data": {"orderReference": "ORDTEST0001"}}
    legacy = make_provider("http://127.0.0.1:1", checksum_method="legacy")
    text = "[object Object]PAYMENT RECEIVED"

    event["checksum"] = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()

    assert legacy.open_webhook(webhook(event))
    assert legacy.open_webhook(webhook(signed(PAID)))
    assert not legacy.capabilities.signs_webhooks
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(webhook(event))
    with pytest.raises(SignatureInvalid):
        legacy.open_webhook(webhook({**event, "event": "PAYMENT FAILED"}))


def test_without_a_key_it_does_not_claim_to_prove_anything(keyless):
    assert keyless.open_webhook(webhook(signed(PAID, checksum="0")))
    assert not keyless.capabilities.signs_webhooks


@pytest.mark.parametrize("maker", ["provider", "keyless"])
def test_even_a_proven_success_is_a_hint(request, maker):
    provider = request.getfixturevalue(maker)

    [observation] = provider.read_webhook(webhook(signed(PAID)).body)

    assert observation.trust is Trust.HINT
    assert observation.claim is Claim.SUCCESS
    assert observation.reference == "ORDTEST0001"
    assert observation.provider_ref == "CPTEST0001LCP"
    assert observation.money == Money.from_major(10000, "TZS")


@pytest.mark.parametrize(
    ("event", "status", "claim"),
    [
        ("PAYOUT INITIATED", "AUTHORIZED", Claim.ACCEPTED),
        ("PAYOUT INITIATED", None, Claim.ACCEPTED),
        ("PAYOUT INITIATED", "SUCCESS", Claim.SUCCESS),
        ("PAYOUT REFUNDED", "REFUNDED", Claim.REVERSED),
        ("PAYOUT REVERSED", "REVERSED", Claim.REVERSED),
        ("PAYOUT REVERSED", None, Claim.REVERSED),
    ],
)
def test_payout_events(provider, event, status, claim):
    data = {**REVERSED["payload"]["data"], "status": status}
    if status is None:
        del data["status"]

    [observation] = provider.read_webhook(webhook({"event": event, "data": data}).body)

    assert (observation.subject, observation.claim) == (Subject.PAYOUT, claim)
    assert (observation.reference, observation.trust) == ("PAYTEST0001", Trust.HINT)
    assert observation.fee == Money.from_major(360, "TZS")
    assert observation.failure_message == ("Invalid account" if claim is Claim.REVERSED else "")


def test_refund_of_a_payout_says_why(provider):
    data = {"orderReference": "PAYTEST0001", "refund": {"message": "Our error"}}

    [observation] = provider.read_webhook(webhook({"event": "PAYOUT REFUNDED", "data": data}).body)

    assert (observation.failure_message, observation.money) == ("Our error", None)


def test_older_names_are_read_too(keyless):
    """`eventType`, `paymentId`, `amount` and `currency`."""
    failed = webhook(
        {
            "eventType": "PAYMENT FAILED",
            "data": {"paymentId": "CP9", "orderReference": "ORDTEST0001", "message": "no"},
        }
    )
    paid = webhook(
        {
            "event": "PAYMENT RECEIVED",
            "data": {
                "paymentId": 9,
                "orderReference": "ORDTEST0001",
                "status": "SUCCESS",
                "amount": "10000",
                "currency": "TZS",
                "customer": {"name": "Asha"},
            },
        }
    )

    [failure] = keyless.read_webhook(failed.body)
    [success] = keyless.read_webhook(paid.body)

    assert keyless.open_webhook(failed).event_type == "PAYMENT FAILED"
    assert (failure.claim, failure.failure_code) == (Claim.FAILURE, FailureCode.OTHER)
    assert (failure.provider_ref, success.provider_ref) == ("CP9", "9")
    assert success.money == Money.from_major(10000, "TZS")


@pytest.mark.parametrize("event", ["DEPOSIT RECEIVED", "SOMETHING NEW"])
def test_what_is_nobodys_payment_is_kept_for_people(keyless, caplog, event):
    """Its fields are not known: another content is another event."""
    first = webhook({"event": event, "data": {"amount": "5000", "at": [1.5]}})
    second = webhook({"event": event, "data": {"amount": "6000"}})

    assert keyless.read_webhook(first.body) == []
    assert "payment.webhook_for_people" in caplog.messages
    keys = {keyless.open_webhook(call).dedupe_key for call in (first, second, first)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    "event",
    [
        {"data": {}},
        {"event": 7, "data": {}},
        {"event": "PAYMENT RECEIVED"},
        {"event": "PAYMENT RECEIVED", "data": []},
    ],
)
def test_event_out_of_shape_is_unreadable(keyless, event):
    with pytest.raises(PayloadUnreadable):
        keyless.open_webhook(webhook(event))
    with pytest.raises(PayloadUnreadable):
        keyless.read_webhook(webhook(event).body)


@pytest.mark.parametrize(
    "data",
    [
        {"status": "SUCCESS"},
        {"orderReference": True},
        {"orderReference": "A", "amount": "x", "currency": "TZS"},
        {"orderReference": "A" * 200},
    ],
)
def test_payment_out_of_shape_is_unreadable(keyless, data):
    with pytest.raises(PayloadUnreadable):
        keyless.read_webhook(webhook({"event": "PAYMENT RECEIVED", "data": data}).body)
