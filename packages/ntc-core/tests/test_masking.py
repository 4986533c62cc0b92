"""No secret, code, full phone number or email address gets through to a log."""

from __future__ import annotations

import re
import time
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.masking import HIDDEN, mask_text, mask_value
from ntc_core.request_id import new_request_id


@pytest.mark.parametrize(
    "spelling",
    [
        "+255712345678",
        "255712345678",
        "00255712345678",
        "0712345678",
        "0712 345 678",
        "0712-345-678",
        "0712.345.678",
        "(0712) 345 678",
        "+255 712 345 678",
        "+255 (0) 712 345 678",
        "%2B255712345678",
        "+255-712-345-678",
    ],
)
@pytest.mark.parametrize("around", ["{}", "call {} now", "phone={}&x=1", '"{}"', "({}),", "x:{}."])
def test_every_spelling_of_a_phone_number_is_masked(spelling, around):
    masked = mask_text(around.format(spelling))

    assert "+2557****678" in masked
    assert "345" not in masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail asha.m+x@example.co.tz!", "mail a***@e***!"),
        ("+14155550123", "+1415****123"),
        (
            "Key (phone_e164)=(+255712345678) already exists.",
            "Key (phone_e164)=(+2557****678) already exists.",
        ),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "{'Authorization': 'Basic ***'}"),
        ("authorization=abcdef", "authorization=***"),
        ("postgres://ntc:hunter2@db:5432/x", "postgres://ntc:***@db:5432/x"),
        ("redis://:hunter2@cache/0", "redis://:***@cache/0"),
        ("?token=abc&x=1", "?token=***&x=1"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("refresh_token: abc", "refresh_token: ***"),
        ("password = 'hunter2'", "password = '***'"),
        ("Cookie: sessionid=abc; csrftoken=def", "Cookie: ***"),
        ("'Set-Cookie': 'a=b; HttpOnly'", "'Set-Cookie': '***'"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl here", "got *** here"),
        ("Your code is 123456.", "Your code is ***."),
        ("code: 1234", "code: ***"),
        ('"otp": "123456"', '"otp": "***"'),
    ],
)
def test_secrets_and_people_inside_a_text_are_masked(text, expected):
    assert mask_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "status code: 404",
        "size 10485760 at 1764056088 in 0.0712345678 s",
        "order 2026-11-25 08:15:02.712345",
        "0199d0b7-0712-7345-8967-0712345678ab",
        "the token is invalid",
        "password reset sent",
        "payment.settled",
        "TZS 15,000.00",
        "10.0.0.1:8000",
    ],
)
def test_what_is_nobody_s_secret_stays_readable(text):
    assert mask_text(text) == text


def test_a_request_id_is_never_taken_for_a_phone():
    for _ in range(2000):
        request_id = new_request_id()
        assert mask_text(f"request {request_id}") == f"request {request_id}"


@given(st.uuids())
def test_no_uuid_is_masked(uid):
    assert mask_text(str(uid)) == str(uid)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "Authorization",
        "api_key",
        "apiKey",
        "secret",
        "client_secret",
        "access_token",
        "refresh",
        "access",
        "code",
        "otp",
        "otp_code",
        "login_code",
        "pin",
        "cookie",
        "sessionid",
        "csrfmiddlewaretoken",
        "X-Digest",
        "signature",
        "signing_key",
    ],
)
@pytest.mark.parametrize("value", ["abc", 123456, ["abc"], {"a": "abc"}, b"abc"])
def test_a_field_with_a_secret_name_is_hidden_whatever_it_holds(name, value):
    assert mask_value(name, value) == HIDDEN
    assert mask_value("answer", {"deep": [{name: value}]}) == {"deep": [{name: HIDDEN}]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status_code", 404),
        ("code", None),
        ("error_code", "not_found"),
        ("option", "x"),
        ("shipping", "x"),
        ("ratio", 0.5),
        ("is_secret", True),
        ("count", 12),
    ],
)
def test_a_field_with_an_ordinary_name_stays(name, value):
    assert mask_value(name, value) == value


def test_values_become_plain_types():
    uid = uuid.uuid4()

    assert mask_value("uid", uid) == str(uid)
    assert mask_value("amount", Decimal("1.50")) == "1.50"
    assert mask_value("body", b"secret bytes") == "<12 bytes>"
    assert mask_value("names", {"asha@example.com"}) == ["a***@e***"]
    assert mask_value("x", {"asha@example.com": (1, 2)}) == {"a***@e***": [1, 2]}
    assert mask_value("error", ValueError("for 0712345678")) == "for +2557****678"


def test_a_phone_is_masked_by_its_field_or_by_its_look_even_as_a_number():
    assert mask_value("phone", "712345678") == "71****678"
    assert mask_value("msisdn", 255712345678) == "25****678"
    assert mask_value("reference", 255712345678) == "+2557****678"


def test_a_value_that_contains_itself_ends():
    value = []
    value.append(value)

    assert "..." in str(mask_value("loop", value))


def test_the_secret_of_webhook_paths_is_hidden(settings):
    settings.NTC_WEBHOOK_PATH_SECRET = "unguessable-suffix"

    assert (
        mask_text("/webhooks/payments/beem-unguessable-suffix/") == "/webhooks/payments/beem-***/"
    )


@given(st.text())
def test_any_text_can_be_masked_twice_to_the_same(text):
    once = mask_text(text)

    assert mask_text(once) == once


# What each pattern could be led to try again and again, and what stands in one's way.
HOSTILE_PIECES = [
    *["_", "a", "0", "-", " ", "\n", ".", "@", "a@", "a@b.", "a.", "+", "+255", "0712 ", "%2B255"],
    *["secret", "token", "passw", "csrf", "api_key", "authorization", "_code", "code ", "pin\n"],
    *["cookie", "cookie:", "eyJ", "eyJ-", "-eyJabcdef", "eyJabcdef.", "Bearer", "Bearer "],
    *["://", "://a:", "://a:b", "token=", "token: ", 'secret"', "0199d0b7-0712-7345-8967-"],
]
HOSTILE_RUNS = [
    *[(head, " ") for head in ("code", "otp:", "cookie", "cookie:", "token", "token=", "Bearer")],
    *[("cookie:", "\n"), ("token=", "\n"), ("eyJ", "a"), ("passw", "_"), ("://a:", "b")],
    *[("a@", "b"), ("a@b.", "-"), ("a@b.", "c."), ("@", "a"), ("code", "0"), ("+", "1")],
]


@pytest.mark.parametrize(
    ("head", "piece"), [*[("", piece) for piece in HOSTILE_PIECES], *HOSTILE_RUNS]
)
def test_masking_takes_no_longer_per_character_however_hostile_the_text(head, piece):
    """Four times the text takes four times as long; sixteen times as long could stop a server."""
    short, long = (head + piece * (size // len(piece)) for size in (16 * 1024, 64 * 1024))

    ratio = _seconds_to_mask(long) / _seconds_to_mask(short)

    assert ratio < 8


def _seconds_to_mask(text):
    """Return the best of three of this thread's own time: others on the machine do not count."""
    best = float("inf")
    for _ in range(3):
        started = time.thread_time()
        mask_text(text, longest=len(text))
        best = min(best, time.thread_time() - started)
    return best


@pytest.mark.parametrize("longest", [40, 300, 1000])
@pytest.mark.parametrize("size", [100, 1000, 100_000])
def test_a_long_text_is_cut_and_says_so(longest, size):
    text = mask_text("x y " * size, longest=longest)

    assert len(text) <= longest
    assert text.endswith("…") == (4 * size > longest)
    assert text.startswith("x y")


@pytest.mark.parametrize(
    "private",
    [
        "+255712345678",
        "0712 345 678",
        "asha.mussa@example.co.tz",
        "password=hunter2hunter2",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "postgres://ntc:hunter2hunter2@db/x",
    ],
)
@pytest.mark.parametrize("filler", ["x ", "0712345678 ", "a@b.co ", "token=a "])
def test_a_cut_leaves_no_half_of_what_is_masked(private, filler):
    """Wherever the cut falls, and whether masking made the text longer or shorter."""
    shown = re.findall(r"[^ …]+", mask_text(filler) + mask_text(private))
    for longest in (50, 120):
        for before in range(0, 900, 7):
            text = (filler * 500)[:before].rpartition(" ")[0] + f" {private} " + "y " * 2000

            masked = mask_text(text, longest=longest)

            for word in masked.rstrip("…").split():
                assert word == "y" or any(whole.startswith(word) for whole in shown)
