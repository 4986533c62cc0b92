"""Polar's objects and calls, from the files of its sheet, and a provider that reads them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ntc_core.money import Money
from ntc_core.webhooks.types import WebhookRequest
from ntc_payments.providers.polar import PolarProvider
from ntc_payments.types import AttemptRequest, PaymentMethod

VECTORS = json.loads((Path(__file__).parent / "vectors/polar.json").read_text())
SECRET = "whsec_bnRjLWV4YW1wbGUtc3RhbmRhcmQta2V5LTAxMjM0NTY="
PRODUCT = "b4c5d0f2-92d4-4ad8-9e7e-51d9f0a9c301"
CHECKOUT_ID = "c2b7a1d0-3a6e-4d1a-9b0e-2f4c8e6d5a13"
ORDER_ID = "0a4a5bd4-9c1e-4f0e-8a51-7a1f0f6a9b02"
REFERENCE = "INV-2026-0042"
CHECKOUTS, ORDERS = "POST /v1/checkouts/", "GET /v1/orders/"
SESSION = f"GET /v1/checkouts/{CHECKOUT_ID}"
PAYLOADS = {row["name"]: json.loads(row["body_utf8"])["data"] for row in VECTORS["payloads"]}


def provider_at(base_url: str = "http://127.0.0.1:1", **options: Any) -> PolarProvider:
    """Return a provider that sells the product of the sheet."""
    values: dict[str, Any] = {
        "access_token": "polar_oat_invented_example",
        "webhook_secrets": [SECRET],
        "product_id": PRODUCT,
        "base_url": base_url,
        "total_timeout_seconds": 2.0,
        **options,
    }
    return PolarProvider(**values)


def order(**changes: Any) -> AttemptRequest:
    """Return an attempt of TZS 29,500."""
    values: dict[str, Any] = {
        "reference": REFERENCE,
        "money": Money.from_major(29_500, "TZS"),
        "method": PaymentMethod.HOSTED_CHECKOUT,
        "phone_e164": "",
        "description": "Pro plan",
        "return_url": "",
        **changes,
    }
    return AttemptRequest(**values)


def polar_order(**changes: Any) -> dict[str, Any]:
    """Return the sheet's paid order, changed."""
    return {**PAYLOADS["order.paid"], **changes}


def polar_checkout(**changes: Any) -> dict[str, Any]:
    """Return the sheet's checkout session, changed."""
    return {**PAYLOADS["checkout.updated"], **changes}


def polar_refund(**changes: Any) -> dict[str, Any]:
    """Return the sheet's refund, changed."""
    return {**PAYLOADS["refund.updated"], **changes}


def listed(*items: Any, pages: int = 1) -> dict[str, Any]:
    """Return one page of a list."""
    return {"items": list(items), "pagination": {"total_count": len(items), "max_page": pages}}


def event(kind: str, data: Any) -> bytes:
    """Return the body of a webhook."""
    return json.dumps(
        {"type": kind, "timestamp": "2026-11-22T23:59:57Z", "api_version": "2026-10", "data": data}
    ).encode()


def delivery(body: bytes, *, webhook_id: str = "evt_1", **headers: str) -> WebhookRequest:
    """Return the body as Polar would send it now, signed the standard way."""
    now = datetime.now(UTC)
    timestamp = str(int(now.timestamp()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return WebhookRequest(
        method="POST",
        path="/",
        headers={
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
            **headers,
        },
        query={},
        body=body,
        received_at=now,
    )
