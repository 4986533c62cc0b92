"""What the document says of our own fields; drf-spectacular finds these by their base class."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import Direction

from ntc_core.schema.components import Schema

__all__ = ["StrictDecimalFieldExtension", "TextFieldExtension"]


class TextFieldExtension(OpenApiSerializerFieldExtension):
    """Say which texts a `TextField` takes."""

    target_class = "ntc_core.fields.TextField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Direction) -> Schema:
        """Return the field's own schema; what comes out of it is any text."""
        schema: Schema = auto_schema._map_serializer_field(  # noqa: SLF001 - as its own extensions do
            self.target, direction, bypass_extensions=True
        )
        return {**schema, **self.target.json_schema()} if direction == "request" else schema


class StrictDecimalFieldExtension(OpenApiSerializerFieldExtension):
    """Mend the pattern, which takes the empty text and a lone sign."""

    target_class = "ntc_core.fields.StrictDecimalField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Direction) -> Schema:
        """Return the field's own schema with at least one digit in front of the point."""
        schema: Schema = auto_schema._map_serializer_field(  # noqa: SLF001 - as its own extensions do
            self.target, direction, bypass_extensions=True
        )
        if direction == "request" and "pattern" in schema:
            schema["pattern"] = (
                schema["pattern"].replace(r"\d{0,", "[0-9]{1,", 1).replace(r"\d{0,", "[0-9]{1,")
            )
        return schema
