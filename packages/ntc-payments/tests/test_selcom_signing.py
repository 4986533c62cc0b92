"""Selcom's signature: the published vectors, and what reaches the wire."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from ntc_payments.providers.selcom.signing import sign_headers, signing_string

from tests.scripted_company import scripted_company
from tests.selcom_company import (
    BODIES,
    CREATE,
    PUSH,
    SECRET,
    STATUS,
    VECTORS,
    handle,
    make_provider,
    order,
    order_row,
)

CASES = json.loads((VECTORS / "selcom.json").read_text())["vectors"]


@pytest.fixture
def scripted():
    """Run a Selcom that answers what the test says."""
    with scripted_company() as company:
        yield company


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_vector(case):
    """The characters that are signed, and the headers."""
    expected, fields = case["expected"], dict(case["fields"])

    headers = sign_headers(
        fields,
        timestamp=case["timestamp"],
        api_key=case["api_key"],
        api_secret=case["api_secret"],
    )

    assert signing_string(fields, timestamp=case["timestamp"]) == expected["signing_string"]
    assert headers == {
        "Authorization": expected["Authorization"],
        "Digest-Method": "HS256",
        "Digest": expected["Digest"],
        "Timestamp": case["timestamp"],
        "Signed-Fields": expected["Signed-Fields"],
    }


def test_documentation_keys():
    """The sample key and secret of the documentation are MD5 sums of 123 and 1234."""
    key, secret = (hashlib.md5(text).hexdigest() for text in (b"123", b"1234"))  # noqa: S324 - sample

    headers = sign_headers(
        {"utilityref": 12345, "transid": "transid", "amount": 5000},
        timestamp="2019-02-26T09:30:46+03:00",
        api_key=key,
        api_secret=secret,
    )

    assert headers["Digest"] == "TFHAyQ1k1d601bVfimp+GJsgiBPzMmmV0QJl0bX1c1Q="


@pytest.mark.parametrize(
    "value", [1000.0, None, True, Decimal(1000), ["a"], ("a",), {"x": 1}, b"x"], ids=repr
)
def test_value_without_one_text_form_is_refused(value: Any):
    """What is signed and what is sent would differ."""
    with pytest.raises(TypeError, match="amount"):
        signing_string({"amount": value}, timestamp="t")


@pytest.mark.parametrize("name", ["a,b", "timestamp", "é", "a\n"])
def test_name_that_the_header_cannot_carry_is_refused(name):
    """And the time stamp is never a field."""
    with pytest.raises(ValueError, match="name"):
        signing_string({name: "x"}, timestamp="t")


def rebuilt_digest(call: Any) -> str:
    """Return the digest of what arrived, by the documented rule and nothing of ours."""
    values = call.body if call.text else call.query
    text = "&".join(
        [f"timestamp={call.headers['timestamp']}"]
        + [f"{name}={values[name]}" for name in call.headers["signed-fields"].split(",")]
    )
    return base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha256")).decode()


def test_everything_that_is_sent_is_signed(scripted):
    """In a body and in a query string, with signs and letters of every kind."""
    reference = "A&B=C%20+D #1,2"
    scripted.answer(CREATE, BODIES["create_order_minimal_ok"])
    scripted.answer(PUSH, BODIES["wallet_payment_ok"])
    scripted.answer(STATUS, order_row(order_id=reference))
    provider = make_provider(scripted.base_url)

    provider.start(order(description="Chai ya maziwa 茶 & 50% & more"))
    provider.query(handle(reference=reference))

    assert scripted.calls[-1].query == {"order_id": reference}
    for call in scripted.calls:
        values = call.body if call.text else call.query
        assert call.headers["signed-fields"] == ",".join(values)
        assert call.headers["digest"] == rebuilt_digest(call)
        assert call.headers["digest-method"] == "HS256"
        assert call.headers["content-type"] == "application/json"
        assert call.headers["accept"] == "application/json"


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def server_zone(request, monkeypatch):
    """Put this process into another time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_time_stamp_is_east_african_and_new_for_each_call(scripted, server_zone, time_machine):
    """Whatever the zone of the server; converted, not relabelled."""
    scripted.answer(STATUS, order_row())
    provider = make_provider(scripted.base_url)
    stamps = []
    for second in (30, 31):
        time_machine.move_to(datetime(2026, 3, 2, 22, 15, second, 999_999, tzinfo=UTC), tick=False)
        provider.query(handle())
        stamps.append(scripted.calls[-1].headers["timestamp"])

    assert stamps == ["2026-03-03T01:15:30+03:00", "2026-03-03T01:15:31+03:00"]
