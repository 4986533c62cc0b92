"""The parts of the document that all operations share: the envelope and the errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from ntc_core.envelope import INVALID_MESSAGE, code_for_status, message_for_status

__all__ = ["error_ref", "success_ref"]

Schema = dict[str, Any]

_EXAMPLE_REQUEST_ID = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"

# The constants are components of their own: inline, they would meet every model's `status`
# choices in spectacular's naming of enums.
_SHARED: dict[str, Schema] = {
    "SuccessStatus": {"type": "string", "enum": ["success"]},
    "ErrorStatus": {"type": "string", "enum": ["error"]},
    "Nothing": {"nullable": True, "enum": [None], "description": "Always null."},
    "ErrorItem": {
        "type": "object",
        "description": "One thing that is wrong.",
        "properties": {
            "code": {"type": "string", "description": "Stable; clients may branch on it."},
            "detail": {"type": "string", "description": "For a person."},
            "attr": {
                "type": "string",
                "nullable": True,
                "description": "The input field, dotted when nested (`items.0.phone`), or null.",
            },
        },
        "required": ["code", "detail", "attr"],
        "additionalProperties": False,
    },
    "ErrorEnvelope": {
        "type": "object",
        "properties": {
            "status": {"$ref": "#/components/schemas/ErrorStatus"},
            "message": {"type": "string"},
            "data": {"$ref": "#/components/schemas/Nothing"},
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/components/schemas/ErrorItem"},
            },
            "request_id": {"type": "string", "description": "Quote it when you ask for help."},
        },
        "required": ["status", "message", "data", "errors", "request_id"],
        "additionalProperties": False,
    },
}


def success_ref(registry: ComponentRegistry, *, data: Schema | None, fallback_name: str) -> Schema:
    """Return a reference to the envelope around `data`; None is an answer without data.

    Args:
        fallback_name: names the component when the data has no name of its own.
    """
    _register_shared(registry)
    if data is None:
        data, name = {"$ref": "#/components/schemas/Nothing"}, "Nothing"
    else:
        name = _name_of(data) or fallback_name
    schema = {
        "type": "object",
        "properties": {
            "status": {"$ref": "#/components/schemas/SuccessStatus"},
            "message": {"type": "string"},
            "data": data,
        },
        "required": ["status", "message", "data"],
        "additionalProperties": False,
    }
    return _register(registry, f"Enveloped{name}", schema)


def error_ref(registry: ComponentRegistry, status: int) -> Schema:
    """Return a reference to the shared error of that status."""
    _register_shared(registry)
    code, message = code_for_status(status), message_for_status(status)
    attr = None
    if status == HTTPStatus.BAD_REQUEST:
        code, message, attr = "invalid", INVALID_MESSAGE, "phone"
    detail = "Enter a valid phone number." if attr else message
    schema = {
        "allOf": [{"$ref": "#/components/schemas/ErrorEnvelope"}],
        "description": message_for_status(status),
        "example": {
            "status": "error",
            "message": message,
            "data": None,
            "errors": [{"code": code, "detail": detail, "attr": attr}],
            "request_id": _EXAMPLE_REQUEST_ID,
        },
    }
    return _register(registry, f"Error{status}", schema)


def _name_of(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array" and "$ref" in schema["items"]:
        return f"{_name_of(schema['items'])}List"
    return ""


def _register_shared(registry: ComponentRegistry) -> None:
    for name, schema in _SHARED.items():
        _register(registry, name, schema)


def _register(registry: ComponentRegistry, name: str, schema: Schema) -> Schema:
    component = ResolvedComponent(
        name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name
    )
    registry.register_on_missing(component)
    return component.ref
