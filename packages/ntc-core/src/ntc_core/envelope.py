"""The shape of every JSON body: `{status, message, data}`, with `errors` when it went wrong.

Plain dicts only, so that the renderer, the exception handler and the middleware can all
use it while REST framework itself is still being imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypedDict

from ntc_core.request_id import get_request_id

__all__ = [
    "ERROR_CODES",
    "INVALID_MESSAGE",
    "Envelope",
    "ErrorItem",
    "code_for_status",
    "error_envelope",
    "flatten_errors",
    "message_for_status",
    "success_envelope",
]

INVALID_MESSAGE = "Some of the input is not valid."

#: HTTP status -> (stable code, sentence), used where nobody said anything better.
ERROR_CODES: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The request could not be understood."),
    401: ("not_authenticated", "Sign in first."),
    403: ("permission_denied", "You do not have permission to do this."),
    404: ("not_found", "Not found."),
    405: ("method_not_allowed", "This method is not allowed here."),
    406: ("not_acceptable", "The answer cannot be given in a form that the Accept header allows."),
    409: ("conflict", "This cannot be done in the present state."),
    411: ("length_required", "Send the body with a Content-Length."),
    413: ("too_large", "The request body is too large."),
    415: ("unsupported_media_type", "Send the body as application/json."),
    422: ("unprocessable", "The request contradicts an earlier one."),
    429: ("throttled", "Too many requests. Wait before trying again."),
    500: ("server_error", "Something went wrong on our side. Quote the request id when you ask."),
    503: ("unavailable", "The service is not available right now. Try again shortly."),
}

# The keys under which DRF and Django put what belongs to no single field.
_WHOLE_INPUT_KEYS = frozenset({"non_field_errors", "__all__"})


class ErrorItem(TypedDict):
    """One thing that is wrong: a stable code, a sentence, the dotted input field or None."""

    code: str
    detail: str
    attr: str | None


class Envelope(dict[str, Any]):
    """A body that already has its final shape; the renderer leaves it alone."""


def success_envelope(data: Any = None, message: str = "Success") -> Envelope:
    """Return the body of an answer that went well."""
    return Envelope(status="success", message=message, data=data)


def error_envelope(message: str, errors: Sequence[ErrorItem]) -> Envelope:
    """Return the body of an answer that went wrong, with the current request id."""
    return Envelope(
        status="error",
        message=message,
        data=None,
        errors=list(errors),
        request_id=get_request_id(),
    )


def code_for_status(status: int) -> str:
    """Return the stable code of an HTTP status: `"not_found"` for 404."""
    return _known_or_default(status)[0]


def message_for_status(status: int) -> str:
    """Return a sentence for an HTTP status."""
    return _known_or_default(status)[1]


def flatten_errors(detail: Any, *, default_code: str, attr: str | None = None) -> list[ErrorItem]:
    """Flatten any error structure of DRF into a list, nested fields as `items.0.phone`.

    Takes what serializers and exceptions carry: a text, a list of texts, a dict by field,
    nested either way, items of a list keyed by their index or in a list with `{}` for the
    good ones (DRF before 3.18). Items that already are `{code, detail, attr}` stay as they are.
    """
    return list(_walk(detail, default_code, attr))


def _walk(detail: Any, default_code: str, attr: str | None) -> Iterator[ErrorItem]:
    if isinstance(detail, Mapping):
        if _is_error_item(detail):
            yield ErrorItem(
                code=str(detail["code"]), detail=str(detail["detail"]), attr=detail.get("attr")
            )
            return
        for key, value in detail.items():
            yield from _walk(value, default_code, _below(attr, key))
    elif isinstance(detail, list | tuple):
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list | tuple) and not _is_error_item(value)
            yield from _walk(value, default_code, _below(attr, index) if nested else attr)
    else:
        code = getattr(detail, "code", None) or default_code
        yield ErrorItem(code=str(code), detail=str(detail), attr=attr)


def _is_error_item(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and {"code", "detail"} <= value.keys() <= {"code", "detail", "attr"}
        and isinstance(value["detail"], str)
    )


def _below(attr: str | None, key: object) -> str | None:
    if key in _WHOLE_INPUT_KEYS:
        return attr
    return str(key) if attr is None else f"{attr}.{key}"


def _known_or_default(status: int) -> tuple[str, str]:
    if status in ERROR_CODES:
        return ERROR_CODES[status]
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        return ERROR_CODES[500 if status >= HTTPStatus.INTERNAL_SERVER_ERROR else 400]
    return phrase.lower().replace(" ", "_").replace("-", "_").replace("'", ""), f"{phrase}."
