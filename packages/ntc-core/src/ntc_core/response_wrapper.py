"""Answer a request in the common shape: `success_response()` and `error_response()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from rest_framework.response import Response

from ntc_core.envelope import (
    INVALID_MESSAGE,
    ErrorItem,
    code_for_status,
    error_envelope,
    flatten_errors,
    success_envelope,
)

__all__ = ["error_response", "success_response"]


def success_response(
    data: Any = None, message: str = "Success", status: int = HTTPStatus.OK
) -> Response:
    """Answer `{"status": "success", "message": message, "data": data}`."""
    return Response(success_envelope(data, message), status=status)


def error_response(
    message: str | Mapping[Any, Any] | Sequence[Any] = "Error",
    code: int = HTTPStatus.BAD_REQUEST,
    errors: Mapping[Any, Any] | Sequence[Any] | None = None,
) -> Response:
    """Answer `{"status": "error", …}` with the HTTP status `code`.

    Args:
        message: one sentence for a person. `serializer.errors` in its place is understood
            as `errors`, because `message` is always a text.
        code: the HTTP status, 400 to 599.
        errors: anything `ntc_core.envelope.flatten_errors` takes: `serializer.errors`,
            a list of texts, or a list of `{code, detail, attr}`.

    Prefer raising an `ntc_core.errors.NtcError` in services: it comes out the same.
    """
    if code < HTTPStatus.BAD_REQUEST:
        raise ValueError(f"An error answer has a status of 400 or more, not {code}.")
    if not isinstance(message, str):
        message, errors = INVALID_MESSAGE, message
    items = [ErrorItem(code=code_for_status(code), detail=message, attr=None)]
    if errors is not None:
        default_code = "invalid" if code == HTTPStatus.BAD_REQUEST else code_for_status(code)
        items = flatten_errors(errors, default_code=default_code) or items
    return Response(error_envelope(message, items), status=code)
