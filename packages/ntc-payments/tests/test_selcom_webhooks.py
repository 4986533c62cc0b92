"""The webhook of a Selcom order: proven where it is signed, a hint in any case."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest
from ntc_core.money import Money
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest
from ntc_payments.providers.selcom.signing import sign_headers
from ntc_payments.types import (
    Claim,
    FailureCode,
    Observation,
    Trust,
)

from tests.selcom_company import (
    KEY,
    REFERENCE,
    SECRET,
    VECTORS,
    call,
    make_provider,
    webhook,
)

SIGNED = ("transid", "order_id", "reference", "result", "resultcode", "payment_status")


@pytest.fixture
def provider():
    """Return a provider that calls nobody."""
    return make_provider("http://127.0.0.1:1")


@pytest.fixture
def strict():
    """Return one that takes signed webhooks only."""
    return make_provider("http://127.0.0.1:1", strict_webhooks=True)


@pytest.mark.parametrize("offset", ["+03:00", "+0300"])
def test_published_vector_is_verified(strict, offset):
    """With the documented fields in the documented order, at its own time."""
    cases = json.loads((VECTORS / "selcom.json").read_text())["vectors"]
    [case] = [one for one in cases if one["method"] == "WEBHOOK"]
    stamp = case["timestamp"].replace("+03:00", offset)
    proof = sign_headers(dict(case["fields"]), timestamp=stamp, api_key=KEY, api_secret=SECRET)
    if offset == "+03:00":
        assert proof["Digest"] == case["expected"]["Digest"]
    request = dataclasses.replace(
        call(dict(case["fields"]), {name.lower(): text for name, text in proof.items()}),
        received_at=datetime.fromisoformat(case["timestamp"]),
    )

    assert strict.open_webhook(request).event_type == "COMPLETED"


def test_sample_is_a_hint_and_never_more(provider):
    """Signed or not: only the order's own status settles."""
    for signed in (True, False):
        request = webhook(signed=signed, names=SIGNED)
        verified = provider.open_webhook(request)

        assert provider.read_webhook(request.body) == [
            Observation(
                reference=REFERENCE,
                claim=Claim.SUCCESS,
                money=Money.from_major(25_000, "TZS"),
                provider_ref="0281121212",
                trust=Trust.HINT,
            )
        ]
        assert verified.ack.status == 200
        assert json.loads(verified.ack.body)["resultcode"] == "000"


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: webhook(secret="another"),
        lambda: webhook(names=("order_id", "result")),
        lambda: webhook(names=("payment_status",)),
        lambda: webhook(at=datetime.now(UTC) - timedelta(seconds=302)),
        lambda: webhook(at=datetime.now(UTC) + timedelta(seconds=302)),
        lambda: changed(webhook(), digest=""),
        lambda: changed(webhook(), digest="é"),
        lambda: changed(webhook(), timestamp=""),
        lambda: changed(webhook(), timestamp="2026-03-02T08:15:30"),
        lambda: changed(webhook(), **{"signed-fields": ""}),
        lambda: changed(webhook(), **{"signed-fields": "order_id,payment_status,missing"}),
        lambda: dataclasses.replace(webhook(), body=webhook(payment_status="PENDING").body),
    ],
)
def test_wrong_signature_is_refused_also_where_none_is_needed(provider, strict, request_of):
    """Who sends one is held to it."""
    for one in (provider, strict):
        with pytest.raises(SignatureInvalid):
            one.open_webhook(request_of())


def changed(request: WebhookRequest, **headers: str) -> WebhookRequest:
    """Return the request with other headers."""
    return dataclasses.replace(request, headers={**request.headers, **headers})


def test_missing_signature_is_refused_where_one_is_needed(provider, strict):
    """By default it is let in, as a hint."""
    request = webhook(signed=False)

    assert provider.open_webhook(request).event_type == "COMPLETED"
    with pytest.raises(SignatureInvalid):
        strict.open_webhook(request)


def test_misspelled_result_code_is_signed_too(strict):
    """One sample of the documentation has `resulcode` in the body."""
    right = webhook(names=SIGNED)
    event = json.loads(right.body)
    event["resulcode"] = event.pop("resultcode")

    verified = strict.open_webhook(dataclasses.replace(right, body=json.dumps(event).encode()))

    assert verified.event_type == "COMPLETED"


def test_key_that_is_only_repeated_is_read(provider):
    """So does that sample; with two values it is refused."""
    twice = b'{"order_id": "A", "payment_status": "PENDING", "order_id": "A"}'
    forged = b'{"order_id": "A", "payment_status": "PENDING", "order_id": "B"}'

    assert provider.read_webhook(twice)[0].reference == "A"
    with pytest.raises(PayloadUnreadable):
        provider.open_webhook(call(forged))


def test_dedupe_key_is_the_fact_and_not_the_delivery(provider):
    """Another time stamp or phone is the same fact, another status is not."""
    key = provider.open_webhook(webhook()).dedupe_key
    later = webhook(at=datetime.now(UTC) - timedelta(seconds=60), phone="255700000009")
    others = [
        webhook(order_id="P1"),
        webhook(payment_status="PENDING"),
        webhook(reference="1"),
        webhook(transid="1"),
        webhook(amount="1"),
    ]

    assert provider.open_webhook(later).dedupe_key == key
    assert len({key, *(provider.open_webhook(other).dedupe_key for other in others)}) == 6


@pytest.mark.parametrize(
    ("word", "failure"),
    [("USERCANCELED", FailureCode.CANCELED), ("CANCELLED", FailureCode.CANCELED)],
)
def test_webhook_of_an_order_that_was_left(provider, word, failure):
    """With one L and with two."""
    [observation] = provider.read_webhook(webhook(payment_status=word).body)

    assert (observation.claim, observation.failure_code) == (Claim.FAILURE, failure)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"order_id": REFERENCE},
        {"payment_status": "COMPLETED"},
        {"order_id": None, "payment_status": "COMPLETED"},
        {"order_id": REFERENCE, "payment_status": True},
    ],
)
def test_webhook_without_its_identity_is_unreadable(provider, fields):
    """At the door and in the replay."""
    with pytest.raises(PayloadUnreadable):
        provider.open_webhook(call(fields))
    with pytest.raises(PayloadUnreadable):
        provider.read_webhook(json.dumps(fields).encode())
