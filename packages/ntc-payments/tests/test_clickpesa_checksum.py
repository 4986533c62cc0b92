"""ClickPesa's checksum: the vectors of both algorithms, and what is never signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal

import pytest
from ntc_payments.providers.clickpesa import compute_checksum, signed_text

from tests.clickpesa_company import VECTORS
from tests.clickpesa_orders import make_provider

CANONICAL = VECTORS["clickpesa-canonical"]
LEGACY = VECTORS["clickpesa-legacy"]


def load(payload: object) -> dict:
    """Read it as the provider reads JSON, with exact decimals."""
    return json.loads(json.dumps(payload), parse_float=Decimal)


@pytest.mark.parametrize("vector", CANONICAL, ids=lambda vector: vector["id"])
def test_canonical_vector(vector):
    payload, expected = load(vector["payload"]), vector["expected"]

    assert signed_text(payload) == expected["canonical"]
    checksum = compute_checksum(payload, key=vector["checksum_key"])
    assert checksum == expected["checksum"]
    assert checksum != expected.get("wrong_ascii_escaped")


@pytest.mark.parametrize("vector", LEGACY, ids=lambda vector: vector["id"])
def test_legacy_vector(vector):
    payload, expected = load(vector["payload"]), vector["expected"]

    assert signed_text(payload, method="legacy") == expected["joined"]
    checksum = compute_checksum(payload, key=vector["checksum_key"], method="legacy")
    assert checksum == expected["checksum"]


def test_wrong_escapes_are_another_checksum():
    """What the vectors call wrong is the digest over Python's default escapes."""
    [vector] = [each for each in CANONICAL if "wrong_ascii_escaped" in each["expected"]]
    text = json.dumps(vector["payload"], sort_keys=True, separators=(",", ":"))
    escaped = hmac.new(vector["checksum_key"].encode(), text.encode(), hashlib.sha256).hexdigest()

    assert escaped == vector["expected"]["wrong_ascii_escaped"]
    assert compute_checksum(vector["payload"], key=vector["checksum_key"]) != escaped


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1000.0", "1000"),
        ("1000", "1000"),
        ("1e3", "1000"),
        ("2500.50", "2500.5"),
        ("0.10", "0.1"),
        ("-0.0", "0"),
        ("-7.250", "-7.25"),
        ("0.000001", "0.000001"),
        ("0.1000000000000000055", "0.1"),
        ("9007199254740991", "9007199254740991"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number, text):
    """What was read from `1000.0` or `2500.50` is hashed as 1000 and 2500.5."""
    body = json.loads(f'{{"n": {number}}}', parse_float=Decimal)

    assert signed_text(body) == f'{{"n":{text}}}'


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        Decimal("NaN"),
        Decimal("Infinity"),
        2**53,
        -(2**53),
        10**400,
        Decimal("1e400"),
        Decimal("0.0000001"),
        {"7": 1},
        {"\u0667": 1},
        {7: 1},
        {"a": [{"12": 1}]},
        object(),
        b"bytes",
        "\ud800",
    ],
)
@pytest.mark.parametrize("method", ["canonical", "legacy"])
def test_what_two_sides_may_write_differently_is_not_signed(value, method):
    if method == "legacy":
        # Of nested things nothing is hashed; keys count at the top only.
        if isinstance(value, dict):
            body = value if "a" not in value else {"1": value}
        else:
            body = {"a": value}
    else:
        body = {"a": value}

    with pytest.raises(ValueError):  # noqa: PT011 - UnicodeEncodeError is one too
        compute_checksum(body, key="k", method=method)


def test_keys_are_sorted_by_code_unit_beyond_ascii():
    """JavaScript compares halves of UTF-16 pairs: U+1F600 comes before U+FF21."""
    assert signed_text({"\uff21": 1, "\U0001f600": 2, "é": 3}) == (
        '{"é":3,"\U0001f600":2,"\uff21":1}'
    )


def test_control_characters_have_short_forms_or_lower_case_hex():
    text = signed_text({"a": "\b\f\r\x1f\x7f\u2028"})

    assert text == '{"a":"\\b\\f\\r\\u001f\x7f\u2028"}'


def test_members_of_that_name_further_down_are_hashed():
    body = {"checksum": "x", "checksumMethod": "y", "data": {"checksum": "z"}}

    assert signed_text(body) == '{"data":{"checksum":"z"}}'


def test_legacy_joins_lists_as_javascript_does():
    body = {"list": ["a", None, 1, [True, "b"], {"c": 1}], "z": Decimal("1.50")}

    assert signed_text(body, method="legacy") == "a,,1,true,b,[object Object]1.5"


def test_method_is_one_of_two():
    with pytest.raises(ValueError, match="canonical"):
        make_provider("http://127.0.0.1:1", checksum_method="md5")
