"""What Azure's email and SMS have in common: the signature, the errors, the events. Plain Python.

Endpoint and key are two settings: the SDKs' connection string loses the scheme.

Event Grid does not sign. Its calls are known by a secret in the path that only Azure was
told, and its subscription may be limited to some resources. Nothing that an event names is
ever called; the handshake, by an event or by OPTIONS, is answered in place.

Source: docs/providers/azure.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookAck,
    WebhookRequest,
)

from ntc_notify.providers.base import LONGEST_CALL_SECONDS
from ntc_notify.providers.reasons import make_reason, read_retry_after
from ntc_notify.types import MessageState, Receipt, SendOutcome, SuppressionReason

__all__ = ["AcsAccount", "AcsEvents", "read_refusal"]

log = logging.getLogger("ntc_notify")

#: Until a person has corrected a key, there is no hurry.
WAIT_FOR_A_PERSON_SECONDS = 60.0

#: Goes back in a header, as it came.
_ORIGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_HANDSHAKE = "microsoft.eventgrid.subscriptionvalidationevent"
_KEYS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
#: The service itself is at its end; a gateway's 502 and 504 say nothing about the request.
_BUSY = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE})
_ABOUT_MESSAGE = frozenset({HTTPStatus.BAD_REQUEST})

# A word that is not listed is a failure: Azure adds words, and none of them means "delivered".
_EMAIL_STATES: Mapping[str, MessageState] = {
    "delivered": MessageState.DELIVERED,
    "expanded": MessageState.ACCEPTED,
    "outfordelivery": MessageState.ACCEPTED,
}
_EMAIL_SUPPRESSIONS: Mapping[str, SuppressionReason] = {
    "bounced": SuppressionReason.HARD_BOUNCE,
    # Azure itself holds it back, because the address has bounced before.
    "suppressed": SuppressionReason.HARD_BOUNCE,
}
_ENGAGEMENTS: Mapping[str, MessageState] = {
    "view": MessageState.OPENED,
    "click": MessageState.CLICKED,
}

_Data = Mapping[str, Any]


class AcsAccount:
    """One communication resource: where it is, and the key that signs."""

    def __init__(self, *, endpoint: str, access_key: str, timeout_seconds: float) -> None:
        self.endpoint = _require_site(endpoint)
        self._host = urlsplit(self.endpoint).netloc
        if not 0 < timeout_seconds <= LONGEST_CALL_SECONDS:
            raise ValueError(f"timeout_seconds must be above 0, at most {LONGEST_CALL_SECONDS:g}.")
        try:
            self._key = base64.b64decode(access_key, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("access_key must be the base64 text of Azure's portal.") from None

    def sign(self, *, method: str, target: str, body: bytes) -> dict[str, str]:
        """Return the headers that prove a request; they are good for a few minutes."""
        date = format_datetime(datetime.now(UTC), usegmt=True)
        content_hash = base64.b64encode(hashlib.sha256(body).digest()).decode()
        text = f"{method}\n{target}\n{date};{self._host};{content_hash}"
        signature = base64.b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256)).decode()
        names = "x-ms-date;host;x-ms-content-sha256"
        return {
            "host": self._host,
            "x-ms-date": date,
            "x-ms-content-sha256": content_hash,
            "authorization": f"HMAC-SHA256 SignedHeaders={names}&Signature={signature}",
        }


def read_refusal(
    status: int, *, reason: str, is_azures: bool, retry_after: str | None = None
) -> SendOutcome:
    """Return what an HTTP status other than success means for a message.

    Args:
        is_azures: the answer has Azure's own shape, so it is not one of something between us.
    """
    if status in _KEYS:
        return SendOutcome.retry(reason, after_seconds=WAIT_FOR_A_PERSON_SECONDS)
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status in _BUSY and is_azures):
        return SendOutcome.retry(reason, after_seconds=read_retry_after(retry_after))
    if status == HTTPStatus.PRECONDITION_FAILED:
        # The first call under this id is longer ago than Azure remembers (five minutes): it
        # has not done it again, and does not tell what became of the first.
        return SendOutcome.unknown(reason)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return SendOutcome.refused(reason, elsewhere=status not in _ABOUT_MESSAGE)
    return SendOutcome.unknown(reason)


class AcsEvents:
    """Opens and reads what Event Grid posts, about emails and SMS alike."""

    def __init__(self, *, webhook_secret: str, resources: Sequence[str] | str) -> None:
        """Args:
        webhook_secret: the end of the webhook's path, `azure-<secret>`; "" believes nobody.
        resources: ids of the resources that may tell us something; none: whoever knows the
            secret. A text is a comma list.
        """
        names = resources.split(",") if isinstance(resources, str) else resources
        self._secret = webhook_secret
        self._resources = frozenset(name.strip().lower() for name in names if name.strip())

    @property
    def are_believed(self) -> bool:
        """There is a secret by which to know them."""
        return bool(self._secret)

    def open(self, request: WebhookRequest) -> VerifiedWebhook:
        """Check secret and resource; answer the handshake.

        Raises:
            SignatureInvalid: the secret is not ours, or a resource is not on the list.
            PayloadUnreadable: these are no events.
        """
        self._require_secret(request)
        events = _load_events(request.body)
        if any(not self._may_tell(event) for event in events):
            raise SignatureInvalid("Azure: an event is of a resource that is not on the list.")
        kinds = sorted({_kind(event) for event in events})
        return VerifiedWebhook(
            dedupe_key=_dedupe_key(events),
            event_type=",".join(kinds),
            ack=_answer_handshake(events) or WebhookAck(),
        )

    def agree(self, request: WebhookRequest) -> str:
        """Check the secret; return who asks whether they may post events.

        Raises:
            SignatureInvalid: the secret is not ours.
            PayloadUnreadable: nobody is named.
        """
        self._require_secret(request)
        origin = request.headers.get("webhook-request-origin", "")
        if not _ORIGIN.fullmatch(origin):
            raise PayloadUnreadable("Azure: WebHook-Request-Origin is no name of a host.")
        return origin

    def read(self, body: bytes) -> list[Receipt]:
        """Return the receipts in a verified body; other events say nothing."""
        found = []
        for event in _load_events(body):
            read = _READERS.get(_kind(event))
            if read is None:
                continue
            try:
                receipt = read(_lower_keys(event["data"]))
            except (AttributeError, KeyError, TypeError):
                # One odd event must not keep the others of its batch from being read.
                log.warning("notify.event_unreadable", extra={"event_type": _kind(event)})
                continue
            if receipt is not None:
                found.append(receipt)
        return found

    def _require_secret(self, request: WebhookRequest) -> None:
        given = request.path.rstrip("/").rpartition("/")[2].partition("-")[2]
        if not self._secret or not hmac.compare_digest(given.encode(), self._secret.encode()):
            raise SignatureInvalid("Azure: the path does not end in the secret.")

    def _may_tell(self, event: _Data) -> bool:
        told_by = str(event.get("topic") or event.get("source") or "").lower()
        return not self._resources or told_by in self._resources


def _require_site(endpoint: str) -> str:
    """Return scheme and host as they are signed: without path and without the usual port."""
    parts = urlsplit(endpoint)
    extra = parts.path.strip("/") or parts.query or parts.username or parts.fragment
    if parts.scheme not in {"http", "https"} or not parts.hostname or extra:
        raise ValueError(
            "endpoint must be a URL such as https://name.africa.communication.azure.com, and no "
            "connection string."
        )
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = f":{parts.port}" if parts.port not in {None, usual} else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def _load_events(body: bytes) -> list[_Data]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PayloadUnreadable("Azure: the body is not JSON.") from error
    # The schema of CloudEvents knows single events, Event Grid's own only lists.
    events = content if isinstance(content, list) else [content]
    if not events or not all(isinstance(event, dict) for event in events):
        raise PayloadUnreadable("Azure: the body is not a list of events.")
    return [_lower_keys(event) for event in events]


def _lower_keys(content: _Data) -> dict[str, Any]:
    """Return the object with its keys in lower case: articles and SDKs spell them apart."""
    return {str(name).lower(): value for name, value in content.items()}


def _kind(event: _Data) -> str:
    return str(event.get("eventtype") or event.get("type") or "").lower()


def _dedupe_key(events: Sequence[_Data]) -> str:
    ids = sorted(str(event.get("id") or "") for event in events)
    if not all(ids):
        raise PayloadUnreadable("Azure: an event has no id.")
    if len(ids) == 1:
        return ids[0]
    return f"batch:{hashlib.sha256(json.dumps(ids).encode()).hexdigest()}"


def _answer_handshake(events: Iterable[_Data]) -> WebhookAck | None:
    for event in events:
        if _kind(event) != _HANDSHAKE:
            continue
        data = event.get("data")
        code = _lower_keys(data).get("validationcode") if isinstance(data, dict) else None
        if not isinstance(code, str):
            raise PayloadUnreadable("Azure: the handshake has no code.")
        return WebhookAck(body=json.dumps({"validationResponse": code}).encode())
    return None


def _read_email(data: _Data) -> Receipt:
    status = str(data.get("status") or "").lower()
    state = _EMAIL_STATES.get(status, MessageState.FAILED)
    return Receipt(
        state=state,
        provider_ref=str(data["messageid"]),
        provider_uid=_read_uid(data["messageid"]),
        address=str(data["recipient"]),
        reason=_reason(state, data.get("status"), data.get("deliverystatusdetails")),
        suppression=_EMAIL_SUPPRESSIONS.get(status),
        at=_read_moment(data.get("deliveryattempttimestamp")),
    )


def _read_engagement(data: _Data) -> Receipt | None:
    state = _ENGAGEMENTS.get(str(data.get("engagementtype") or "").lower())
    if state is None:
        return None
    return Receipt(
        state=state,
        provider_ref=str(data["messageid"]),
        provider_uid=_read_uid(data["messageid"]),
        address=str(data["recipient"]) if data.get("recipient") else None,
        at=_read_moment(data.get("useractiontimestamp")),
    )


def _read_sms(data: _Data) -> Receipt:
    delivered = str(data.get("deliverystatus") or "").lower() == "delivered"
    state = MessageState.DELIVERED if delivered else MessageState.FAILED
    return Receipt(
        state=state,
        provider_ref=str(data["messageid"]),
        provider_uid=_read_uid(data.get("tag")),
        address=str(data["to"]),
        reason=_reason(state, data.get("deliverystatus"), data.get("deliverystatusdetails")),
        segments=_count_segments(data.get("deliveryattempts")),
        at=_read_moment(data.get("receivedtimestamp")),
    )


_READERS: Mapping[str, Callable[[_Data], Receipt | None]] = {
    "microsoft.communication.emaildeliveryreportreceived": _read_email,
    "microsoft.communication.emailengagementtrackingreportreceived": _read_engagement,
    "microsoft.communication.smsdeliveryreportreceived": _read_sms,
}


def _reason(state: MessageState, status: object, details: object) -> str:
    if state is not MessageState.FAILED:
        return ""
    message = _lower_keys(details).get("statusmessage") if isinstance(details, dict) else details
    return make_reason(status, message)


def _count_segments(attempts: object) -> int | None:
    """Return what the last attempt was counted as; an earlier one was for the same text."""
    if not isinstance(attempts, list) or not attempts or not isinstance(attempts[-1], dict):
        return None
    last = _lower_keys(attempts[-1])
    counts = [last.get("segmentssucceeded"), last.get("segmentsfailed")]
    known = [count for count in counts if isinstance(count, int)]
    return sum(known) if known else None


def _read_uid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def _read_moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
