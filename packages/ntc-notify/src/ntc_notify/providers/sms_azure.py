"""SMS by Azure Communication Services, by its REST interface. Plain Python.

Without the SDK: it invents a new repeatability id at every call, so with it a second call
is a second SMS. With ours, Azure answers a repeated call as it answered the first.

| Azure says | Outcome |
| --- | --- |
| 202, and of this recipient `successful` | accepted |
| 202, and of this recipient another status | as that status would mean |
| 429, and 500 or 503 in its own words | retry, when `Retry-After` says |
| 401, 403 | retry, in a minute |
| 400 | refused |
| silence, any other 5xx, no JSON, nothing about this recipient | unknown |

Source: docs/providers/azure.md.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, ClassVar

from ntc_core.http import AnswerUnreadable, HttpAnswer, HttpClient, NoAnswer, NotSent
from ntc_core.webhooks.types import VerifiedWebhook, WebhookRequest

from ntc_notify.providers.acs import AcsAccount, AcsEvents, read_refusal
from ntc_notify.providers.base import AgreesToDeliveries, SmsProvider
from ntc_notify.providers.reasons import make_reason
from ntc_notify.types import Capabilities, OutgoingSms, Receipt, SendOutcome

__all__ = ["AzureSmsProvider"]

LONGEST_TEXT = 2048
MOST_RECIPIENTS = 100
#: An alphanumeric sender, or a number that Azure has leased to us.
_SENDER = re.compile(
    r"(?=.*[A-Za-z])[A-Za-z0-9 &_+-]{1,11}|\+[1-9][0-9]{6,14}|[0-9]{5,6}", re.ASCII
)


class AzureSmsProvider(SmsProvider, AgreesToDeliveries):
    """Hands SMS to Azure; a batch is one call per text."""

    name: ClassVar[str] = "azure"
    # 600 recipients a minute is what an alphanumeric sender starts with.
    capabilities = Capabilities(
        deduplicates=True, batch_size=MOST_RECIPIENTS, calls_per_second=10.0
    )

    def __init__(
        self,
        *,
        endpoint: str,
        access_key: str,
        sender: str,
        webhook_secret: str = "",
        event_resources: Sequence[str] | str = (),
        api_version: str = "2021-03-07",
        timeout_seconds: float = 20.0,
    ) -> None:
        """Args:
        endpoint, access_key: of the communication resource; no connection string.
        sender: an alphanumeric sender id, or a number that Azure has leased to us.
        webhook_secret, event_resources: see `AcsEvents`.
        timeout_seconds: for one call, everything included.
        """
        if not _SENDER.fullmatch(sender):
            raise ValueError("sender must be a sender id such as FARAJA, or a number of Azure's.")
        self._account = AcsAccount(
            endpoint=endpoint, access_key=access_key, timeout_seconds=timeout_seconds
        )
        self._events = AcsEvents(webhook_secret=webhook_secret, resources=event_resources)
        self.timeout_seconds = timeout_seconds
        self.capabilities = replace(self.capabilities, sends_receipts=self._events.are_believed)
        self._sender = sender
        self._client = HttpClient(
            base_url=self._account.endpoint, total_timeout_seconds=timeout_seconds
        )
        self._target = f"/sms?api-version={api_version}"

    def send(self, message: OutgoingSms, /) -> SendOutcome:
        return self.send_batch([message])[0]

    def send_batch(self, messages: Sequence[OutgoingSms], /) -> list[SendOutcome]:
        """Make one call for each text among the messages, all within one deadline.

        What the deadline left no time for has not been sent, and says so.
        """
        deadline = time.monotonic() + self.timeout_seconds
        outcomes: dict[int, SendOutcome] = {}
        for group in _group(messages):
            left = deadline - time.monotonic()
            members = {number: messages[number] for number in group}
            if left <= 0:
                answers = dict.fromkeys(group, SendOutcome.retry("There was no time left for it."))
            else:
                answers = self._post(members, timeout_seconds=left)
            outcomes |= answers
        return [outcomes[number] for number in range(len(messages))]

    def open_webhook(self, request: WebhookRequest, /) -> VerifiedWebhook:
        """Check the secret in the path; answer Event Grid's handshake."""
        return self._events.open(request)

    def agree_to_deliveries(self, request: WebhookRequest, /) -> str:
        """Check the secret in the path: whoever knows it was told it by us."""
        return self._events.agree(request)

    def read_receipts(self, body: bytes, /) -> list[Receipt]:
        """Read the delivery reports of emails and SMS: both may come to one address."""
        return self._events.read(body)

    def _post(
        self, messages: Mapping[int, OutgoingSms], *, timeout_seconds: float
    ) -> dict[int, SendOutcome]:
        """Make one call for messages of one text to different people."""
        text = next(iter(messages.values())).text
        if len(text) > LONGEST_TEXT:
            reason = f"Azure takes {LONGEST_TEXT} characters, the text has {len(text)}."
            return dict.fromkeys(messages, SendOutcome.refused(reason))
        body = self._write(list(messages.values()), text)
        client = copy(self._client)
        client.total_timeout_seconds = timeout_seconds
        signed = self._account.sign(method="POST", target=self._target, body=body)
        try:
            answer = client.request(
                "POST",
                self._target,
                content=body,
                headers={"content-type": "application/json", **signed},
            )
        except NotSent as error:
            return dict.fromkeys(messages, SendOutcome.retry(make_reason(error)))
        except NoAnswer as error:
            return dict.fromkeys(messages, SendOutcome.unknown(make_reason(error)))
        if answer.status != HTTPStatus.ACCEPTED:
            return dict.fromkeys(
                messages, _read_refused_call(answer, text=text, size=len(messages))
            )
        results = _read_results(answer)
        return {
            number: _read_result(results.get(message.to), text=text)
            for number, message in messages.items()
        }

    def _write(self, messages: Sequence[OutgoingSms], text: str) -> bytes:
        options: dict[str, Any] = {"enableDeliveryReport": True}
        if len(messages) == 1:
            # Comes back in the report. It is one for the whole call, so it can name only one.
            options["tag"] = str(messages[0].provider_uid)
        now = datetime.now(UTC)
        content = {
            "from": self._sender,
            "smsRecipients": [
                {
                    "to": message.to,
                    "repeatabilityRequestId": str(message.provider_uid),
                    "repeatabilityFirstSent": format_datetime(
                        (message.first_sent_at or now).astimezone(UTC), usegmt=True
                    ),
                }
                for message in messages
            ],
            "message": text,
            "smsSendOptions": options,
        }
        return json.dumps(content, ensure_ascii=False).encode()


def _group(messages: Sequence[OutgoingSms]) -> list[list[int]]:
    """Return the places of the messages that may share a call: one text, each number once."""
    groups: list[tuple[str, set[str], list[int]]] = []
    open_groups: dict[str, int] = {}
    for number, message in enumerate(messages):
        place = open_groups.get(message.text)
        if (
            place is None
            or message.to in groups[place][1]
            or len(groups[place][2]) == MOST_RECIPIENTS
        ):
            place = open_groups[message.text] = len(groups)
            groups.append((message.text, set(), []))
        groups[place][1].add(message.to)
        groups[place][2].append(number)
    return [numbers for _, _, numbers in groups]


def _read_refused_call(answer: HttpAnswer, *, text: str, size: int) -> SendOutcome:
    try:
        error = answer.json()["error"]
        words = (str(error["code"]), error.get("message"))
    except (AnswerUnreadable, AttributeError, LookupError, TypeError):
        words = ("", None)
    outcome = read_refusal(
        answer.status,
        reason=make_reason(f"HTTP {answer.status}", *words, hidden=[text]),
        is_azures=bool(words[0]),
        retry_after=answer.headers.get("retry-after"),
    )
    # One mistake refuses the whole call; whose it was is not said.
    innocent = size > 1 and answer.status == HTTPStatus.BAD_REQUEST
    return replace(outcome, elsewhere=True) if innocent else outcome


def _read_results(answer: HttpAnswer) -> dict[str, Mapping[str, Any]]:
    """Return what is said of each number; nothing where the answer cannot be read."""
    try:
        return {str(result["to"]): result for result in answer.json()["value"]}
    except (AnswerUnreadable, LookupError, TypeError):
        return {}


def _read_result(result: Mapping[str, Any] | None, *, text: str) -> SendOutcome:
    if result is None:
        return SendOutcome.unknown("Azure took the call and says nothing about this number.")
    status = result.get("httpStatusCode")
    if result.get("successful") is True and result.get("messageId"):
        return SendOutcome.accepted(provider_ref=str(result["messageId"]))
    if not isinstance(status, int) or status < HTTPStatus.BAD_REQUEST:
        return SendOutcome.unknown("Azure neither took nor refused it.")
    reason = make_reason(f"HTTP {status}", result.get("errorMessage"), hidden=[text])
    return read_refusal(status, reason=reason, is_azures=True)
