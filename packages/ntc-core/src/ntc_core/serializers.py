"""Serializers for input that refuse what they do not know, and say so by name.

    class TransferInput(StrictSerializer):
        amount = StrictDecimalField(max_digits=12, decimal_places=2)
        note = TextField(max_length=200, required=False)

A misspelled field is not silently left out: for a field that may be left out that would be a
wrong answer with a 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.db import models
from rest_framework import serializers

from ntc_core.fields import (
    StrictBooleanField,
    StrictDecimalField,
    StrictIntegerField,
    TextField,
    UidField,
)

__all__ = ["StrictModelSerializer", "StrictSerializer"]

if TYPE_CHECKING:
    _Base = serializers.Serializer[Any]
else:
    _Base = object


class _Strict(_Base):
    #: What JSON Schema says about several fields together, such as
    #: `{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}`; for the document.
    json_schema: ClassVar[Mapping[str, Any]] = {}

    def to_internal_value(self, data: Any) -> Any:
        """Name unknown fields together with whatever else is wrong."""
        unknown = self._refuse_unknown(data) if isinstance(data, Mapping) else {}
        if not unknown:
            return super().to_internal_value(data)
        try:
            super().to_internal_value(data)
        except serializers.ValidationError as error:
            unknown = {**cast("dict[str, Any]", error.detail), **unknown}
        raise serializers.ValidationError(unknown)

    def _refuse_unknown(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        writable = [name for name, field in self.fields.items() if not field.read_only]
        return {
            str(name): [self._refusal_of(str(name), writable)]
            for name in data
            if name not in writable
        }

    def _refusal_of(self, name: str, writable: list[str]) -> serializers.ErrorDetail:
        if name in self.fields:
            return serializers.ErrorDetail("This field cannot be set.", code="read_only")
        close = get_close_matches(name[:100], writable, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return serializers.ErrorDetail(f"There is no such field.{hint}", code="unknown_field")


class StrictSerializer(_Strict, serializers.Serializer[Any]):
    """A serializer of input: every field it is sent has to be one of its own."""


class StrictModelSerializer(_Strict, serializers.ModelSerializer[Any]):
    """The same for a model; its own fields take the JSON types of the document only."""

    serializer_field_mapping: ClassVar[Any] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
        models.TextField: TextField,
        models.UUIDField: UidField,
        models.BooleanField: StrictBooleanField,
        models.DecimalField: StrictDecimalField,
        models.AutoField: StrictIntegerField,
        models.BigIntegerField: StrictIntegerField,
        models.IntegerField: StrictIntegerField,
        models.PositiveIntegerField: StrictIntegerField,
        models.PositiveBigIntegerField: StrictIntegerField,
        models.PositiveSmallIntegerField: StrictIntegerField,
        models.SmallIntegerField: StrictIntegerField,
    }
