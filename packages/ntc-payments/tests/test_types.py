"""What a provider says it can do."""

from __future__ import annotations

import pytest
from ntc_core.money import Money
from ntc_payments.types import Capabilities, Claim, Limit, Observation, PaymentMethod

CAPABILITIES = Capabilities(
    methods=(PaymentMethod.MOBILE_PUSH,),
    currencies=("TZS", "UGX"),
    limits={
        "TZS": Limit(minimum=Money.from_major(500, "TZS"), maximum=Money.from_major(1000, "TZS"))
    },
    whole_unit_currencies=("TZS",),
)
PUSH = PaymentMethod.MOBILE_PUSH


@pytest.mark.parametrize(
    ("method", "money", "attr", "word"),
    [
        (PaymentMethod.CARD, Money.from_major(500, "TZS"), "method", "mobile_push"),
        (PUSH, Money.from_major(500, "USD"), "currency", "USD"),
        (PUSH, Money(minor=50_050, currency="TZS"), "amount", "whole TZS"),
        (PUSH, Money.from_major(499, "TZS"), "amount", "at least TZS 500"),
        (PUSH, Money.from_major(1001, "TZS"), "amount", "at most TZS 1,000"),
    ],
)
def test_refusal_names_the_field_and_says_what_is_possible(method, money, attr, word):
    """A refusal is a sentence a person can act on."""
    refusal = CAPABILITIES.refusal(method=method, money=money)

    assert refusal is not None
    assert refusal[0] == attr
    assert word in refusal[1]


@pytest.mark.parametrize("amount", [500, 1000])
def test_limits_are_inclusive(amount):
    """The smallest and the largest amount are taken."""
    assert CAPABILITIES.refusal(method=PUSH, money=Money.from_major(amount, "TZS")) is None


def test_currency_without_limit_has_none():
    """A company that names no limit for a currency is asked."""
    assert CAPABILITIES.refusal(method=PUSH, money=Money.from_major(1, "UGX")) is None


@pytest.mark.parametrize("reference", ["x" * 151, "a\x00b", "a\nb"])
def test_reference_that_no_column_takes_is_refused_at_the_border(reference):
    """Not later, in the transaction that applies it."""
    with pytest.raises(ValueError, match="reference"):
        Observation(reference="P1", claim=Claim.ACCEPTED, provider_ref=reference)
