"""Azure Communication Services on a socket: it checks the HMAC by its own code.

Written from "Sign an HTTP request" (learn.microsoft.com, communication-services) and the
published REST descriptions; it imports neither the code under test nor the SDK.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

from ntc_notify.testing import HttpReply, ReceivedRequest

ACCESS_KEY = base64.b64encode(secrets.token_bytes(64)).decode()
FROM = "salamu@farajayangu.example"
_AUTHORIZATION = re.compile(
    r"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=(.+)"
)
_MOST_SECONDS_APART = 300


def is_signed(call: ReceivedRequest) -> bool:
    """Tell whether the request carries our key's signature over these bytes, made just now."""
    found = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
    content_hash = base64.b64encode(hashlib.sha256(call.body).digest()).decode()
    if found is None or call.headers.get("x-ms-content-sha256") != content_hash:
        return False
    date = call.headers.get("x-ms-date", "")
    if not date.endswith(" GMT"):
        return False
    if abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()) > _MOST_SECONDS_APART:
        return False
    text = "\n".join([call.method, call.target, f"{date};{call.headers['host']};{content_hash}"])
    expected = hmac.new(base64.b64decode(ACCESS_KEY), text.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(expected).decode(), found[1])


class Acs:
    """Takes emails and SMS, and remembers the ids under which it did."""

    def __init__(self) -> None:
        #: Operation id -> its state, as a question is answered.
        self.operations: dict[str, dict[str, Any]] = {}
        #: Repeatability id -> what was said of the SMS.
        self.results: dict[str, dict[str, Any]] = {}
        #: Number -> what its result has instead of the usual.
        self.numbers: dict[str, dict[str, Any]] = {}

    def answer(self, call: ReceivedRequest) -> HttpReply:
        if not is_signed(call):
            return refuse(401, "Denied", "Denied by the resource provider.")
        path, _, query = call.target.partition("?")
        if (call.method, path) == ("POST", "/emails:send"):
            return self._take_email(call) if query == "api-version=2025-09-01" else refuse(400, "V")
        if (call.method, path) == ("POST", "/sms"):
            return self._take_sms(call) if query == "api-version=2021-03-07" else refuse(400, "V")
        if call.method == "GET" and path.startswith("/emails/operations/"):
            found = self.operations.get(path.rpartition("/")[2])
            return refuse(404, "NotFound") if found is None else as_json(200, found)
        return refuse(404, "NotFound")

    def _take_email(self, call: ReceivedRequest) -> HttpReply:
        operation_id = str(UUID(call.headers["operation-id"]))
        content = json.loads(call.body)
        if content["senderAddress"] != FROM:
            return refuse(404, "DomainNotLinked", "The specified sender domain is not linked.")
        if operation_id in self.operations:
            return refuse(409, "OperationIdInUse")
        self.operations[operation_id] = {"id": operation_id, "status": "Running", "error": None}
        return as_json(202, self.operations[operation_id], {"retry-after": "5"})

    def _take_sms(self, call: ReceivedRequest) -> HttpReply:
        results = [
            self._take_one(recipient) for recipient in json.loads(call.body)["smsRecipients"]
        ]
        return as_json(202, {"value": results})

    def _take_one(self, recipient: dict[str, str]) -> dict[str, Any]:
        key = recipient["repeatabilityRequestId"]
        parsedate_to_datetime(recipient["repeatabilityFirstSent"])
        if key not in self.results:
            self.results[key] = {
                "to": recipient["to"],
                "messageId": f"Outgoing_{len(self.results)}_noam",
                "httpStatusCode": 202,
                "repeatabilityResult": "accepted",
                "successful": True,
            } | self.numbers.get(recipient["to"], {})
        return self.results[key]


def as_json(status: int, content: Any, headers: dict[str, str] | None = None) -> HttpReply:
    return HttpReply(
        status=status,
        body=json.dumps(content).encode(),
        headers={"Content-Type": "application/json"} | (headers or {}),
    )


def refuse(status: int, code: str, message: str = "No.", **headers: str) -> HttpReply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return as_json(status, {"error": {"code": code, "message": message}}, named)
