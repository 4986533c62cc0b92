"""Email by Amazon SES v2, and what SES tells later over SNS. Plain Python.

| SES says | Outcome |
| --- | --- |
| `TooManyRequestsException`, `LimitExceededException`, 5xx in its own words | retry |
| `AccountSuspendedException`, `SendingPausedException`, a wrong key | retry, in a minute |
| `BadRequestException`, `MessageRejected` about the content | refused |
| sender or domain not verified, no such configuration set | refused, another may take it |
| silence, a gateway's 5xx, something else than JSON | unknown |

Source: docs/providers/ses.md.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.errors import MessageError
from email.utils import parseaddr
from threading import Lock
from typing import Any, ClassVar
from uuid import UUID

from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.webhooks.types import PayloadUnreadable, VerifiedWebhook, WebhookRequest

from ntc_notify.providers.aws import AwsRefused, AwsService
from ntc_notify.providers.base import (
    LONGEST_CALL_SECONDS,
    ConfirmsSubscriptions,
    EmailProvider,
)
from ntc_notify.providers.mime import bare_address, build_email
from ntc_notify.providers.reasons import make_reason
from ntc_notify.providers.sns_messages import (
    SnsVerifier,
    load_notification,
    load_object,
    load_offer,
)
from ntc_notify.types import (
    Capabilities,
    MessageState,
    OutgoingEmail,
    Receipt,
    SendOutcome,
    SuppressionReason,
)

__all__ = ["SesProvider"]

log = logging.getLogger("ntc_notify")

#: Comes back in every event, so that a receipt finds its attempt even where the answer to
#: the call was lost.
UID_TAG = "ntc_uid"
_PAUSED = frozenset({"AccountSuspendedException", "SendingPausedException"})
_ABOUT_MESSAGE = frozenset({"BadRequestException", "MessageRejected"})
_NOT_VERIFIED = "not verified"
#: Amazon raises and lowers an account's rate now and then.
RATE_SECONDS = 3600.0
LONGEST_RATE_CALL_SECONDS = 5.0

_Event = Mapping[str, Any]


class SesProvider(EmailProvider, ConfirmsSubscriptions):
    """Hands emails to SES as whole MIME messages, one recipient each."""

    name: ClassVar[str] = "ses"
    capabilities = Capabilities(signs_receipts=True)

    def __init__(
        self,
        *,
        region: str,
        access_key_id: str = "",
        secret_access_key: str = "",
        configuration_set: str = "",
        topic_arns: Sequence[str] | str = (),
        endpoint_url: str = "",
        timeout_seconds: float = 20.0,
        fetch_certificate: Callable[[str], bytes] | None = None,
    ) -> None:
        """Args:
        access_key_id, secret_access_key: both, or neither where the machine has a role.
        configuration_set: the one whose event destination is the SNS topic.
        topic_arns: topics whose messages are believed; a text is a comma list. None: no
            receipts.
        endpoint_url: "" for the region's own.
        timeout_seconds: for one call, everything included.
        fetch_certificate: see `SnsVerifier`.
        """
        if not 0 < timeout_seconds <= LONGEST_CALL_SECONDS:
            raise ValueError(f"timeout_seconds must be above 0, at most {LONGEST_CALL_SECONDS:g}.")
        topics = topic_arns.split(",") if isinstance(topic_arns, str) else topic_arns
        topics = [topic.strip() for topic in topics if topic.strip()]
        self.timeout_seconds = timeout_seconds
        self.capabilities = replace(self.capabilities, sends_receipts=bool(topics))
        self._configuration_set = configuration_set
        self._verifier = SnsVerifier(topic_arns=topics, fetch_certificate=fetch_certificate)
        self._access: dict[str, Any] = {
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
            "endpoint_url": endpoint_url,
            "timeout_seconds": timeout_seconds,
        }
        self._region = region
        self._service = AwsService("sesv2", region=region, **self._access)
        self._rate: float | None = None
        self._ask_rate_at = time.monotonic()
        self._lock = Lock()

    def send(self, message: OutgoingEmail, /) -> SendOutcome:
        try:
            content = build_email(message).as_bytes()
            recipient = bare_address(message.to)
        except (ValueError, MessageError) as error:
            return SendOutcome.refused(f"It cannot be written as an email: {type(error).__name__}")
        parameters: dict[str, Any] = {
            "Destination": {"ToAddresses": [recipient]},
            "Content": {"Raw": {"Data": content}},
            "EmailTags": [{"Name": UID_TAG, "Value": str(message.provider_uid)}],
        }
        if self._configuration_set:
            parameters["ConfigurationSetName"] = self._configuration_set
        outcome = self._service.send(
            "send_email",
            paused=_PAUSED,
            about_message=_ABOUT_MESSAGE,
            hidden=(message.subject, message.text),
            **parameters,
        )
        if _NOT_VERIFIED in outcome.reason.lower():
            # MessageRejected too says so, of a sender or, in the sandbox, of a recipient.
            return replace(outcome, elsewhere=True)
        return outcome

    def prove_access(self) -> None:
        """Ask for the account."""
        self._service.prove_access("get_account")

    def find_calls_per_second(self) -> float | None:
        """Return the account's `MaxSendRate`, asked for once an hour.

        None, or the last one, while somebody is asking and where SES does not say.
        """
        with self._lock:
            is_due = time.monotonic() >= self._ask_rate_at
            if is_due:
                self._ask_rate_at = time.monotonic() + RATE_SECONDS
        if is_due:
            try:
                self._rate = self._ask_rate()
            except (HttpFailure, AnswerUnreadable, AwsRefused, ValueError) as error:
                # Such as a key that may only send: then SES itself slows us down.
                log.warning("provider.rate_unknown", extra={"reason": make_reason(error)})
        return self._rate

    def _ask_rate(self) -> float:
        seconds = min(LONGEST_RATE_CALL_SECONDS, self.timeout_seconds)
        access = self._access | {"timeout_seconds": seconds}
        answer = AwsService("sesv2", region=self._region, **access).call("get_account")
        try:
            rate = float(answer["SendQuota"]["MaxSendRate"])
        except (LookupError, TypeError, ValueError) as error:
            raise AnswerUnreadable("SES: the account has no MaxSendRate.") from error
        if not 0 < rate < math.inf:
            raise AnswerUnreadable("SES: the account's MaxSendRate is no rate.")
        return rate

    def open_webhook(self, request: WebhookRequest, /) -> VerifiedWebhook:
        """Check the SNS signature. A subscription that waits to be confirmed is only kept."""
        message = self._verifier.open(request.body, received_at=request.received_at)
        return VerifiedWebhook(dedupe_key=message["MessageId"], event_type=_event_type(message))

    def read_receipts(self, body: bytes, /) -> list[Receipt]:
        """Read an event of a configuration set or the older notification of an identity."""
        event = load_notification(body)
        if event is None:
            return []
        kind = event.get("eventType") or event.get("notificationType")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is None:
            return []
        try:
            return list(read(event))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PayloadUnreadable(f"SES: the {kind} event has another shape.") from error

    def read_offered_topic(self, body: bytes, /) -> str:
        """Return the ARN of the topic."""
        return load_offer(body).topic_arn

    def confirm_subscription(self, body: bytes, /) -> str:
        """Confirm by SNS's interface: the address in the message is not called.

        From then on only our key can end the subscription, not whoever sees the address in a
        notification's foot.
        """
        offer = load_offer(body)
        service = AwsService("sns", region=offer.region, **self._access)
        try:
            answer = service.call(
                "confirm_subscription",
                TopicArn=offer.topic_arn,
                Token=offer.token,
                AuthenticateOnUnsubscribe="true",
            )
        except AwsRefused as error:
            raise ValueError(error.explain(hidden=[offer.token])) from None
        return str(answer.get("SubscriptionArn", ""))


def _event_type(message: Mapping[str, str]) -> str:
    if message["Type"] != "Notification":
        return message["Type"]
    try:
        event = load_object(message["Message"])
    except PayloadUnreadable:
        return message["Type"]
    return str(event.get("eventType") or event.get("notificationType") or message["Type"])


def _read_bounce(event: _Event) -> Iterator[Receipt]:
    bounce = event["bounce"]
    permanent = bounce.get("bounceType") == "Permanent"
    for recipient in bounce["bouncedRecipients"]:
        yield _receipt(
            event,
            MessageState.FAILED if permanent else MessageState.SOFT_BOUNCED,
            address=recipient["emailAddress"],
            reason=make_reason(
                bounce.get("bounceType"), bounce.get("bounceSubType"), recipient.get("status"),
                recipient.get("diagnosticCode"),
            ),
            suppression=SuppressionReason.HARD_BOUNCE if permanent else None,
            at=bounce.get("timestamp"),
        )  # fmt: skip


def _read_complaint(event: _Event) -> Iterator[Receipt]:
    complaint = event["complaint"]
    feedback = complaint.get("complaintFeedbackType")
    # SES itself held it back, because the address had complained before.
    held_back = complaint.get("complaintSubType") == "OnAccountSuppressionList"
    for recipient in complaint["complainedRecipients"]:
        yield _receipt(
            event,
            MessageState.FAILED if held_back else MessageState.DELIVERED,
            address=recipient["emailAddress"],
            reason=make_reason("Complaint", complaint.get("complaintSubType"), feedback),
            # Somebody told their mail program that it is no spam.
            suppression=None if feedback == "not-spam" else SuppressionReason.COMPLAINT,
            at=complaint.get("timestamp"),
        )


def _read_delivery(event: _Event) -> Iterator[Receipt]:
    for address in event["delivery"]["recipients"]:
        yield _receipt(
            event, MessageState.DELIVERED, address=address, at=event["delivery"].get("timestamp")
        )


def _read_delay(event: _Event) -> Iterator[Receipt]:
    delay = event["deliveryDelay"]
    for recipient in delay["delayedRecipients"]:
        yield _receipt(
            event,
            MessageState.DEFERRED,
            address=recipient["emailAddress"],
            reason=make_reason(delay.get("delayType"), recipient.get("diagnosticCode")),
            at=delay.get("timestamp"),
        )


def _read_reject(event: _Event) -> Iterator[Receipt]:
    reason = make_reason("Rejected", event["reject"].get("reason"))
    return _for_everyone(event, MessageState.FAILED, reason=reason)


def _read_rendering_failure(event: _Event) -> Iterator[Receipt]:
    reason = make_reason("Rendering failed", event["failure"].get("errorMessage"))
    return _for_everyone(event, MessageState.FAILED, reason=reason)


def _read_send(event: _Event) -> Iterator[Receipt]:
    return _for_everyone(event, MessageState.ACCEPTED, at=event["mail"].get("timestamp"))


def _read_open(event: _Event) -> Iterator[Receipt]:
    return _for_everyone(event, MessageState.OPENED, at=event["open"].get("timestamp"))


def _read_click(event: _Event) -> Iterator[Receipt]:
    return _for_everyone(event, MessageState.CLICKED, at=event["click"].get("timestamp"))


def _read_subscription(event: _Event) -> Iterator[Receipt]:
    """Somebody left a contact list that SES itself manages."""
    subscription = event["subscription"]
    choices = subscription["newTopicPreferences"]
    left = choices.get("unsubscribeAll") is True
    return _for_everyone(
        event,
        MessageState.DELIVERED,
        suppression=SuppressionReason.UNSUBSCRIBED if left else None,
        at=subscription.get("timestamp"),
    )


_READERS: Mapping[str, Callable[[_Event], Iterator[Receipt]]] = {
    "Bounce": _read_bounce,
    "Complaint": _read_complaint,
    "Delivery": _read_delivery,
    "DeliveryDelay": _read_delay,
    "Reject": _read_reject,
    "Rendering Failure": _read_rendering_failure,
    "Send": _read_send,
    "Open": _read_open,
    "Click": _read_click,
    "Subscription": _read_subscription,
}


def _for_everyone(event: _Event, state: MessageState, **values: Any) -> Iterator[Receipt]:
    for address in event["mail"]["destination"]:
        yield _receipt(event, state, address=address, **values)


def _receipt(
    event: _Event,
    state: MessageState,
    *,
    address: str,
    at: str | None = None,
    reason: str = "",
    suppression: SuppressionReason | None = None,
) -> Receipt:
    mail = event["mail"]
    return Receipt(
        state=state,
        provider_ref=str(mail["messageId"]),
        provider_uid=_read_uid(mail),
        address=parseaddr(address)[1] or address,
        reason=reason,
        suppression=suppression,
        at=None if at is None else _read_moment(at),
    )


def _read_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_uid(mail: Mapping[str, Any]) -> UUID | None:
    values = (mail.get("tags") or {}).get(UID_TAG) or [""]
    try:
        return UUID(values[0])
    except ValueError:
        return None  # sent by somebody else through the same account
