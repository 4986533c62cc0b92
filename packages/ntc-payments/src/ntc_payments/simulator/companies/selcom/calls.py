"""What every call to Selcom has in common: the signature, the fields, the envelope."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any

from ntc_payments.simulator.exchange import Refused, Request, read_object

__all__ = [
    "EAST_AFRICA",
    "PHONE",
    "TRANSID",
    "envelope",
    "new_number",
    "read_amount",
    "read_call",
    "read_text",
    "read_url",
    "refusal",
    "sign",
    "signed_headers",
]

EAST_AFRICA = timezone(timedelta(hours=3))
PHONE = r"255[0-9]{9}"
# Assumed, not documented: the length, and that nothing else is taken.
TRANSID = r"[A-Za-z0-9_-]{1,20}"

# Assumed, not documented: a clock may be a minute off.
_TOLERANCE_SECONDS = 60
#: The vendor's own clients write the offset with a colon or without one.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:?\d\d", re.ASCII)
_RESULTS = {"000": "SUCCESS", "111": "INPROGRESS", "999": "AMBIGOUS"}


def sign(secret: str, *, timestamp: str, fields: Iterable[tuple[str, object]]) -> str:
    """Return the digest: base64 of HMAC-SHA256 over the timestamp and the raw values in order."""
    parts = [("timestamp", timestamp), *fields]
    text = "&".join(f"{name}={value}" for name, value in parts)
    return base64.b64encode(
        hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    ).decode()


def signed_headers(
    key: str, secret: str, *, fields: Sequence[tuple[str, object]]
) -> dict[str, str]:
    """Return the headers of a message that is sent now."""
    timestamp = datetime.now(EAST_AFRICA).isoformat(timespec="seconds")
    return {
        "Authorization": _authorization(key),
        "Digest-Method": "HS256",
        "Digest": sign(secret, timestamp=timestamp, fields=fields),
        "Timestamp": timestamp,
        "Signed-Fields": ",".join(name for name, _ in fields),
    }


def read_call(request: Request, *, key: str, secret: str) -> dict[str, Any]:
    """Return the parameters of a call, of the query or the JSON body, once they are proven.

    Raises:
        Refused: 401 for the key, the clock or the digest; 400 for what cannot be signed.
    """
    if request.fault == "expired_token":
        raise _unproven("Timestamp is too old")
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), _authorization(key).encode()):
        raise _unproven("Invalid API key")
    if request.headers.get("digest-method") != "HS256":
        raise _unproven("Unknown Digest-Method")
    timestamp = request.headers.get("timestamp", "")
    _require_now(timestamp)
    fields = _read_fields(request)
    names = request.headers.get("signed-fields", "").split(",")
    names = [] if names == [""] else names
    if sorted(names) != sorted(fields):
        raise _unproven("Signed-Fields are not the parameters that were sent")
    digest = sign(secret, timestamp=timestamp, fields=[(name, fields[name]) for name in names])
    if not hmac.compare_digest(request.headers.get("digest", "").encode(), digest.encode()):
        raise _unproven("Invalid Digest")
    return fields


def envelope(
    code: str, message: str, data: Sequence[Mapping[str, Any]] = (), **more: Any
) -> dict[str, Any]:
    """Return the body that every answer has."""
    return {
        "reference": new_number(),
        "resultcode": code,
        "result": _RESULTS.get(code, "FAIL"),
        "message": message,
        "data": list(data),
        **more,
    }


def refusal(code: str, message: str, *, status: int = HTTPStatus.OK) -> Refused:
    """Return a "no": what is wrong with the business comes with HTTP 200."""
    return Refused(status, envelope(code, message))


def read_text(fields: Mapping[str, Any], name: str, pattern: str = ".+") -> str:
    """Return a mandatory parameter in its documented form; 412 where it is not."""
    value = str(fields.get(name, ""))
    if name not in fields or not re.fullmatch(pattern, value, re.ASCII | re.DOTALL):
        raise invalid(name)
    return value


def read_amount(fields: Mapping[str, Any]) -> int:
    """Return whole units of the currency, more than none."""
    return int(read_text(fields, "amount", r"[1-9][0-9]{0,9}"))


def read_url(fields: Mapping[str, Any], name: str) -> str:
    """Return an optional URL, encoded once in standard base64."""
    if name not in fields:
        return ""
    try:
        url = base64.b64decode(str(fields[name]).encode(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        url = ""
    if not url.startswith(("http://", "https://")):
        raise invalid(name)
    return url


def invalid(name: str) -> Refused:
    """Return how it says that a parameter is not there or not in its form."""
    return refusal(
        "412",
        f"Parameter {name} is invalid or missing",
        status=HTTPStatus.PRECONDITION_FAILED,
    )


def new_number() -> str:
    """Return ten digits, perhaps with zeros in front."""
    return f"{secrets.randbelow(10**10):010d}"


def _authorization(key: str) -> str:
    return f"SELCOM {base64.b64encode(key.encode()).decode()}"


def _require_now(timestamp: str) -> None:
    malformed = _unproven("Timestamp is not ISO 8601 with an offset")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise malformed
    try:
        seconds = datetime.fromisoformat(timestamp).timestamp()
    except (ValueError, OverflowError):
        raise malformed from None
    if abs(seconds - time.time()) > _TOLERANCE_SECONDS:
        raise _unproven("Timestamp is too old")


def _read_fields(request: Request) -> dict[str, Any]:
    if request.method != "POST":
        return dict(request.query)
    fields = read_object(request, refuse=_unreadable)
    for name, value in fields.items():
        # Nested values have no text that both sides would sign; nor has `true`.
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise _unreadable(f"{name} is neither text nor a whole number")
    return fields


def _unreadable(sentence: str) -> Refused:
    return refusal("400", sentence, status=HTTPStatus.BAD_REQUEST)


def _unproven(sentence: str) -> Refused:
    return refusal("401", sentence, status=HTTPStatus.UNAUTHORIZED)
