"""Assert the shape of an answer and get to its content in one line.

Works with every response that has `status_code`, `headers` and `content`: Django's and
DRF's test clients, httpx, requests.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

__all__ = ["assert_error", "assert_success"]

_ENVELOPE_KEYS = {"status", "message", "data"}
_ERROR_KEYS = _ENVELOPE_KEYS | {"errors", "request_id"}


class HttpResponseLike(Protocol):
    """The three attributes that every HTTP client's response has."""

    status_code: int
    headers: Any
    content: bytes


def assert_success(response: HttpResponseLike, status: int = 200) -> Any:
    """Assert a success envelope with that HTTP status; return its `data`."""
    body = _envelope(response, status)
    _require(body["status"] == "success", "status is not 'success'", body)
    _require(body.keys() == _ENVELOPE_KEYS, f"keys are not {sorted(_ENVELOPE_KEYS)}", body)
    return body["data"]


def assert_error(
    response: HttpResponseLike, status: int, code: str | None = None, attr: str | None = None
) -> dict[str, Any]:
    """Assert an error envelope with that HTTP status; return the whole body.

    Args:
        code: at least one error must have this code.
        attr: and this input field (that same error, when both are given).
    """
    body = _envelope(response, status)
    _require(body["status"] == "error", "status is not 'error'", body)
    _require(body.keys() == _ERROR_KEYS, f"keys are not {sorted(_ERROR_KEYS)}", body)
    _require(body["data"] is None, "data is not null", body)
    _require(bool(body["request_id"]), "request_id is empty", body)
    _require(
        response.headers.get("X-Request-ID") in (None, body["request_id"]),
        "request_id differs from the X-Request-ID header",
        body,
    )
    _require(isinstance(body["errors"], list) and len(body["errors"]) > 0, "errors is empty", body)
    for error in body["errors"]:
        _require(error.keys() == {"code", "detail", "attr"}, "an error has other keys", body)
    if code is not None or attr is not None:
        matches = [
            error
            for error in body["errors"]
            if (code is None or error["code"] == code) and (attr is None or error["attr"] == attr)
        ]
        _require(bool(matches), f"no error with code={code!r} attr={attr!r}", body)
    return body


def _envelope(response: HttpResponseLike, status: int) -> dict[str, Any]:
    content_type = response.headers.get("Content-Type", "")
    text = response.content.decode(errors="replace")
    _require(
        response.status_code == status, f"HTTP {response.status_code}, expected {status}", text
    )
    _require(
        content_type.split(";")[0] == "application/json", f"Content-Type is {content_type!r}", text
    )
    body = json.loads(text, parse_constant=_refuse_constant)
    _require(isinstance(body, dict) and body.keys() >= _ENVELOPE_KEYS, "not an envelope", body)
    _require(
        isinstance(body["message"], str) and body["message"] != "", "message is not a text", body
    )
    return dict(body)


def _refuse_constant(name: str) -> None:
    raise AssertionError(f"The answer contains {name}, which is not JSON.")


def _require(condition: bool, problem: str, body: object) -> None:  # noqa: FBT001 - like assert
    if not condition:
        shown = body if isinstance(body, str) else json.dumps(body, indent=2, default=str)
        raise AssertionError(f"{problem}:\n{shown[:4000]}")
