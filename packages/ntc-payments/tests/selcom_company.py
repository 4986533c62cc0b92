"""A scripted Selcom, and what the Selcom tests ask of it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ntc_core.money import Money
from ntc_core.webhooks.types import WebhookRequest
from ntc_payments.providers.selcom import SelcomProvider
from ntc_payments.providers.selcom.signing import sign_headers
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    PaymentMethod,
    PayoutDestination,
    PayoutMethod,
    PayoutRequest,
)

__all__ = [
    "BODIES",
    "CANCEL",
    "CREATE",
    "CREATE_FULL",
    "KEY",
    "PUSH",
    "REFERENCE",
    "SECRET",
    "STATUS",
    "TOKEN",
    "UNCLEAR",
    "VECTORS",
    "call",
    "encoded",
    "envelope",
    "handle",
    "make_provider",
    "order",
    "order_row",
    "payout",
    "webhook",
]

VECTORS = Path(__file__).parent / "vectors"
#: Complete bodies of HTTP answers, by name.
BODIES: dict[str, Any] = json.loads((VECTORS / "selcom_bodies.json").read_text())

KEY, SECRET = "TESTKEY-zanzibar-01", "test-secret-kilimanjaro-01"
TOKEN = "c2b-token-that-we-chose"
REFERENCE = "P0123456789ABCDEFGHJ"
CREATE = "POST /v1/checkout/create-order-minimal"
CREATE_FULL = "POST /v1/checkout/create-order"
PUSH = "POST /v1/checkout/wallet-payment"
STATUS = "GET /v1/checkout/order-status"
CANCEL = "DELETE /v1/checkout/cancel-order"


def make_provider(base_url: str, **options: Any) -> SelcomProvider:
    """Return a provider with everything switched on and short deadlines."""
    values: dict[str, Any] = {
        "api_key": KEY,
        "api_secret": SECRET,
        "vendor": "TILL60000001",
        "float_vendor": "FLOAT60000001",
        "pin": "738194",
        "c2b_token": TOKEN,
        "callback_url": "https://shop.example/hooks/selcom-x/",
        "total_timeout_seconds": 2.0,
        **options,
    }
    return SelcomProvider(base_url=base_url, **values)


def order(**changes: Any) -> AttemptRequest:
    """Return a push of TZS 25,000."""
    values: dict[str, Any] = {
        "reference": REFERENCE,
        "money": Money.from_major(25_000, "TZS"),
        "method": PaymentMethod.MOBILE_PUSH,
        "phone_e164": "+255700000001",
        "description": "Plan, one month",
        "return_url": "https://shop.example/back?order=1",
        **changes,
    }
    return AttemptRequest(**values)


def handle(**changes: Any) -> CallHandle:
    """Return the handle of that push."""
    return CallHandle(**{"reference": REFERENCE, "method": "mobile_push", **changes})


def payout(*, money: Money | None = None, **destination: Any) -> PayoutRequest:
    """Return a payout of TZS 12,000 to a wallet, or where you say."""
    to = {"method": PayoutMethod.MOBILE_WALLET, "phone_e164": "+255700000002", **destination}
    return PayoutRequest(
        reference="W0123456789ABCDEFGHJ",
        money=money or Money.from_major(12_000, "TZS"),
        destination=PayoutDestination(**to),
        description="Prize",
    )


def order_row(**changes: Any) -> dict[str, Any]:
    """Return the answer to order-status about our order, paid unless you change it."""
    body = BODIES["order_status_completed"]
    return {**body, "data": [{**body["data"][0], "order_id": REFERENCE, **changes}]}


def envelope(
    code: str, result: str = "FAIL", message: str = "Told so", **more: Any
) -> dict[str, Any]:
    """Return an answer with that result."""
    return {
        "reference": "0289999999",
        "resultcode": code,
        "result": result,
        "message": message,
        "data": [],
        **more,
    }


def webhook(
    *,
    signed: bool = True,
    names: tuple[str, ...] | None = None,
    at: datetime | None = None,
    secret: str = SECRET,
    **changes: Any,
) -> WebhookRequest:
    """Return an order's webhook as Selcom documents it, signed over all or the named fields."""
    fields = {**BODIES["webhook_completed"], "order_id": REFERENCE, **changes}
    body = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    stamp = (at or datetime.now(UTC)).astimezone().isoformat(timespec="seconds")
    proof = sign_headers(
        {name: fields[name] for name in names or tuple(fields)},
        timestamp=stamp,
        api_key=KEY,
        api_secret=secret,
    )
    headers = {name.lower(): value for name, value in proof.items()} if signed else {}
    return call(body, headers)


def call(body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> WebhookRequest:
    """Return a call to us."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WebhookRequest(
        method="POST",
        path="/",
        headers=headers or {},
        query={},
        body=raw,
        received_at=datetime.now(UTC),
    )


def encoded(url: str) -> str:
    """Return the URL as Selcom usually sends it."""
    return base64.b64encode(url.encode()).decode()


#: Status and body of answers after which money, or a prompt, may be on its way.
UNCLEAR = {
    "999": (200, BODIES["payout_ambiguous"]),
    "999 running": (200, envelope("999", "INPROGRESS")),
    "strange word": (200, envelope("777", "MAYBE")),
    "000 failed": (200, envelope("000", "FAIL")),
    "000 with 400": (400, envelope("000", "SUCCESS")),
    "500 failed": (500, envelope("010")),
    "503": (503, b"busy"),
    "no code": (200, {"result": "FAIL"}),
    "number": (200, {"resultcode": 0, "result": "SUCCESS"}),
    "html 404": (404, b"<html>Not found</html>"),
    "endless reference": (200, envelope("000", "SUCCESS", reference="1" * 151)),
}
