"""Beem's OTP product, against the vectors of its sheet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from ntc_notify.beem_otp import BeemOtp, OtpNotSent
from ntc_notify.registry import find_beem_otp
from ntc_notify.testing import HttpReply, http_peer
from ntc_notify.testing.http_peer import free_port

VECTORS = Path(__file__).parent / "vectors" / "beem"
PHONE = "+255712345678"
PIN_ID = "f3b6c1f2-0f3b-4b3c-9a3e-2d1c0b9a8f7e"
KEYS = {"api_key": "demo-sms-key-01", "secret_key": "ZGVtby1zZWNyZXQtMDE=", "app_id": 1}


def load(name: str, *, prefix: str = "OTP") -> list:
    rows = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    return [pytest.param(row, id=row["name"]) for row in rows if row["name"].startswith(prefix)]


def make_otp(base_url: str, **options) -> BeemOtp:
    return BeemOtp(**KEYS | {"base_url": base_url, "timeout_seconds": 1.0} | options)


def answer_code(code: object, *, status: int = 200, **data: object) -> HttpReply:
    body = {"data": {**data, "message": {"code": code, "message": "Valid Pin"}}}
    return HttpReply.json(body, status=status)


@pytest.mark.parametrize("row", load("answers"))
def test_answer_is_the_vector(row):
    expected = row["expected"]
    with http_peer(HttpReply(status=row["http"], body=row["body"].encode())) as peer:
        otp = make_otp(peer.base_url)
        if "pin_id" in expected:
            assert otp.request(PHONE) == expected["pin_id"]
        else:
            check = otp.verify(pin_id=PIN_ID, pin="048213")
            assert check.verified is expected["verified"]
            assert check.reason == expected.get("reason", "")

    assert len(peer.requests) == 1


@pytest.mark.parametrize("row", load("requests"))
def test_request_is_the_vector(row):
    with http_peer(answer_code(100, pinId=PIN_ID)) as peer:
        otp = make_otp(peer.base_url)
        if row["url"].endswith("/request"):
            otp.request(PHONE)
        else:
            otp.verify(pin_id=PIN_ID, pin="048213")

    [request] = peer.requests
    path = "/" + row["url"].removeprefix("https://").partition("/")[2]
    assert (request.method, request.target) == (row["method"], path)
    assert request.body.decode() == row["body"]
    for name, value in row["headers"].items():
        assert request.headers[name.lower()] == value


@pytest.mark.parametrize("code", [*range(100, 117), 118, "117x", None, True, 1170])
def test_only_117_verifies_whatever_the_words_say(code):
    with http_peer(answer_code(code)) as peer:
        check = make_otp(peer.base_url).verify(pin_id=PIN_ID, pin="048213")

    assert not check.verified
    assert check.reason


def test_117_as_text_verifies():
    with http_peer(answer_code("117")) as peer:
        assert make_otp(peer.base_url).verify(pin_id=PIN_ID, pin="048213").verified


@pytest.mark.parametrize(
    "reply",
    [
        answer_code(117, status=403),
        answer_code(117, status=500),
        HttpReply(body=b"117"),
        HttpReply.json({"message": "Valid Pin"}),
        HttpReply(breaks="closed"),
        HttpReply(breaks="silent"),
    ],
)
def test_unclear_answer_verifies_nobody(reply):
    with http_peer(reply) as peer:
        check = make_otp(peer.base_url).verify(pin_id=PIN_ID, pin="048213")

    assert (check.verified, check.reason) == (False, "unknown")
    assert len(peer.requests) == 1


@pytest.mark.parametrize(("pin_id", "pin"), [("", "048213"), (PIN_ID, ""), (PIN_ID, "0" * 13)])
def test_nothing_to_verify_asks_nobody(pin_id, pin):
    with http_peer(answer_code(117)) as peer:
        check = make_otp(peer.base_url).verify(pin_id=pin_id, pin=pin)

    assert (check.verified, check.reason) == (False, "invalid_request")
    assert peer.requests == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer_code(101), "send_failed"),
        (answer_code(102), "invalid_recipient"),
        (answer_code(103), "invalid_request"),
        (answer_code(107), "configuration"),
        (answer_code(110, status=401), "authentication"),
        (answer_code(100), "unknown"),  # without a pinId
        (answer_code(100, pinId=PIN_ID, status=400), "unknown"),
        (answer_code(117, pinId=PIN_ID), "unknown"),
        (HttpReply(status=500), "unknown"),
        (HttpReply(body=b"<html>"), "unknown"),
        (HttpReply(breaks="closed"), "unknown"),
        (HttpReply(breaks="silent"), "unknown"),
    ],
)
def test_code_that_was_not_sent_says_why_and_was_asked_for_once(reply, error):
    with http_peer(reply) as peer, pytest.raises(OtpNotSent) as caught:
        make_otp(peer.base_url).request(PHONE)

    assert caught.value.error == error
    assert PHONE[1:] not in str(caught.value)
    assert len(peer.requests) == 1


def test_nobody_there_is_certain():
    with pytest.raises(OtpNotSent) as caught:
        make_otp(f"http://127.0.0.1:{free_port()}").request(PHONE)

    assert caught.value.error == "unreachable"


def test_bad_number_asks_nobody():
    with http_peer(answer_code(100, pinId=PIN_ID)) as peer:
        with pytest.raises(OtpNotSent) as caught:
            make_otp(peer.base_url).request("INFO")
        assert peer.requests == []

    assert caught.value.error == "invalid_recipient"


@pytest.mark.parametrize(
    "options", [{"app_id": 0}, {"app_id": "1"}, {"app_id": True}, {"timeout_seconds": 60}]
)
def test_option_that_cannot_work_is_refused(options):
    with pytest.raises(ValueError, match=r"app_id|timeout_seconds"):
        make_otp("http://127.0.0.1:1", **options)


def test_it_is_off_unless_the_setting_says_otherwise(settings):
    assert find_beem_otp() is None

    settings.NTC_BEEM_OTP = KEYS
    assert isinstance(find_beem_otp(), BeemOtp)

    settings.NTC_BEEM_OTP = KEYS | {"color": "red"}
    with pytest.raises(ImproperlyConfigured, match=r"NTC_BEEM_OTP.*color"):
        find_beem_otp()
