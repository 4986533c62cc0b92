"""Messages that Amazon SNS posts: who really sent one, and what is in it. Plain Python.

Everybody can have Amazon sign messages of their own topic, so a good signature proves
nothing about a topic that is not on our list; it is looked at first, before anything is
fetched. Nothing that a message names is ever called except the certificate, and that only
where Amazon keeps its certificates. A subscription is never confirmed from here.

Source: "Verifying the signatures of Amazon SNS messages", docs.aws.amazon.com.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ntc_core.errors import Unavailable
from ntc_core.http import HttpClient, HttpFailure
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid

from ntc_notify.providers.extras import require_installed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import Certificate

__all__ = ["Offer", "SnsVerifier", "load_notification", "load_object", "load_offer"]

NOTIFICATION = "Notification"
_SIGNED_FIELDS: Mapping[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        ("SubscriptionConfirmation", "UnsubscribeConfirmation"),
        ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_OPTIONAL = frozenset({"Subject"})
_TOPIC = re.compile(
    r"arn:(?P<partition>aws|aws-cn|aws-us-gov):sns:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):\d{12}:[\w.-]+",
    re.ASCII,
)
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]+\.pem", re.ASCII)
LARGEST_CERTIFICATE = 16 * 1024
FETCH_SECONDS = 5.0
#: Amazon has one certificate per region at a time. More addresses than that are made up, and
#: each would cost us a call.
MOST_FETCHES = 10
FETCHES_PER_SECONDS = 60.0


class SnsVerifier:
    """Proves messages of the topics on its list. Thread-safe."""

    def __init__(
        self,
        *,
        topic_arns: Sequence[str],
        fetch_certificate: Callable[[str], bytes] | None = None,
    ) -> None:
        """Args:
        topic_arns: the topics we have subscribed to.
        fetch_certificate: returns the PEM at an address that has passed the host check;
            None: a call to it.

        Raises:
            ValueError: an entry is no topic, or `cryptography` is not installed.
        """
        self._hosts = {arn: _certificate_host(arn) for arn in topic_arns}
        if topic_arns:
            require_installed("cryptography", extra="aws")
        self._fetch = fetch_certificate or _fetch_over_http
        self._certificates: dict[str, Certificate] = {}
        self._fetched_at: deque[float] = deque(maxlen=MOST_FETCHES)
        self._lock = Lock()

    def open(self, body: bytes, *, received_at: datetime) -> Mapping[str, str]:
        """Return the fields of a message that is proven.

        Raises:
            SignatureInvalid: it is not.
            Unavailable: the certificate could not be fetched now; Amazon sends again.
        """
        message = _load_message(body)
        host = self._hosts.get(message["TopicArn"])
        if host is None:
            raise SignatureInvalid("SNS: the topic is not one of ours.")
        address = message["SigningCertURL"]
        if not _is_certificate_address(address, host):
            raise SignatureInvalid("SNS: the certificate is not where Amazon keeps its own.")
        certificate = self._get_certificate(address)
        if not (certificate.not_valid_before_utc <= received_at <= certificate.not_valid_after_utc):
            raise SignatureInvalid("SNS: the certificate is not valid at this time.")
        _require_signature(message, certificate)
        with self._lock:
            # Only now: what no message was proven with is not worth its place.
            self._certificates[address] = certificate
        return message

    def _get_certificate(self, address: str) -> Certificate:
        from cryptography import x509  # noqa: PLC0415 - an extra

        with self._lock:
            known = self._certificates.get(address)
            if known is not None:
                return known
            now = time.monotonic()
            if len(self._fetched_at) == MOST_FETCHES and (
                now - self._fetched_at[0] < FETCHES_PER_SECONDS
            ):
                raise Unavailable
            self._fetched_at.append(now)
        try:
            return x509.load_pem_x509_certificate(self._fetch(address))
        except HttpFailure as error:
            raise Unavailable from error
        except ValueError as error:
            raise SignatureInvalid("SNS: there is no certificate at that address.") from error


def load_notification(body: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object that was published, None where the message is about a subscription.

    Raises:
        PayloadUnreadable: the body is no SNS message, or no JSON object was published.
    """
    try:
        message = _load_message(body)
    except SignatureInvalid as error:
        raise PayloadUnreadable(str(error)) from error
    if message["Type"] != NOTIFICATION:
        return None
    return load_object(message["Message"])


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A subscription that waits to be confirmed."""

    topic_arn: str
    region: str
    token: str = field(repr=False)


def load_offer(body: bytes) -> Offer:
    """Return the subscription that the message offers.

    Raises:
        PayloadUnreadable: it offers none.
    """
    try:
        message = _load_message(body)
    except SignatureInvalid as error:
        raise PayloadUnreadable(str(error)) from error
    found = _TOPIC.fullmatch(message["TopicArn"])
    if message["Type"] != "SubscriptionConfirmation" or found is None:
        raise PayloadUnreadable("SNS: the message offers no subscription.")
    return Offer(topic_arn=found[0], region=found["region"], token=message["Token"])


def load_object(text: str) -> Mapping[str, Any]:
    """Return the JSON object in the text.

    Raises:
        PayloadUnreadable: it is something else.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PayloadUnreadable("SNS: the published message is not JSON.") from error
    if not isinstance(content, dict):
        raise PayloadUnreadable("SNS: the published message is not a JSON object.")
    return content


def _load_message(body: bytes) -> Mapping[str, str]:
    """Return the message with all fields that its type has, each of them a text."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SignatureInvalid("SNS: the body is not JSON.") from error
    if not isinstance(content, dict):
        raise SignatureInvalid("SNS: the body is not a message.")
    kind = content.get("Type")
    signed = _SIGNED_FIELDS.get(kind) if isinstance(kind, str) else None
    if signed is None:
        raise SignatureInvalid("SNS: the message has no type that we know.")
    needed = {*signed, "Signature", "SignatureVersion", "SigningCertURL"} - _OPTIONAL
    values = {name: content[name] for name in needed | _OPTIONAL if content.get(name) is not None}
    if needed - values.keys() or not all(isinstance(value, str) for value in values.values()):
        raise SignatureInvalid("SNS: the message lacks a field.")
    return values


def _require_signature(message: Mapping[str, str], certificate: Certificate) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415 - an extra

    algorithms: Mapping[str, hashes.HashAlgorithm] = {
        # Amazon's first version; nobody can make a second text for a digest that is given.
        "1": hashes.SHA1(),  # noqa: S303
        "2": hashes.SHA256(),
    }
    algorithm = algorithms.get(message["SignatureVersion"])
    key = certificate.public_key()
    if algorithm is None or not isinstance(key, rsa.RSAPublicKey):
        raise SignatureInvalid("SNS: the signature is of a kind that we do not know.")
    try:
        signature = base64.b64decode(message["Signature"], validate=True)
        _verify(key, signature, _signed_text(message), padding.PKCS1v15(), algorithm)
    except (InvalidSignature, binascii.Error) as error:
        raise SignatureInvalid("SNS: the signature does not fit the message.") from error


def _verify(key: RSAPublicKey, signature: bytes, text: bytes, how: Any, algorithm: Any) -> None:
    key.verify(signature, text, how, algorithm)


def _signed_text(message: Mapping[str, str]) -> bytes:
    lines = (
        f"{name}\n{message[name]}\n" for name in _SIGNED_FIELDS[message["Type"]] if name in message
    )
    return "".join(lines).encode("utf-8", "surrogatepass")


def _certificate_host(topic_arn: str) -> str:
    """Return where Amazon keeps the certificate of that topic: in the topic's own region."""
    found = _TOPIC.fullmatch(topic_arn)
    if found is None:
        raise ValueError(
            f"{topic_arn!r} is not a topic such as arn:aws:sns:eu-west-1:123456789012:ses-events."
        )
    ending = ".cn" if found["partition"] == "aws-cn" else ""
    return f"sns.{found['region']}.amazonaws.com{ending}"


def _is_certificate_address(address: str, host: str) -> bool:
    # The host is compared as text: nothing here is left to what a URL parser makes of it.
    prefix = f"https://{host}/"
    return address.startswith(prefix) and bool(
        _CERTIFICATE_PATH.fullmatch(address.removeprefix(prefix[:-1]))
    )


def _fetch_over_http(address: str) -> bytes:
    url = urlsplit(address)
    client = HttpClient(
        base_url=f"{url.scheme}://{url.netloc}",
        total_timeout_seconds=FETCH_SECONDS,
        max_response_bytes=LARGEST_CERTIFICATE,
    )
    answer = client.request("GET", url.path)
    if answer.status != 200:  # noqa: PLR2004 - as HTTP says it
        raise HttpFailure(f"The certificate was answered with HTTP {answer.status}.")
    return answer.body
