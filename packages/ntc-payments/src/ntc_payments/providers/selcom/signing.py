"""How Selcom signs, both ways: HS256 over raw values in the order of Signed-Fields.

Source: docs/providers/selcom.md, "Signature". Pure.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ntc_core.webhooks.types import SignatureInvalid, WebhookRequest

__all__ = [
    "EAST_AFRICA",
    "encode_base64",
    "require_signature",
    "sign_headers",
    "signing_string",
]

#: East Africa Time, whatever the zone of this server.
EAST_AFRICA = timezone(timedelta(hours=3))
CLOCK_TOLERANCE_SECONDS = 300
# What a webhook's signature has to cover to say anything about an order.
_SIGNED_AT_LEAST = {"order_id", "payment_status"}


def signing_string(fields: Mapping[str, Any], *, timestamp: str) -> str:
    """Return what is signed: raw values in the order of `fields`, nothing encoded.

    Raises:
        TypeError: a value that has no one text form; only `str` and `int` have.
        ValueError: a name that Signed-Fields cannot carry.
    """
    parts = [f"timestamp={timestamp}"]
    for name, value in fields.items():
        if not name.isascii() or not name.isprintable() or "," in name or name == "timestamp":
            raise ValueError(f"Selcom: {name!r} cannot be the name of a signed field.")
        if isinstance(value, bool) or not isinstance(value, str | int):
            kind = type(value).__name__
            raise TypeError(f"Selcom: {name} is a str or an int, not {kind}.")
        parts.append(f"{name}={value}")
    return "&".join(parts)


def sign_headers(
    fields: Mapping[str, Any], *, timestamp: str, api_key: str, api_secret: str
) -> dict[str, str]:
    """Return the headers that prove a request of these fields, by HS256.

    Args:
        fields: everything that is sent, flat, in the order to sign.
        timestamp: ISO 8601 in East Africa Time with `+03:00`, of this very call.

    Raises:
        TypeError, ValueError: as in `signing_string()`.
    """
    return {
        "Authorization": f"SELCOM {encode_base64(api_key)}",
        "Digest-Method": "HS256",
        "Digest": _hs256(signing_string(fields, timestamp=timestamp), api_secret),
        "Timestamp": timestamp,
        "Signed-Fields": ",".join(fields),
    }


def require_signature(
    request: WebhookRequest, fields: Mapping[str, Any], *, api_secret: str
) -> None:
    """Check the headers of a webhook against its fields, in constant time.

    Args:
        fields: of the body, as JSON gives them.

    Raises:
        SignatureInvalid: missing, wrong, about too little, or not of now.
    """
    headers = request.headers
    timestamp = headers.get("timestamp", "")
    names = headers.get("signed-fields", "").split(",")
    # One sample of the documentation spells it so.
    values = {"resultcode": fields.get("resulcode"), **fields}
    try:
        text = signing_string({name: values.get(name) for name in names}, timestamp=timestamp)
        moment = datetime.fromisoformat(timestamp)
        age_seconds = (request.received_at - moment).total_seconds()
    except (TypeError, ValueError) as error:
        raise SignatureInvalid("Selcom: what is signed cannot be rebuilt.") from error
    expected = _hs256(text, api_secret)
    if not hmac.compare_digest(headers.get("digest", "").encode(), expected.encode()):
        raise SignatureInvalid("Selcom: the digest does not match.")
    if not set(names) >= _SIGNED_AT_LEAST:
        raise SignatureInvalid("Selcom: the signature does not cover the order's status.")
    if abs(age_seconds) > CLOCK_TOLERANCE_SECONDS:
        raise SignatureInvalid("Selcom: the time stamp is too far from now.")


def _hs256(text: str, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()


def encode_base64(text: str) -> str:
    """Return standard base64 with padding; Selcom takes keys and URLs so, encoded once."""
    return base64.b64encode(text.encode()).decode()
