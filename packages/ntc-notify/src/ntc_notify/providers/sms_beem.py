"""SMS over Beem, for Tanzania and beyond.

Beem knows no idempotency key: whatever is unclear after the request left is unknown, and
nothing is sent twice from here. What the answers mean:

| Case | Outcome |
| --- | --- |
| not reachable, 429 | retry |
| code 100 and `valid` at least 1 | accepted |
| code 100 and `valid` 0, codes 101, 109, 115 | refused: the number or the text |
| no credit, keys, sender, a request that Beem does not take | refused, another provider may |
| 5xx, code 103, another code or none, no JSON, silence | unknown |

Source: docs/providers/beem-sms.md; what is guessed there is listed under "Guesses".
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar, Literal
from uuid import UUID

from ntc_core.http import AnswerUnreadable, HttpAnswer, HttpClient, HttpFailure, NotSent
from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookAck,
    WebhookRequest,
)

from ntc_notify.providers.base import LONGEST_CALL_SECONDS, SmsProvider
from ntc_notify.providers.beem import (
    BeemRefused,
    load_object,
    make_client,
    read_code,
    read_object,
    read_whole_number,
    to_dest_addr,
)
from ntc_notify.providers.reasons import make_reason, read_retry_after
from ntc_notify.segments import measure_sms
from ntc_notify.types import (
    Balance,
    Capabilities,
    MessageState,
    Outcome,
    OutgoingSms,
    Receipt,
    SendOutcome,
)

__all__ = ["BATCH_SIZE", "ERRORS", "BeemSmsProvider", "SenderName"]

RecipientIds = Literal["numbers", "uids"]

log = logging.getLogger("ntc_notify")

BATCH_SIZE = 1000
ACCEPTED = 100
TIMEOUT_AT_BEEM = 103
SCHEDULE_FORMAT = "%Y-%m-%d %H:%M"
PAGE_SIZE = 100
MOST_PAGES = 50
LONGEST_SENDER_SAMPLE = 500
BALANCE_UNIT = "SMS credits"
_RECIPIENT_IDS = ("numbers", "uids")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
_SENDER_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._&'-]{1,11}|[1-9][0-9]{4,14}", re.ASCII)

#: Beem's code -> our word for it. 100 and 103 are not in it: the one is no error, and after
#: the other nobody knows. Codes below 109 from the old list, from 109 on from the new one.
ERRORS: Mapping[int, str] = {
    101: "invalid_recipient",
    102: "insufficient_balance",
    104: "invalid_request",
    105: "configuration",
    106: "configuration",
    107: "authentication",
    108: "authentication",
    109: "invalid_message",
    110: "invalid_message",
    111: "invalid_sender",
    112: "invalid_schedule",
    113: "invalid_request",
    114: "too_many_recipients",
    115: "invalid_recipient",
    116: "invalid_request",
    117: "invalid_schedule",
    118: "invalid_request",
    119: "invalid_request",
    120: "authentication",
    121: "invalid_sender",
    122: "conflict",
    123: "not_found",
    127: "conflict",
}
#: About this person or this text: no other provider is asked. 110 is not among them, for
#: another provider may well take characters that Beem does not.
_ABOUT_THE_MESSAGE = frozenset({101, 109, 115})
_ABOUT_THE_ACCOUNT = frozenset(
    {"insufficient_balance", "configuration", "authentication", "invalid_sender"}
)
_STATES: Mapping[str, MessageState] = {
    "PENDING": MessageState.ACCEPTED,
    "RETRY": MessageState.DEFERRED,
    "DELIVERED": MessageState.DELIVERED,
    "UNDELIVERED": MessageState.FAILED,
    "FAILED": MessageState.FAILED,
    # Beem had it: not our EXPIRED, which means that it was never sent.
    "EXPIRED": MessageState.FAILED,
    "REJECTED": MessageState.FAILED,
}


@dataclass(frozen=True, kw_only=True)
class SenderName:
    """A sender name of the account. `status` in Beem's words: active, inactive, pending."""

    id: str
    name: str
    status: str
    sample: str = ""


@dataclass(frozen=True, kw_only=True)
class _Numbered:
    """A message: its place in the batch, its id, and its number as Beem writes it."""

    place: int
    uid: UUID
    dest_addr: str


class BeemSmsProvider(SmsProvider):
    """Hands SMS to Beem: one request per call of `send()`, one per text in a batch."""

    name: ClassVar[str] = "beem"

    def __init__(
        self,
        *,
        api_key: str,
        secret_key: str,
        sender_id: str,
        webhook_secret: str = "",
        sms_base_url: str = "https://apisms.beem.africa",
        dlr_base_url: str = "https://dlrapi.beem.africa",
        ucs2_encoding: int = 8,
        recipient_ids: RecipientIds = "numbers",
        calls_per_second: float | None = 10.0,
        timeout_seconds: float = 30.0,
    ) -> None:
        """Args:
        sender_id: a registered, active sender name, or a number without a plus.
        webhook_secret: the end of the path at which Beem reports deliveries; it signs
            nothing. Empty: its reports are refused, and polling alone tells.
        ucs2_encoding: Beem's number for texts beyond GSM. Sources disagree; 8 is likely.
        recipient_ids: what names a recipient in a request and comes back in its report:
            "numbers" from 1, or "uids", our own ids. With "uids" a report finds its message
            also where Beem's answer was lost.
        calls_per_second: what this account may do. Beem publishes no limit.
        timeout_seconds: for one call, or for a whole batch.
        """
        if not _SENDER_NAME.fullmatch(sender_id):
            raise ValueError(
                "sender_id must be a registered name of at most 11 characters with a letter in "
                "it, or a number in international form without a plus."
            )
        if recipient_ids not in _RECIPIENT_IDS:
            raise ValueError(f"recipient_ids must be one of {', '.join(_RECIPIENT_IDS)}.")
        if webhook_secret and not re.fullmatch(r"[A-Za-z0-9_-]+", webhook_secret, re.ASCII):
            raise ValueError("webhook_secret may have letters, digits, '-' and '_' only.")
        if calls_per_second is not None and calls_per_second <= 0:
            raise ValueError("calls_per_second must be above 0, or None.")
        if not 0 < timeout_seconds <= LONGEST_CALL_SECONDS:
            raise ValueError(f"timeout_seconds must be above 0, at most {LONGEST_CALL_SECONDS:g}.")
        self.timeout_seconds = timeout_seconds
        self.capabilities = Capabilities(
            batch_size=BATCH_SIZE,
            can_query=True,
            can_tell_balance=True,
            sends_receipts=bool(webhook_secret),
            calls_per_second=calls_per_second,
        )
        self._seconds_between = 1 / calls_per_second if calls_per_second else 0.0
        self._sender_id = sender_id
        self._webhook_secret = webhook_secret
        self._ucs2_encoding = ucs2_encoding
        self._recipient_ids = recipient_ids
        options: Any = {
            "api_key": api_key,
            "secret_key": secret_key,
            "timeout_seconds": timeout_seconds,
        }
        self._sms = make_client(sms_base_url, **options)
        self._reports = make_client(dlr_base_url, **options)

    # What leaves.

    def send(self, message: OutgoingSms, /) -> SendOutcome:
        """Send one SMS now, in a request of its own."""
        return self.send_batch([message])[0]

    def send_batch(
        self, messages: Sequence[OutgoingSms], /, *, send_at: datetime | None = None
    ) -> list[SendOutcome]:
        """Send up to 1000 SMS, now or later; one answer each, in their order.

        Beem takes one text per request, so each text is one request; a number that occurs
        twice with one text waits for a second, for Beem would drop it. The deadline is over
        all of them. After the first that is not accepted the rest stay here, to be tried
        later.

        Args:
            send_at: an aware time, in a later minute than now; Beem cuts the seconds off.

        Raises:
            ValueError: more than 1000, or a time that is naive or not ahead of us.
        """
        if len(messages) > BATCH_SIZE:
            raise ValueError(f"Beem takes at most {BATCH_SIZE} messages, not {len(messages)}.")
        schedule_time = "" if send_at is None else format_schedule_time(send_at)
        outcomes, numbered = _check(messages)
        deadline = time.monotonic() + self.timeout_seconds
        client, stopped, next_at = self._sms, "", time.monotonic()
        for text, group in _requests(numbered):
            if stopped:
                outcomes.update((one.place, SendOutcome.retry(stopped)) for one in group)
                continue
            # All of this is one turn to those who share the rate, so it is kept to within.
            time.sleep(max(0.0, next_at - time.monotonic()))
            next_at += self._seconds_between
            body = self._make_body(text, group, schedule_time)
            result = _send_request(client, body, wanted=len(group))
            outcomes.update((one.place, result) for one in group)
            next_at = max(next_at, time.monotonic())
            stopped = _why_stop(result, seconds_left=deadline - next_at)
            # A copy, for this one is shared by threads: it gets what is left.
            client = copy.copy(self._sms)
            client.total_timeout_seconds = deadline - next_at
        return [outcomes[place] for place in range(len(messages))]

    def _make_body(
        self, text: str, group: Sequence[_Numbered], schedule_time: str
    ) -> dict[str, Any]:
        is_gsm = measure_sms(text).alphabet == "gsm7"
        return {
            "source_addr": self._sender_id,
            "schedule_time": schedule_time,
            "encoding": 0 if is_gsm else self._ucs2_encoding,
            "message": text,
            "recipients": [
                {
                    "recipient_id": number if self._recipient_ids == "numbers" else str(one.uid),
                    "dest_addr": one.dest_addr,
                }
                for number, one in enumerate(group, start=1)
            ],
        }

    # What Beem tells us.

    def open_webhook(self, request: WebhookRequest, /) -> VerifiedWebhook:
        """Compare the secret end of the path: Beem signs nothing.

        Raises:
            SignatureInvalid: the path has another end, or no webhook_secret is set.
            PayloadUnreadable: it is no delivery report.
        """
        slug = request.path.rstrip("/").rpartition("/")[2]
        given = slug.partition("-")[2].encode()
        expected = self._webhook_secret.encode()
        if not expected or not hmac.compare_digest(given, expected):
            raise SignatureInvalid("Beem: the path does not end with the webhook_secret.")
        report = _Report.read(load_object(request.body))
        # One report per number of a request; the number itself is not for a key in a row.
        which = report.recipient_id or hashlib.sha256(report.dest_addr.encode()).hexdigest()[:16]
        ack = {"request_id": report.raw_request_id, "successful": "true"}
        return VerifiedWebhook(
            dedupe_key=f"dlr:{report.request_id}:{which}:{report.status}",
            event_type=f"sms.{report.status.lower()}",
            ack=WebhookAck(body=json.dumps(ack, separators=(",", ":")).encode()),
        )

    def read_receipts(self, body: bytes, /) -> list[Receipt]:
        """Read a delivery report; a status word that we do not know says nothing."""
        receipt = _Report.read(load_object(body)).receipt()
        return [] if receipt is None else [receipt]

    def query(
        self,
        *,
        provider_ref: str,
        provider_uid: UUID,  # noqa: ARG002 - Beem never learns it
        address: str,
    ) -> Receipt | None:
        """Ask what became of a message. Before five minutes are over Beem hardly knows.

        None also where Beem could not be asked: ask again later.
        """
        if not provider_ref:
            return None
        try:
            dest_addr = to_dest_addr(address)
            answer = self._reports.request(
                "GET",
                "/public/v1/delivery-reports",
                params={"dest_addr": dest_addr, "request_id": provider_ref},
            )
            entries = _entries(answer)
        except (HttpFailure, ValueError) as error:
            extra = {"provider": self.name, "reason": make_reason(error)}
            log.warning("provider.query_failed", extra=extra)
            return None
        for entry in entries:
            try:
                report = _Report.read({"request_id": provider_ref, **entry})
            except PayloadUnreadable:
                continue
            if (report.dest_addr, report.request_id) == (dest_addr, provider_ref):
                return report.receipt()
        return None

    # The account.

    def balance(self) -> Balance:
        """Return the SMS credits that are left.

        Raises:
            HttpFailure, AnswerUnreadable: nothing was learned.
            BeemRefused: the keys are wrong.
        """
        body = self._ask("GET", "/public/v1/vendors/balance")
        data = body.get("data")
        value = data.get("credit_balance") if isinstance(data, dict) else None
        is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
        if not is_number or not _NUMBER.fullmatch(str(value)):
            raise AnswerUnreadable("Beem: the balance is not a number.")
        return Balance(amount=Decimal(str(value)), unit=BALANCE_UNIT)

    def list_sender_names(self) -> list[SenderName]:
        """Return every sender name of the account, whatever its status. Raises as `balance()`."""
        names: list[SenderName] = []
        for page in range(1, MOST_PAGES + 1):
            body = self._ask(
                "GET", "/public/v1/sender-names", params={"page": page, "limit": PAGE_SIZE}
            )
            entries = body.get("data")
            if not isinstance(entries, list):
                raise AnswerUnreadable("Beem: the answer has no list of sender names.")
            names += [_sender_name(entry) for entry in entries if isinstance(entry, dict)]
            pagination = body.get("pagination")
            pages = pagination.get("totalPages") if isinstance(pagination, dict) else None
            if not entries or page >= (read_whole_number(pages) or 1):
                break
        return names

    def request_sender_name(self, name: str, *, sample: str) -> None:
        """Ask for a new sender name; people at Beem decide. Raises as `balance()`.

        Args:
            sample: a message that would bear it.

        Raises:
            ValueError: a name that no network takes.
        """
        if not _SENDER_NAME.fullmatch(name) or not 0 < len(sample) <= LONGEST_SENDER_SAMPLE:
            raise ValueError("A sender name has at most 11 characters, and needs a sample text.")
        self._ask(
            "POST", "/public/v1/sender-names", json={"senderid": name, "sample_content": sample}
        )

    def _ask(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        answer = self._sms.request(method, path, **parts)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise AnswerUnreadable(f"Beem: HTTP {answer.status} is no answer.")
        body = read_object(answer)
        code = read_code(body)
        if code is not None and code in ERRORS:
            raise BeemRefused(ERRORS[code], code=code)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise AnswerUnreadable(f"Beem: HTTP {answer.status} without a known code.")
        return body


def format_schedule_time(moment: datetime) -> str:
    """Return the minute in UTC, as Beem wants it; the seconds are cut off, not rounded.

    Raises:
        ValueError: the time is naive, or its minute has begun.
    """
    if moment.tzinfo is None:
        raise ValueError("A time for sending needs a time zone, such as Africa/Dar_es_Salaam.")
    minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
    if minute <= datetime.now(UTC):
        raise ValueError("A time for sending must be at least one minute ahead.")
    return minute.strftime(SCHEDULE_FORMAT)


def _check(
    messages: Sequence[OutgoingSms],
) -> tuple[dict[int, SendOutcome], list[tuple[str, _Numbered]]]:
    """Return what is refused here, by place, and the rest with their numbers."""
    refused: dict[int, SendOutcome] = {}
    numbered: list[tuple[str, _Numbered]] = []
    for place, message in enumerate(messages):
        try:
            dest_addr = to_dest_addr(message.to)
        except ValueError as error:
            refused[place] = SendOutcome.refused(str(error))
            continue
        if message.text.strip():
            one = _Numbered(place=place, uid=message.provider_uid, dest_addr=dest_addr)
            numbered.append((message.text, one))
        else:
            refused[place] = SendOutcome.refused("The message is empty.")
    return refused, numbered


def _requests(
    numbered: Sequence[tuple[str, _Numbered]],
) -> Iterator[tuple[str, list[_Numbered]]]:
    """Yield each text with its numbers; no number twice in one request."""
    groups: dict[tuple[str, int], list[_Numbered]] = {}
    seen: dict[tuple[str, str], int] = {}
    for text, one in numbered:
        turn = seen.get((text, one.dest_addr), 0)
        seen[text, one.dest_addr] = turn + 1
        groups.setdefault((text, turn), []).append(one)
    for (text, _), group in groups.items():
        yield text, group


def _send_request(client: HttpClient, body: Mapping[str, Any], *, wanted: int) -> SendOutcome:
    """Make one request, once, and say what it means for each of its numbers."""
    try:
        answer = client.request("POST", "/v1/send", json=body)
    except NotSent as error:
        return SendOutcome.retry(make_reason(error))
    except HttpFailure as error:
        return SendOutcome.unknown(make_reason(error))
    try:
        return _understand(answer, wanted=wanted)
    except AnswerUnreadable as error:
        return SendOutcome.unknown(make_reason("Beem:", error))


def _why_stop(result: SendOutcome, *, seconds_left: float) -> str:
    """Return why the rest of a batch stays here, or an empty text."""
    about_the_message = result.outcome is Outcome.REFUSED and not result.elsewhere
    if not result.provider_ref and not about_the_message:
        return "Not sent yet: an earlier request of the same batch did not go well."
    if seconds_left <= 0:
        return "Not sent yet: the time for this batch was over."
    return ""


def _understand(answer: HttpAnswer, *, wanted: int) -> SendOutcome:
    """Return what an answer means for each of the `wanted` numbers of the request.

    Raises:
        AnswerUnreadable: nobody can tell.
    """
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = read_retry_after(answer.headers.get("retry-after"))
        return SendOutcome.retry("Beem: too many requests.", after_seconds=wait)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise AnswerUnreadable(f"HTTP {answer.status} may have been sent.")
    body = read_object(answer)
    code = read_code(body)
    is_success = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
    if code == ACCEPTED and is_success and body.get("successful", True) is not False:
        return _understand_counts(body, wanted=wanted)
    if code is None or code not in ERRORS:
        raise AnswerUnreadable(f"code {code} (HTTP {answer.status}) may have been sent.")
    error = ERRORS[code]
    # Our word, not Beem's sentence: that may repeat the number or the text.
    reason = f"Beem: {code} {error}."
    if error in _ABOUT_THE_ACCOUNT:
        log.error("provider.account_refused", extra={"provider": "beem", "error": error})
    if wanted > 1 and code in _ABOUT_THE_MESSAGE:
        # One bad number refuses a whole batch, and Beem does not say which: alone, each
        # gets an answer of its own.
        return SendOutcome.retry(reason)
    return SendOutcome.refused(reason, elsewhere=code not in _ABOUT_THE_MESSAGE)


def _understand_counts(body: Mapping[str, Any], *, wanted: int) -> SendOutcome:
    """Read how many numbers Beem took. Which ones it does not tell."""
    reference = body.get("request_id")
    provider_ref = "" if isinstance(reference, bool) else _text(reference)
    valid = read_whole_number(body.get("valid"))
    if valid is None or not provider_ref:
        raise AnswerUnreadable("code 100 without request_id and count.")
    if valid == 0:
        return SendOutcome.refused("Beem: 100, but no number was valid.")
    if valid >= wanted:
        return SendOutcome.accepted(provider_ref=provider_ref)
    # Held, under Beem's number of the request: its delivery reports tell who got it.
    return SendOutcome(
        outcome=Outcome.UNKNOWN,
        provider_ref=provider_ref,
        reason=f"Beem took {valid} of {wanted} numbers and does not say which.",
    )


@dataclass(frozen=True, kw_only=True)
class _Report:
    """One delivery report, from a callback or an answer."""

    request_id: str
    raw_request_id: int | str
    recipient_id: str
    dest_addr: str
    status: str

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> _Report:
        """Read a report, in either spelling of the status.

        Raises:
            PayloadUnreadable: it is none.
        """
        status = values.get("Status", values.get("status"))
        dest_addr = _text(values.get("dest_addr")).removeprefix("+")
        request_id = _text(values.get("request_id"))
        if not isinstance(status, str) or not status.strip() or not request_id:
            raise PayloadUnreadable("Beem: a delivery report has a request_id and a status.")
        if not dest_addr.isascii() or not dest_addr.isdecimal():
            raise PayloadUnreadable("Beem: a delivery report has a dest_addr.")
        return cls(
            request_id=request_id,
            raw_request_id=values["request_id"],
            recipient_id=_text(values.get("recipient_id")),
            dest_addr=dest_addr,
            status=make_reason(status).upper()[:40],
        )

    def receipt(self) -> Receipt | None:
        """Return what it says, or None where its word is unknown to us."""
        state = _STATES.get(self.status)
        if state is None:
            log.warning("receipt.unknown_status", extra={"provider": "beem"})
            return None
        failed = state is MessageState.FAILED
        return Receipt(
            state=state,
            provider_ref=self.request_id,
            provider_uid=_uid(self.recipient_id),
            address=f"+{self.dest_addr}",
            reason=f"Beem: {self.status}" if failed else "",
        )


def _entries(answer: HttpAnswer) -> list[dict[str, Any]]:
    """Return the reports of an answer: a list, a single object, or either under `data`.

    Raises:
        AnswerUnreadable: it is no answer to the question.
    """
    if answer.status != HTTPStatus.OK:
        raise AnswerUnreadable(f"HTTP {answer.status} to a question.")
    body = answer.json()
    if isinstance(body, dict) and isinstance(body.get("data"), list | dict):
        body = body["data"]
    entries = body if isinstance(body, list) else [body]
    return [entry for entry in entries if isinstance(entry, dict)]


def _sender_name(entry: Mapping[str, Any]) -> SenderName:
    return SenderName(
        id=_text(entry.get("id")),
        name=_text(entry.get("senderid", entry.get("name"))),
        status=_text(entry.get("status")).lower(),
        sample=_text(entry.get("sample_content")),
    )


def _uid(text: str) -> UUID | None:
    """Return our own id, where that is what came back."""
    try:
        uid = UUID(text)
    except ValueError:
        return None
    return uid if str(uid) == text.lower() else None


def _text(value: object) -> str:
    """Return a text or a number as text; anything else is no id."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    return str(value).strip()[:64]
