"""Render every answer as the JSON envelope, with orjson.

No import of `rest_framework.views` here: it resolves `DEFAULT_RENDERER_CLASSES`, and so
this module, while it is being imported itself.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from http import HTTPStatus
from typing import Any
from uuid import UUID

import orjson
from django.utils.functional import Promise
from rest_framework.renderers import BaseRenderer

from ntc_core.envelope import (
    INVALID_MESSAGE,
    Envelope,
    code_for_status,
    error_envelope,
    flatten_errors,
    message_for_status,
    success_envelope,
)

__all__ = ["EnvelopeJSONRenderer", "encode_json", "wrap"]

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
_EMPTY_STATUSES = frozenset(
    {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED}
)
_AS_TEXT = (
    Promise,
    Decimal,
    UUID,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)


class EnvelopeJSONRenderer(BaseRenderer):
    """Wrap what the view answered, unless it is an `Envelope` already."""

    media_type = "application/json"
    format = "json"
    # JSON is UTF-8 by definition (RFC 8259), so the header names no charset.
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,  # noqa: ARG002 - DRF's signature
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body; empty for 204, 205 and 304, which have none."""
        response = (renderer_context or {}).get("response")
        status = HTTPStatus.OK if response is None else response.status_code
        if status in _EMPTY_STATUSES:
            return b""
        return encode_json(wrap(data, status=status))


def wrap(data: Any, *, status: int) -> Envelope:
    """Return `data` as an envelope: success below 400, else its errors flattened."""
    if isinstance(data, Envelope):
        return data
    if status < HTTPStatus.BAD_REQUEST:
        return success_envelope(data, _success_message(status))
    if isinstance(data, Mapping) and isinstance(data.get("detail"), str):
        # DRF's own form of an error that belongs to no field.
        detail = data["detail"]
        code = data.get("code") or getattr(detail, "code", None) or code_for_status(status)
        return error_envelope(
            str(detail), [{"code": str(code), "detail": str(detail), "attr": None}]
        )
    invalid = status == HTTPStatus.BAD_REQUEST
    default_code = "invalid" if invalid else code_for_status(status)
    errors = flatten_errors(data, default_code=default_code) if data is not None else []
    message = INVALID_MESSAGE if invalid and errors else message_for_status(status)
    return error_envelope(
        message,
        errors or [{"code": code_for_status(status), "detail": message, "attr": None}],
    )


def encode_json(data: Any) -> bytes:
    """Encode what DRF's own encoder can, with two differences: Decimal becomes a string
    (money is never a float), NaN and Infinity become null (JSON has no such numbers).
    """
    try:
        return orjson.dumps(data, default=_simplify, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # What orjson cannot do at all: integers above 64 bits, lazy texts as keys, lone
        # surrogates, and lists deeper than 254.
        return json.dumps(
            _plain(data), ensure_ascii=True, allow_nan=False, separators=(",", ":")
        ).encode()


def _success_message(status: int) -> str:
    if status == HTTPStatus.CREATED:
        return "Created."
    if status == HTTPStatus.ACCEPTED:
        return "Accepted."
    return "Success"


def _simplify(value: Any) -> Any:
    """Return a simpler form of one value that JSON does not know."""
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, dt.timedelta):
        return str(value.total_seconds())
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):  # sets, querysets, generators
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one line per type
    """Return `value` built from what `json` writes exactly."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.datetime):
        text = value.isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_plain_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain(_simplify(value))


def _plain_key(key: Any) -> str:
    return orjson.dumps(key).decode() if key is None or isinstance(key, bool) else str(key)
