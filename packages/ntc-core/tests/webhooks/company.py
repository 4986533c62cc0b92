"""A company of the tests' own: it signs its webhooks with an HMAC over time and body."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time

from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookAck,
    WebhookRequest,
)

# Invented anew for each run; a server process that a test starts is told the test's own.
SECRET = bytes.fromhex(os.environ.get("COMPANY_TEST_SECRET", "")) or secrets.token_bytes(32)
TOLERANCE_SECONDS = 300


def sign(body: bytes, *, at: float | None = None) -> dict[str, str]:
    """Return the headers the company sends with that body."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(SECRET, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Company-Timestamp": stamp, "X-Company-Signature": digest, "X-Event-Id": "evt_1"}


def event(**fields: object) -> bytes:
    """Return a body as the company writes it."""
    return json.dumps({"id": "evt_1", "type": "payment.paid", **fields}).encode()


class Company:
    """Verifies as a provider's adapter does."""

    def __init__(self) -> None:
        self.requests: list[WebhookRequest] = []

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Prove, then read."""
        self.requests.append(request)
        stamp = request.headers.get("x-company-timestamp", "")
        expected = hmac.new(SECRET, f"{stamp}.".encode() + request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers.get("x-company-signature", "")):
            raise SignatureInvalid("the digest differs")
        if abs(request.received_at.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
            raise SignatureInvalid("too old or too new")
        try:
            content = json.loads(request.body)
        except ValueError as error:
            raise PayloadUnreadable("expected JSON") from error
        return VerifiedWebhook(
            dedupe_key=content["id"],
            event_type=content["type"],
            ack=WebhookAck(status=202, body=b'{"taken":true}'),
        )
