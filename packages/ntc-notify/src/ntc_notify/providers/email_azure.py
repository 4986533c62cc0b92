"""Email by Azure Communication Services. Plain Python.

| Azure says | Outcome |
| --- | --- |
| 202 | accepted, under our own id |
| 409 | accepted: an earlier call under this id was |
| 429, and 500 or 503 in its own words | retry, when `Retry-After` says |
| 401, 403 | retry, in a minute |
| 400 | refused |
| any other 4xx | refused, another may take it |
| silence, any other 5xx, no JSON | unknown: `query()` tells |

Source: docs/providers/azure.md.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from email.utils import parseaddr
from http import HTTPStatus
from threading import Lock
from typing import Any, ClassVar
from uuid import UUID, uuid4

from ntc_core.http import HttpFailure, NoAnswer, NotSent
from ntc_core.webhooks.types import VerifiedWebhook, WebhookRequest

from ntc_notify.providers.acs import AcsAccount, AcsEvents, read_refusal
from ntc_notify.providers.base import AgreesToDeliveries, EmailProvider
from ntc_notify.providers.extras import require_installed
from ntc_notify.providers.mime import bare_address
from ntc_notify.providers.reasons import make_reason
from ntc_notify.types import Capabilities, MessageState, OutgoingEmail, Receipt, SendOutcome

__all__ = ["AzureEmailProvider"]

# "Succeeded" is the end of the operation: the email is on its way, not in a mailbox.
_STATES: Mapping[str, MessageState] = {
    "notstarted": MessageState.ACCEPTED,
    "running": MessageState.ACCEPTED,
    "succeeded": MessageState.ACCEPTED,
    "failed": MessageState.FAILED,
    "canceled": MessageState.FAILED,
}


class AzureEmailProvider(EmailProvider, AgreesToDeliveries):
    """Hands emails to Azure by its SDK, one recipient each, without polling."""

    name: ClassVar[str] = "azure"
    # 30 a minute is what a custom domain starts with.
    capabilities = Capabilities(can_query=True, calls_per_second=0.5)

    def __init__(
        self,
        *,
        endpoint: str,
        access_key: str,
        sender: str = "",
        webhook_secret: str = "",
        event_resources: Sequence[str] | str = (),
        api_version: str = "2025-09-01",
        timeout_seconds: float = 20.0,
    ) -> None:
        """Args:
        endpoint, access_key: of the communication resource; no connection string.
        sender: an address of a linked domain; "": the message's own. Its display name is set
            at Azure, the message's is not sent.
        webhook_secret, event_resources: see `AcsEvents`.
        timeout_seconds: for one call, everything included.
        """
        require_installed("azure-communication-email", extra="azure")
        self._account = AcsAccount(
            endpoint=endpoint, access_key=access_key, timeout_seconds=timeout_seconds
        )
        self._events = AcsEvents(webhook_secret=webhook_secret, resources=event_resources)
        self.timeout_seconds = timeout_seconds
        self.capabilities = replace(self.capabilities, sends_receipts=self._events.are_believed)
        self._access_key = access_key
        self._sender = sender
        self._api_version = api_version
        self._client: Any = None
        self._lock = Lock()

    def send(self, message: OutgoingEmail, /) -> SendOutcome:
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - an extra

        operation_id = str(message.provider_uid)
        hidden = (message.subject, message.text)
        try:
            content = _write(message, sender=self._sender or message.sender)
        except ValueError as error:
            return SendOutcome.refused(f"It cannot be written as an email: {type(error).__name__}")
        try:
            poller = self._get_client().begin_send(
                content, operation_id=operation_id, polling=False
            )
            return _read_answer(poller.result(), operation_id, hidden=hidden)
        except NotSent as error:
            return SendOutcome.retry(make_reason(error))
        except NoAnswer as error:
            return SendOutcome.unknown(make_reason(error))
        except HttpResponseError as error:
            return _read_error(error, operation_id, hidden=hidden)
        except ValueError:
            return SendOutcome.unknown("Azure answered something else than JSON.")

    def query(self, *, provider_ref: str, provider_uid: UUID, address: str) -> Receipt | None:
        """Ask for the operation; our id is its id, so it is found without the answer too."""
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - an extra

        try:
            response = self._ask_operation(provider_uid)
            if response.status_code != HTTPStatus.OK:
                return None
            answer = response.json()
        except (HttpFailure, HttpResponseError, ValueError):
            return None
        state = _STATES.get(_status(answer))
        if state is None:
            return None
        failed = state is MessageState.FAILED
        return Receipt(
            state=state,
            provider_ref=provider_ref or str(provider_uid),
            provider_uid=provider_uid,
            address=address,
            reason=_failure(answer) if failed else "",
        )

    def prove_access(self) -> None:
        """Ask for an operation that nobody began."""
        status = self._ask_operation(uuid4()).status_code
        if status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise NoAnswer(f"Azure: HTTP {status} to the question for an operation.")

    def _ask_operation(self, uid: UUID) -> Any:
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - an extra

        question = HttpRequest(
            "GET", f"/emails/operations/{uid}", params={"api-version": self._api_version}
        )
        return self._get_client().send_request(question)

    def open_webhook(self, request: WebhookRequest, /) -> VerifiedWebhook:
        """Check the secret in the path; answer Event Grid's handshake."""
        return self._events.open(request)

    def agree_to_deliveries(self, request: WebhookRequest, /) -> str:
        """Check the secret in the path: whoever knows it was told it by us."""
        return self._events.agree(request)

    def read_receipts(self, body: bytes, /) -> list[Receipt]:
        """Read the delivery reports of emails and SMS: both may come to one address."""
        return self._events.read(body)

    def _get_client(self) -> Any:
        from ntc_notify.providers.acs_client import make_email_client  # noqa: PLC0415 - an extra

        with self._lock:
            if self._client is None:
                self._client = make_email_client(
                    endpoint=self._account.endpoint,
                    access_key=self._access_key,
                    api_version=self._api_version,
                    timeout_seconds=self.timeout_seconds,
                )
            return self._client


def _write(message: OutgoingEmail, *, sender: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "senderAddress": bare_address(sender),
        "recipients": {"to": [_person(message.to)]},
        "content": {"subject": message.subject, "plainText": message.text},
        "headers": dict(message.headers),
        "replyTo": [_person(address) for address in message.reply_to],
        "attachments": [
            {
                "name": attachment.filename,
                "contentType": attachment.content_type,
                "contentInBase64": base64.b64encode(attachment.content).decode(),
            }
            for attachment in message.attachments
        ],
    }
    if message.html is not None:
        content["content"]["html"] = message.html
    return {name: value for name, value in content.items() if value}


def _person(text: str) -> dict[str, str]:
    name = parseaddr(text)[0]
    return {"address": bare_address(text)} | ({"displayName": name} if name else {})


def _read_answer(answer: Any, operation_id: str, *, hidden: Iterable[str]) -> SendOutcome:
    state = _STATES.get(_status(answer))
    if state is MessageState.FAILED:
        return SendOutcome.refused(_failure(answer, hidden=hidden))
    if state is None:
        return SendOutcome.unknown("Azure took it and says nothing that we know.")
    return SendOutcome.accepted(provider_ref=str(answer.get("id") or operation_id))


def _status(answer: Any) -> str:
    return str(answer.get("status") or "").lower() if isinstance(answer, Mapping) else ""


def _failure(answer: Mapping[str, Any], *, hidden: Iterable[str] = ()) -> str:
    error = answer.get("error")
    words = (error.get("code"), error.get("message")) if isinstance(error, Mapping) else ()
    return make_reason(answer.get("status"), *words, hidden=hidden)


def _read_error(error: Any, operation_id: str, *, hidden: Iterable[str]) -> SendOutcome:
    if error.status_code == HTTPStatus.CONFLICT:
        # The id is ours alone, so the earlier call under it was this message.
        return SendOutcome.accepted(provider_ref=operation_id)
    status, details, response = error.status_code or 0, error.error, error.response
    words = () if details is None else (details.code, details.message)
    return read_refusal(
        status,
        reason=make_reason(f"HTTP {status}", *words, hidden=hidden),
        is_azures=bool(details is not None and details.code),
        retry_after=None if response is None else response.headers.get("retry-after"),
    )
