"""Serializer fields that take exactly what the schema says."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers

from ntc_core.phone import InvalidPhone, parse_phone

__all__ = ["PhoneField", "TextField", "UidField"]


class TextField(serializers.CharField):
    """A JSON string. DRF's own field also takes numbers, silently."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class PhoneField(TextField):
    """A phone number in any Tanzanian spelling, or with its country code; gives E.164."""

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
