"""Money as a whole number of minor units with its currency. Never a float.

At the edge (JSON) an amount is a decimal string in major units, `"15000.00"`.
Source of the exponents: ISO 4217. TZS has two decimals there, though mobile money
takes whole shillings only: a provider that needs whole units asks `is_whole`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["CURRENCY_EXPONENTS", "CurrencyMismatch", "InvalidMoney", "Money"]

#: ISO 4217 currency code -> number of decimals of the minor unit.
CURRENCY_EXPONENTS: dict[str, int] = {
    "TZS": 2,
    "KES": 2,
    "UGX": 0,
    "RWF": 0,
    "BIF": 0,
    "USD": 2,
    "EUR": 2,
    "GBP": 2,
    "ZAR": 2,
}

# A bigint column holds every amount below this one.
MAX_MINOR = 2**63 - 1
_PLAIN_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


class InvalidMoney(ValueError):
    """The text or number is not an amount of that currency."""


class CurrencyMismatch(ValueError):
    """Two currencies met in one sum or comparison."""


@dataclass(frozen=True, slots=True)
class Money:
    """`Money(minor=500_000, currency="TZS")` is TZS 5,000.00."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in CURRENCY_EXPONENTS:
            raise InvalidMoney(
                f"Unknown currency {self.currency!r}. Known: {', '.join(CURRENCY_EXPONENTS)}."
            )
        if isinstance(self.minor, bool) or not isinstance(self.minor, int):
            raise InvalidMoney(
                f"Money.minor must be an int of minor units, got {type(self.minor).__name__}."
            )
        if abs(self.minor) > MAX_MINOR:
            raise InvalidMoney("The amount does not fit into 64 bits.")

    @classmethod
    def from_major(cls, amount: str | int | Decimal, currency: str) -> Money:
        """Read `"15000"`, `"15000.00"`, 15000 or a Decimal, in major units.

        Raises:
            InvalidMoney: not a plain decimal number, or with more decimals than the
                currency has (nothing is ever rounded).
        """
        if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
            kind = type(amount).__name__
            raise InvalidMoney(f"An amount is a string, int or Decimal, not {kind}.")
        if isinstance(amount, str) and not _PLAIN_DECIMAL.fullmatch(amount):
            raise InvalidMoney(f"Expected a number such as '15000.00', got {amount[:32]!r}.")
        exponent = CURRENCY_EXPONENTS.get(currency)
        if exponent is None:
            raise InvalidMoney(f"Unknown currency {currency!r}.")
        number = Decimal(amount)
        if not number.is_finite():
            raise InvalidMoney("The amount is not a finite number.")
        digits, scale = _digits_and_scale(number)
        surplus = scale - exponent
        if surplus > 0:
            digits, remainder = divmod(abs(digits), 10**surplus)
            if remainder:
                raise InvalidMoney(f"{currency} has {exponent} decimals, got {scale}.")
            digits = -digits if number < 0 else digits
        else:
            digits *= 10**-surplus
        return cls(minor=digits, currency=currency)

    def to_major(self) -> str:
        """Return the decimal string of the API: `"15000.00"` for TZS, `"15000"` for UGX."""
        exponent = CURRENCY_EXPONENTS[self.currency]
        if exponent == 0:
            return str(self.minor)
        sign = "-" if self.minor < 0 else ""
        whole, fraction = divmod(abs(self.minor), 10**exponent)
        return f"{sign}{whole}.{fraction:0{exponent}d}"

    @property
    def is_whole(self) -> bool:
        """Tell whether there is no fraction of a major unit."""
        minor_per_major: int = 10 ** CURRENCY_EXPONENTS[self.currency]
        return self.minor % minor_per_major == 0

    def __str__(self) -> str:
        """Return the form people read: `TZS 5,000` or `TZS 5,000.50`."""
        major = Decimal(self.to_major())
        return f"{self.currency} {major:,.0f}" if self.is_whole else f"{self.currency} {major:,}"

    def __add__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __mul__(self, count: int) -> Money:
        if isinstance(count, bool) or not isinstance(count, int):
            return NotImplemented
        return Money(self.minor * count, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._require_same_currency(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._require_same_currency(other)
        return self.minor <= other.minor

    def __gt__(self, other: Money) -> bool:
        return other < self

    def __ge__(self, other: Money) -> bool:
        return other <= self

    def _require_same_currency(self, other: Money) -> None:
        if not isinstance(other, Money):
            raise TypeError(f"Money combines with Money, not with {type(other).__name__}.")
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} cannot be combined with {other.currency}.")


def _digits_and_scale(number: Decimal) -> tuple[int, int]:
    """Return (signed digits, decimals) so that number == digits / 10**decimals."""
    sign, digits, exponent = number.as_tuple()
    # A forged "1E+999999999" must not become a number with a billion digits.
    if not isinstance(exponent, int) or len(digits) + abs(exponent) > 64:  # noqa: PLR2004
        raise InvalidMoney("The amount has too many digits.")
    value = int("".join(map(str, digits)))
    if exponent > 0:
        value, exponent = value * 10**exponent, 0
    return (-value if sign else value), -exponent
