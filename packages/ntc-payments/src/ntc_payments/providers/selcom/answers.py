"""What Selcom's answers mean: its envelope, its codes and its words in ours.

Source: docs/providers/selcom.md, "Answers". Pure.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from ntc_core.http import AnswerUnreadable, HttpAnswer, NoAnswer
from ntc_core.money import InvalidMoney, Money
from ntc_core.webhooks.types import PayloadUnreadable

from ntc_payments.types import (
    LONGEST_PROVIDER_REF,
    Claim,
    FailureCode,
    Observation,
    StartOutcome,
    StartResult,
    StatementEntry,
    Subject,
    Trust,
)

__all__ = [
    "CURRENCY",
    "Reply",
    "Verdict",
    "claim_of_query",
    "classify",
    "failure_code_of",
    "learned_nothing",
    "observe_order",
    "order_claim",
    "read_money",
    "read_page_url",
    "read_statement_row",
    "read_text",
    "refusal",
]

log = logging.getLogger("ntc_payments")

CURRENCY = "TZS"
LONGEST_PAGE_URL = 2000

_RUNNING_CODES = {"111", "927", "001", "002", "003"}
_AMBIGUOUS_CODE = "999"
_NOT_FOUND_CODE = "404"
_DOOR_CODES = {"401", "403"}
# "Source IP not whitelisted", "API endpoint not enabled for the vendor".
_DOOR_MESSAGE = re.compile(r"\((4032|4035)\)")
# No code is documented for an id that was used before: these words ask what became of it.
_DUPLICATE = re.compile(r"duplicate|already", re.IGNORECASE)
_FAILED_WORDS = {"", "FAIL", "FAILED"}
_RUNNING_WORDS = {"INPROGRESS", "PENDING"}

_FAILURES: Mapping[str, FailureCode] = {
    "010": FailureCode.INVALID_REQUEST,
    "012": FailureCode.INVALID_REQUEST,
    "013": FailureCode.INVALID_REQUEST,
    "014": FailureCode.INVALID_REQUEST,
    "015": FailureCode.INVALID_REQUEST,
    "400": FailureCode.INVALID_REQUEST,
    "404": FailureCode.INVALID_REQUEST,
    "412": FailureCode.INVALID_REQUEST,
    "990": FailureCode.INSUFFICIENT_FUNDS,
}

# A status that is not listed means that the order is still on its way.
_ORDER_CLAIMS: Mapping[str, tuple[Claim, FailureCode | None]] = {
    "PENDING": (Claim.ACCEPTED, None),
    "INPROGRESS": (Claim.ACCEPTED, None),
    "COMPLETED": (Claim.SUCCESS, None),
    "COMPLETE": (Claim.SUCCESS, None),
    "REJECTED": (Claim.FAILURE, FailureCode.DECLINED),
    "FAILED": (Claim.FAILURE, FailureCode.OTHER),
    "FAIL": (Claim.FAILURE, FailureCode.OTHER),
    "CANCELLED": (Claim.FAILURE, FailureCode.CANCELED),
    "CANCELED": (Claim.FAILURE, FailureCode.CANCELED),
    "CANCEL": (Claim.FAILURE, FailureCode.CANCELED),
    "USERCANCELLED": (Claim.FAILURE, FailureCode.CANCELED),
    "USERCANCELED": (Claim.FAILURE, FailureCode.CANCELED),
    "EXPIRED": (Claim.FAILURE, FailureCode.TIMED_OUT),
}


class Verdict(Enum):
    """What an answer means, before the call it answers gives it a consequence."""

    DONE = auto()
    RUNNING = auto()
    UNCLEAR = auto()
    BUSY = auto()
    REFUSED = auto()
    NOT_FOUND = auto()
    #: Key, address or product is not allowed: nothing was done, and staff must act.
    DOOR = auto()


_QUERY_CLAIMS: Mapping[Verdict, Claim] = {
    Verdict.DONE: Claim.SUCCESS,
    Verdict.RUNNING: Claim.ACCEPTED,
    Verdict.REFUSED: Claim.FAILURE,
    Verdict.NOT_FOUND: Claim.NOT_FOUND,
}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Selcom's envelope."""

    verdict: Verdict
    code: str = ""
    message: str = ""
    reference: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    retry_after_seconds: float | None = None


def classify(answer: HttpAnswer) -> Reply:
    """Read the envelope.

    Raises:
        NoAnswer: a status that promises nothing, such as 5xx.
        AnswerUnreadable: no JSON, or no result code.
    """
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        try:
            body = answer.json()
        except AnswerUnreadable:
            body = None
        return Reply(verdict=Verdict.DOOR, **_read_envelope(body))
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = answer.headers.get("retry-after", "")
        seconds = float(wait) if wait.isascii() and wait.isdecimal() else None
        return Reply(verdict=Verdict.BUSY, code="429", retry_after_seconds=seconds)
    family = answer.status // 100
    if family not in {2, 4}:
        raise NoAnswer(f"Selcom: HTTP {answer.status} says nothing.")
    body = answer.json()
    reply = _read_envelope(body)
    if not reply["code"]:
        raise AnswerUnreadable("Selcom: the answer has no resultcode.")
    if len(reply["reference"]) > LONGEST_PROVIDER_REF or not reply["reference"].isprintable():
        raise AnswerUnreadable("Selcom: the reference is too long or has control characters.")
    word = f"{body.get('result') or ''}".strip().upper()
    verdict = _verdict(reply["code"], word, reply["message"])
    if verdict is Verdict.DONE and family != 2:  # noqa: PLR2004 - HTTP 2xx
        verdict = Verdict.UNCLEAR
    return Reply(verdict=verdict, **reply)


def _verdict(code: str, word: str, message: str) -> Verdict:  # noqa: PLR0911 - one line per row of the table
    if code in _DOOR_CODES:
        return Verdict.DOOR
    if code == _AMBIGUOUS_CODE:
        return Verdict.UNCLEAR
    if code in _RUNNING_CODES or word in _RUNNING_WORDS:
        return Verdict.RUNNING
    if code == "000":
        return Verdict.DONE if word in {"", "SUCCESS"} else Verdict.UNCLEAR
    if word not in _FAILED_WORDS:
        # A code and a word that nobody lists: not a refusal to rely on.
        return Verdict.UNCLEAR
    if _DOOR_MESSAGE.search(message):
        return Verdict.DOOR
    if code == _NOT_FOUND_CODE or "not found" in message.lower():
        return Verdict.NOT_FOUND
    return Verdict.REFUSED


def _read_envelope(body: object) -> dict[str, Any]:
    """Return what can be used of an envelope, whatever else it is."""
    fields = body if isinstance(body, dict) else {}
    texts = {
        ours: fields[theirs] if isinstance(fields.get(theirs), str) else ""
        for ours, theirs in (
            ("code", "resultcode"),
            ("message", "message"),
            ("reference", "reference"),
        )
    }
    data = fields.get("data")
    rows = data if isinstance(data, list) else [data]
    return {**texts, "rows": tuple(row for row in rows if isinstance(row, dict))}


def refusal(reply: Reply) -> StartOutcome:
    """Return the refusal of a call that moves money; what is none may have moved it."""
    if reply.verdict not in {Verdict.REFUSED, Verdict.NOT_FOUND, Verdict.DOOR}:
        raise learned_nothing(reply)
    if reply.verdict is Verdict.REFUSED and _DUPLICATE.search(reply.message):
        return StartOutcome(result=StartResult.DUPLICATE)
    return StartOutcome(
        result=StartResult.REFUSED,
        failure_code=failure_code_of(reply),
        failure_message=reply.message,
    )


def failure_code_of(reply: Reply) -> FailureCode:
    """Return why it was refused, in our words."""
    return _FAILURES.get(reply.code, FailureCode.PROVIDER_REFUSED)


def claim_of_query(reply: Reply) -> Claim:
    """Return what a status call says about a transid; unlike an order it has no status word.

    Raises:
        NoAnswer: it says nothing, 999 above all.
    """
    claim = _QUERY_CLAIMS.get(reply.verdict)
    if claim is None:
        raise learned_nothing(reply)
    return claim


def learned_nothing(reply: Reply) -> NoAnswer:
    """Return what to raise where an answer decides nothing."""
    return NoAnswer(f"Selcom: the result code {reply.code or 'none'} decides nothing here.")


def read_page_url(reply: Reply, *, schemes: Collection[str]) -> str:
    """Return the address of an order's page, which comes in base64 or plain.

    Raises:
        AnswerUnreadable: there is none, or it is not of one of the schemes.
    """
    text = read_text(reply.rows[0], "payment_gateway_url") if reply.rows else ""
    try:
        url = text if text.startswith("http") else base64.b64decode(text, validate=True).decode()
        parts = urlsplit(url)
    except ValueError as error:
        raise AnswerUnreadable("Selcom: payment_gateway_url is no address.") from error
    known = parts.scheme in schemes and parts.hostname
    if not known or not url.isprintable() or len(url) > LONGEST_PAGE_URL:
        raise AnswerUnreadable("Selcom: payment_gateway_url leads nowhere we send a payer.")
    return url


def observe_order(row: Mapping[str, Any], *, trust: Trust = Trust.STRONG) -> Observation:
    """Read an order's status, which has the same names in an answer and in a webhook."""
    claim, failure_code = order_claim(row)
    reference = row.get("reference")
    try:
        return Observation(
            reference=read_text(row, "order_id"),
            claim=claim,
            money=read_money(row.get("amount"), currency=row.get("currency")),
            # Of the payment; it is null until there is one.
            provider_ref=reference if isinstance(reference, str) else "",
            trust=trust,
            failure_code=failure_code,
        )
    except ValueError as error:
        raise AnswerUnreadable(f"{error}") from error


def order_claim(row: Mapping[str, Any]) -> tuple[Claim, FailureCode | None]:
    """Return what the status word of an order means; one we do not know is an alarm."""
    status = read_text(row, "payment_status").strip().upper()
    if status not in _ORDER_CLAIMS:
        log.error("payment.status_for_people", extra={"provider": "selcom", "status": status})
    return _ORDER_CLAIMS.get(status, (Claim.ACCEPTED, None))


def read_statement_row(row: Mapping[str, Any]) -> StatementEntry:
    """Read a paid order of list-orders."""
    order_id, money = read_text(row, "order_id"), read_money(row.get("amount"))
    # Assumed, not documented: East Africa Time.
    text = f"{read_text(row, 'creation_date')}+0300"
    try:
        made_at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S%z")
    except ValueError as error:
        raise AnswerUnreadable("Selcom: creation_date is no time.") from error
    if money is None:
        raise AnswerUnreadable("Selcom: a paid order has no amount.")
    return StatementEntry(
        line_key=order_id,
        subject=Subject.PAYMENT,
        reference=order_id,
        money=money,
        booked_at=made_at,
    )


def read_money(amount: object, *, currency: object = None) -> Money | None:
    """Read whole or decimal shillings. Without a currency they are what we asked for."""
    if amount is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, str | int):
        raise AnswerUnreadable("Selcom: the amount is neither text nor a whole number.")
    try:
        return Money.from_major(amount, f"{currency or CURRENCY}")
    except InvalidMoney as error:
        raise AnswerUnreadable(f"Selcom: {error}") from error


def read_text(values: Mapping[str, Any], name: str) -> str:
    """Return a text that must be there; a whole number is one too."""
    value = values.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise PayloadUnreadable(f"Selcom: {name} is missing.")
    return value
