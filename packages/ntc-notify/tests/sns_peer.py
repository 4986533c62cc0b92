"""Amazon SNS as a sender: it signs messages with its own key, by the openssl program.

The order of the signed fields is that of "Verifying the signatures of Amazon SNS messages"
(docs.aws.amazon.com); nothing is shared with the code under test.
"""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen
from uuid import uuid4

from ntc_core.webhooks.types import WebhookRequest
from ntc_notify.testing import HttpReply, ReceivedRequest

from tests.http_peer import QueuePeer

TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"
CERTIFICATE_URL = (
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
)
_DIGESTS = {"1": "-sha1", "2": "-sha256"}


class Signer:
    """A key with its certificate."""

    def __init__(self, folder: Path, *, days: int = 365) -> None:
        self._key, certificate = folder / "key.pem", folder / "cert.pem"
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days),
                 "-keyout", str(self._key), "-out", str(certificate),
                 "-subj", "/CN=sns.amazonaws.com")  # fmt: skip
        self.certificate = certificate.read_bytes()

    def sign(self, message: dict[str, Any], *, version: str = "2") -> dict[str, Any]:
        """Return the message with the signature of its fields."""
        names = ["Message", "MessageId"]
        if message["Type"] == "Notification":
            names += ["Subject"] if "Subject" in message else []
            names += ["Timestamp", "TopicArn", "Type"]
        else:
            names += ["SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{message[name]}\n" for name in names)
        signature = _openssl("dgst", _DIGESTS[version], "-sign", str(self._key), text=text)
        return message | {
            "SignatureVersion": version,
            "Signature": base64.b64encode(signature).decode(),
        }


def make_notification(content: Any, **values: str) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content)
    return {
        "Type": "Notification",
        "MessageId": str(uuid4()),
        "TopicArn": TOPIC,
        "Message": text,
        "Timestamp": "2026-11-20T08:00:00.000Z",
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
    } | values


def make_confirmation(**values: str) -> dict[str, Any]:
    return {
        "Type": "SubscriptionConfirmation",
        "MessageId": str(uuid4()),
        "Token": "2336412f37fb687f5d51e6e2425dacbbffff",
        "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe to the topic. Visit the SubscribeURL.",
        "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=2",
        "Timestamp": "2026-11-20T08:00:00.000Z",
        "SigningCertURL": CERTIFICATE_URL,
    } | values


def post(message: dict[str, Any] | bytes, **values: Any) -> WebhookRequest:
    """Return the call that brings the message to us."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return WebhookRequest(
        **{
            "method": "POST",
            "path": "/api/v1/webhooks/notify/ses/",
            "headers": {"x-amz-sns-message-type": "Notification", "content-type": "text/plain"},
            "query": {},
            "body": body,
            "received_at": datetime.now(UTC),
        }
        | values
    )


def serve(signer: Signer):
    """Return the answers of the host that keeps the certificate."""

    def answer(call: ReceivedRequest) -> HttpReply:
        found = call.target == urlsplit(CERTIFICATE_URL).path
        return HttpReply(body=signer.certificate) if found else HttpReply(status=404)

    return answer


def fetch_from(peer: QueuePeer):
    """Return a fetcher that goes to the peer instead of to Amazon."""

    def fetch(address: str) -> bytes:
        with urlopen(peer.base_url + urlsplit(address).path, timeout=5) as answer:
            content: bytes = answer.read()
        return content

    return fetch


def _openssl(*arguments: str, text: str | None = None) -> bytes:
    return subprocess.run(
        ["openssl", *arguments],
        input=None if text is None else text.encode(),
        check=True,
        capture_output=True,
    ).stdout
