"""Serializer fields that take exactly what the OpenAPI document says of them.

DRF's own are generous: a number becomes a text, "1" an integer, "yes" a boolean. A client that
sends the wrong type has a mistake in it, and hears of it here instead of much later.

`json_pattern` is the regular expression of the document; a subclass that refuses more than its
length names one, so that a client generated from the document knows the rule.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers

from ntc_core.phone import InvalidPhone, parse_phone

__all__ = [
    "PhoneField",
    "StrictBooleanField",
    "StrictDecimalField",
    "StrictIntegerField",
    "TextField",
    "UidField",
]

#: PostgreSQL cannot store NUL. Whether a text is blank is decided by Python's `str.strip()`.
_ANY_TEXT = r"^[^\u0000]*$"
_NOT_BLANK = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class TextField(serializers.CharField):
    """A JSON string. Its length counts as it was sent, before blanks around it are removed."""

    #: For the document only; None: any text, but blank only if that is allowed.
    json_pattern: ClassVar[str | None] = None
    #: A `format` of JSON Schema that says more than a pattern could.
    json_format: ClassVar[str | None] = None

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return str(super().to_internal_value(data))

    def json_schema(self) -> dict[str, Any]:
        """Return what the document adds to the type and the lengths."""
        if self.json_format:
            return {"format": self.json_format}
        may_be_blank = self.allow_blank or not self.trim_whitespace
        return {"pattern": self.json_pattern or (_ANY_TEXT if may_be_blank else _NOT_BLANK)}


class PhoneField(TextField):
    """A phone number in any Tanzanian spelling, or with its country code; gives E.164.

    The document names the spellings of Tanzanian mobile numbers; numbers of other countries,
    which no pattern tells from mistakes, are taken with their `+` and country code too.
    """

    json_pattern = r"^(\+?255|0) ?(6[125-9]|7[13-9])[0-9] ?[0-9]{3} ?[0-9]{3}$"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 40, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return parse_phone(text)
        except InvalidPhone as error:
            raise serializers.ValidationError(str(error), code="invalid") from error


class UidField(serializers.UUIDField):
    """The public id of a thing. DRF's own field also takes the number behind a UUID."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return UUID(str(super().to_internal_value(data)))


class StrictIntegerField(serializers.IntegerField):
    """A JSON number without a fraction; 1.0 is one, as in JSON Schema."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            data = int(data)
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class StrictBooleanField(serializers.BooleanField):
    """`true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictDecimalField(serializers.DecimalField):
    """A decimal number in a string: as a JSON number it would be a float somewhere."""

    def to_internal_value(self, data: Any) -> Decimal:
        # Python would also take "+1", "1e3", "1_000" and the digits of every script.
        if not isinstance(data, str) or not _DECIMAL.fullmatch(data):
            self.fail("invalid")
        value = Decimal(super().to_internal_value(data))
        whole, most = data.lstrip("-").partition(".")[0], self.max_whole_digits
        if most is not None and len(whole) > most:
            self.fail("max_whole_digits", max_whole_digits=most)
        return value
