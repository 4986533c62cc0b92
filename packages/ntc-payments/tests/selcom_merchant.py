"""A merchant of Selcom who signs as the sheet says, with code of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from ntc_payments.testing import RunningSimulator

__all__ = ["SelcomMerchant", "digest", "now", "order"]

ZONE_SECONDS = 3 * 3600


def now(shift_seconds: float = 0, *, offset: str = "+03:00") -> str:
    """Return the time in Dar es Salaam as the headers have it."""
    there = time.gmtime(time.time() + ZONE_SECONDS + shift_seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S", there) + offset


def digest(secret: str, timestamp: str, fields: list[tuple[str, Any]]) -> str:
    """Return the base64 HMAC-SHA256 of the signing string."""
    signing = f"timestamp={timestamp}" + "".join(f"&{name}={value}" for name, value in fields)
    raw = hmac.digest(secret.encode(), signing.encode(), hashlib.sha256)
    return base64.b64encode(raw).decode()


def order(**changes: Any) -> dict[str, Any]:
    """Return the mandatory fields of an order; None takes one out."""
    values = {
        "vendor": "TILL60000001",
        "order_id": "INV-1",
        "buyer_email": "",
        "buyer_name": "Asha Juma",
        "buyer_phone": "255712345671",
        "amount": 5000,
        "currency": "TZS",
        "no_of_items": 1,
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


class SelcomMerchant:
    """Calls Selcom in the simulator."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self.simulator = simulator
        self.keys = simulator.secrets["selcom"]

    def call(
        self,
        method: str,
        path: str,
        fields: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timestamp: str = "",
    ) -> tuple[int, Any]:
        """Return status and body. `headers` and `body` replace what would be right."""
        fields = fields or {}
        timestamp = timestamp or now()
        key = base64.b64encode(self.keys["api_key"].encode()).decode()
        signed = {
            "Content-Type": "application/json",
            "Authorization": f"SELCOM {key}",
            "Digest-Method": "HS256",
            "Digest": digest(self.keys["api_secret"], timestamp, list(fields.items())),
            "Timestamp": timestamp,
            "Signed-Fields": ",".join(fields),
        }
        url = f"{self.simulator.base_url}/selcom/v1{path}"
        if method == "POST":
            body = json.dumps(fields).encode() if body is None else body
        elif fields:
            url += f"?{urlencode(fields)}"
        request = urllib.request.Request(
            url, method=method, data=body, headers={**signed, **(headers or {})}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def post(self, path: str, **fields: Any) -> tuple[int, str, Any]:
        """Return status, resultcode and body of a POST."""
        status, body = self.call("POST", path, fields)
        return status, body["resultcode"], body

    def get(self, path: str, **fields: Any) -> Any:
        """Return the body of a GET."""
        return self.call("GET", path, fields)[1]

    def status_of(self, order_id: str) -> Any:
        """Return the first row of order-status."""
        return self.get("/checkout/order-status", order_id=order_id)["data"][0]
