"""Amazon on a socket, for what moto lacks: it checks SigV4 by its own code and fails on demand.

Written from "Create a signed AWS API request" (docs.aws.amazon.com); it imports neither the
code under test nor the SDK.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

from ntc_notify.testing import HttpReply, ReceivedRequest

REGION = "eu-west-1"
ACCESS_KEY_ID = "AKIAEXAMPLEEXAMPLE00"
SECRET_ACCESS_KEY = secrets.token_hex(20)
ACCOUNT = "/v2/email/account"
MAX_SEND_RATE = 14.0
MESSAGE_ID = "0102018f-7c1d-4b6e-9d1a-000000000000-000000"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), "
    r"SignedHeaders=(?P<headers>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def is_signed(call: ReceivedRequest, *, service: str, secret: str = SECRET_ACCESS_KEY) -> bool:
    """Tell whether the request carries our key's signature over exactly these bytes."""
    found = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
    if found is None or found["key"] != ACCESS_KEY_ID:
        return False
    date, *place = found["scope"].split("/")
    if place != [REGION, service, "aws4_request"] or not call.headers["x-amz-date"].startswith(
        date
    ):
        return False
    names = found["headers"].split(";")
    if not {"host", "x-amz-date"} <= set(names):
        return False
    url = urlsplit(call.target)
    canonical = "\n".join(
        [
            call.method,
            quote(url.path, safe="/-_.~%"),
            "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted(parse_qsl(url.query))),
            *(f"{name}:{' '.join(call.headers[name].split())}" for name in names),
            "",
            found["headers"],
            hashlib.sha256(call.body).hexdigest(),
        ]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            call.headers["x-amz-date"],
            found["scope"],
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in found["scope"].split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, found["signature"])


def answer_ses(call: ReceivedRequest) -> HttpReply:
    """Take an email as SES v2 does, and tell what the account may."""
    if call.method == "GET" and call.target == ACCOUNT and is_signed(call, service="ses"):
        return HttpReply.json({"SendQuota": {"MaxSendRate": MAX_SEND_RATE}})
    if call.method != "POST" or call.target != "/v2/email/outbound-emails":
        return refuse_ses("NotFoundException", status=404)
    if not is_signed(call, service="ses"):
        return refuse_ses("InvalidSignatureException", status=403)
    return HttpReply(
        body=json.dumps({"MessageId": MESSAGE_ID}).encode(),
        headers={"Content-Type": "application/json"},
    )


def refuse_ses(code: str, *, status: int = 400, message: str = "No.") -> HttpReply:
    return HttpReply(
        status=status,
        body=json.dumps({"message": message}).encode(),
        headers={"Content-Type": "application/json", "x-amzn-ErrorType": code},
    )


def answer_sns(call: ReceivedRequest) -> HttpReply:
    """Take an SMS as SNS does."""
    if not is_signed(call, service="sns"):
        return refuse_sns("SignatureDoesNotMatch", status=403)
    form = read_form(call)
    if form.get("Action") == "ConfirmSubscription":
        return _confirm(form)
    if form.get("Action") != "Publish":
        return refuse_sns("InvalidAction")
    body = (
        '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
        f"<MessageId>{MESSAGE_ID}</MessageId></PublishResult><ResponseMetadata><RequestId>1"
        "</RequestId></ResponseMetadata></PublishResponse>"
    )
    return HttpReply(body=body.encode(), headers={"Content-Type": "text/xml"})


def _confirm(form: dict[str, str]) -> HttpReply:
    if form["Token"].startswith("old"):
        return refuse_sns("InvalidParameter", message="Invalid token")
    body = (
        '<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
        f"<ConfirmSubscriptionResult><SubscriptionArn>{form['TopicArn']}:1</SubscriptionArn>"
        "</ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
    )
    return HttpReply(body=body.encode(), headers={"Content-Type": "text/xml"})


def refuse_sns(code: str, *, status: int = 400, message: str = "No.") -> HttpReply:
    body = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender'
        f"</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId>"
        "</ErrorResponse>"
    )
    return HttpReply(status=status, body=body.encode(), headers={"Content-Type": "text/xml"})


def read_form(call: ReceivedRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode()).items()}


def read_json(call: ReceivedRequest) -> Any:
    return json.loads(call.body)
