"""Money: whole minor units, exact in both directions, one currency at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.money import CURRENCY_EXPONENTS, MAX_MINOR, CurrencyMismatch, InvalidMoney, Money

currencies = st.sampled_from(sorted(CURRENCY_EXPONENTS))
minors = st.integers(min_value=-MAX_MINOR, max_value=MAX_MINOR)
monies = st.builds(Money, minors, currencies)
small = st.integers(min_value=-(10**12), max_value=10**12)


@given(monies)
def test_major_units_read_back_as_the_same_money(money):
    assert Money.from_major(money.to_major(), money.currency) == money


@given(monies)
def test_major_units_survive_json_as_text(money):
    text = json.loads(json.dumps({"amount": money.to_major()}))["amount"]

    assert Money.from_major(text, money.currency) == money


@given(monies)
def test_decimal_of_any_scale_means_the_same(money):
    exponent = CURRENCY_EXPONENTS[money.currency]
    number = Decimal(f"{money.minor}e-{exponent}")
    longer = Decimal(f"{money.minor}000e-{exponent + 3}")

    assert Money.from_major(number, money.currency) == money
    assert Money.from_major(longer, money.currency) == money


@given(monies)
def test_text_shows_exactly_the_decimals_of_the_currency(money):
    _, _, decimals = money.to_major().partition(".")

    assert len(decimals) == CURRENCY_EXPONENTS[money.currency]


@given(currencies, small, small)
def test_sums_are_sums_of_minor_units(currency, first, second):
    one, other = Money(first, currency), Money(second, currency)

    assert one + other == Money(first + second, currency)
    assert one - other == one + -other
    assert (one < other, one <= other, one > other, one >= other) == (
        first < second,
        first <= second,
        first > second,
        first >= second,
    )


@given(currencies, small, st.integers(min_value=-1000, max_value=1000))
def test_product_is_a_repeated_sum(currency, minor, count):
    assert Money(minor, currency) * count == Money(minor * count, currency)


@given(st.text())
def test_any_text_is_an_amount_or_an_error_that_says_so(text):
    try:
        money = Money.from_major(text, "TZS")
    except InvalidMoney:
        return
    assert money.to_major() == f"{Decimal(text):.2f}" or money.minor == 0


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_any_decimal_is_taken_exactly_or_refused(number):
    try:
        money = Money.from_major(number, "TZS")
    except InvalidMoney:
        return
    assert Decimal(money.minor) == number * 100


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("15000", "TZS", 1_500_000),
        ("15000.00", "TZS", 1_500_000),
        ("15000.5", "TZS", 1_500_050),
        ("0.01", "TZS", 1),
        ("-3.07", "USD", -307),
        ("007", "TZS", 700),
        ("5.000", "TZS", 500),
        ("1500", "UGX", 1500),
        ("1500.00", "UGX", 1500),
        (15000, "TZS", 1_500_000),
        (Decimal("1.5E+3"), "TZS", 150_000),
        (Decimal("-0.0"), "TZS", 0),
    ],
)
def test_amount_is_read_in_major_units(text, currency, minor):
    assert Money.from_major(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "amount",
    [
        "",
        " 5",
        "5 ",
        "5\n",
        "5,000",
        "5_000",
        "5.",
        ".5",
        "+5",
        "1e3",
        "NaN",
        "Infinity",
        "0x10",
        "\N{ARABIC-INDIC DIGIT FIVE}",  # a digit to Python, not to an API
        "5.001",
        "9" * 5000,
        "92233720368547758.08",
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1E+999999999"),
        Decimal("1E-999999999"),
        Decimal("0.001"),
        True,
        5.0,
        None,
        b"5",
        10**400,
    ],
)
def test_what_is_no_exact_amount_is_refused(amount):
    with pytest.raises(InvalidMoney):
        Money.from_major(amount, "TZS")


def test_fraction_of_a_shilling_is_refused_where_the_currency_has_none():
    with pytest.raises(InvalidMoney, match="UGX has 0 decimals, got 1"):
        Money.from_major("1500.5", "UGX")


@pytest.mark.parametrize("currency", ["XXX", "tzs", "", "TZS "])
def test_unknown_currency_is_refused(currency):
    with pytest.raises(InvalidMoney, match="Unknown currency"):
        Money.from_major("1", currency)
    with pytest.raises(InvalidMoney, match="Known: TZS"):
        Money(1, currency)


@pytest.mark.parametrize("minor", [True, 1.0, "1", None, Decimal(1)])
def test_minor_units_are_an_int(minor):
    with pytest.raises(InvalidMoney, match="must be an int"):
        Money(minor, "TZS")


def test_amount_that_no_column_holds_is_refused():
    assert Money(MAX_MINOR, "TZS").minor == 2**63 - 1
    with pytest.raises(InvalidMoney, match="64 bits"):
        Money(MAX_MINOR, "TZS") + Money(1, "TZS")


def test_currencies_do_not_mix():
    shillings, dollars = Money(1, "TZS"), Money(1, "USD")

    assert shillings != dollars
    for mix in (
        lambda: shillings + dollars,
        lambda: shillings - dollars,
        lambda: shillings < dollars,
        lambda: shillings >= dollars,
    ):
        with pytest.raises(CurrencyMismatch, match=r"TZS|USD"):
            mix()


def test_bare_numbers_are_no_money():
    for mistake in (
        lambda: Money(1, "TZS") + 1,
        lambda: Money(1, "TZS") < 5,
        lambda: Money(1, "TZS") * 1.5,
        lambda: Money(1, "TZS") * True,
        lambda: Money(1, "TZS") * Money(1, "TZS"),
    ):
        with pytest.raises(TypeError):
            mistake()


def test_money_is_a_frozen_value():
    price = Money(minor=500_000, currency="TZS")

    assert {price: "paid"}[Money.from_major("5000", "TZS")] == "paid"
    with pytest.raises(AttributeError):
        price.minor = 1


@pytest.mark.parametrize(
    ("minor", "currency", "text", "whole"),
    [
        (500_000, "TZS", "TZS 5,000", True),
        (500_050, "TZS", "TZS 5,000.50", False),
        (-1, "TZS", "TZS -0.01", False),
        (1_234_567, "UGX", "UGX 1,234,567", True),
        (0, "USD", "USD 0", True),
    ],
)
def test_people_read_it_with_separators(minor, currency, text, whole):
    money = Money(minor, currency)

    assert str(money) == text
    assert money.is_whole is whole


def test_money_needs_no_django():
    program = "import sys, ntc_core.money, ntc_core.errors; sys.exit('django' in sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)
