"""Phone numbers: every Tanzanian spelling to E.164, and people masked in logs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.phone import InvalidPhone, mask_email, mask_phone, parse_phone

E164 = "+255712345678"
EN_DASH = "\N{EN DASH}"


def in_digits_of(zero: str, number: str = "0712345678") -> str:
    """Write the number in the digits of another script, given that script's zero."""
    return "".join(chr(ord(zero) + int(digit)) for digit in number)


@pytest.mark.parametrize(
    "text",
    [
        "0712345678",
        "0712 345 678",
        "0712-345-678",
        "0712.345.678",
        "(0712) 345 678",
        "712345678",
        "712 345 678",
        "255712345678",
        "255 712 345 678",
        "+255712345678",
        "+255 712 345 678",
        "+255-712-345-678",
        "+255 (0) 712-345-678",
        "+255 (0)712 345678",
        "+2550712345678",
        "2550712345678",
        "00255712345678",
        "00 255 712 345 678",
        "000255712345678",
        "  0712345678\n",
        "0712\u00a0345\u00a0678",  # no-break spaces
        "0712\u2009345\u2009678",  # thin spaces
        f"0712{EN_DASH}345{EN_DASH}678",
        "0712\u2011345\u2011678",  # no-break hyphens
        "0712\N{MINUS SIGN}345\N{MINUS SIGN}678",
        in_digits_of("\N{ARABIC-INDIC DIGIT ZERO}"),
        in_digits_of("\N{EXTENDED ARABIC-INDIC DIGIT ZERO}"),
        in_digits_of("\N{DEVANAGARI DIGIT ZERO}"),
        in_digits_of("\N{FULLWIDTH DIGIT ZERO}"),
        "\N{FULLWIDTH PLUS SIGN}" + in_digits_of("\N{FULLWIDTH DIGIT ZERO}", "255712345678"),
        "\u202a+255 712 345 678\u202c",  # copied from a contact
        "\u200b0712345678",
    ],
)
def test_every_spelling_is_one_number(text):
    assert parse_phone(text) == E164


@pytest.mark.parametrize(
    "prefix", ["61", "62", "65", "67", "68", "69", "71", "74", "75", "76", "78"]
)
def test_all_mobile_networks_are_known(prefix):
    assert parse_phone(f"0{prefix}2345678") == f"+255{prefix}2345678"


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("+254 712 345 678", "TZ", "+254712345678"),
        ("0712 345 678", "KE", "+254712345678"),
        ("+1 (415) 555-2671", "TZ", "+14155552671"),
        ("00254712345678", "TZ", "+254712345678"),
        ("022 212 3456", "TZ", "+255222123456"),
    ],
)
def test_numbers_of_other_countries_and_landlines_are_numbers_too(text, region, e164):
    assert parse_phone(text, region=region) == e164


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "+",
        "0",
        "0712",
        "071234567",
        "07123456789",
        "+2557123456789",
        "0112345678",
        "0912345678",
        "+999712345678",
        "phone",
        "0712FARAJA",
        "0712345678 ext 5",
        "0712345678;ext=5",
        "0712345678,0713345678",
        "tel:+255712345678",
        "++255712345678",
        "0712+345678",
        "0712345678'--",
        "0" * 41,
        "²55712345678x",
        None,
        712345678,
        b"0712345678",
    ],
)
def test_what_is_no_number_is_refused_without_repeating_it(text):
    with pytest.raises(InvalidPhone, match=r"0712 345 678") as refused:
        parse_phone(text)

    assert "071234567" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_a_number_or_refused(text):
    try:
        e164 = parse_phone(text)
    except InvalidPhone:
        return
    assert parse_phone(e164) == e164


@given(
    st.integers(min_value=712_000_000, max_value=719_999_999),
    st.sampled_from(["0", "255", "+255", "+255 0", "+255 (0) ", "00255", "000255", ""]),
    st.lists(st.integers(min_value=1, max_value=8), max_size=3),
    st.sampled_from([" ", "-", ".", "\u00a0", EN_DASH, "/"]),
)
def test_separators_do_not_matter(number, prefix, places, separator):
    digits = str(number)
    for place in places:
        digits = digits[:place] + separator + digits[place:]

    try:
        assert parse_phone(prefix + digits) == f"+255{number}"
    except InvalidPhone:
        # More separators than a person types.
        assert len(prefix + digits) > 15


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        (E164, "+2557****678"),
        ("+14155552671", "+1415****671"),
        ("0712345678", "07****678"),
        ("255712345678", "25****678"),
        ("+255712", "****"),
        ("123", "****"),
        ("", "****"),
    ],
)
def test_phone_is_masked(phone, masked):
    assert mask_phone(phone) == masked


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("asha@duka.co.tz", "a***@d***"),
        ("a@b", "a***@b***"),
        ("odd@name@duka.tz", "o***@d***"),
        ("nobody", "***"),
        ("@duka.tz", "***"),
        ("asha@", "***"),
        ("", "***"),
    ],
)
def test_address_is_masked(address, masked):
    assert mask_email(address) == masked


def test_phone_needs_no_django():
    program = "import sys, ntc_core.phone; sys.exit('django' in sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)
