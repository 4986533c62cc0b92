"""What Beem does with a call. Knows nothing of the provider.

Source: the facts in docs/providers/beem-sms.md; where sources disagree the dial decides.
Numbers have a story of their own, by their last two digits: see `STORIES`.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from ntc_notify.simulator.alphabet import count_segments, is_gsm
from ntc_notify.simulator.exchange import Answer, Refused, Request, Route
from ntc_notify.simulator.faults import FaultDial
from ntc_notify.simulator.store import Pin, Sms, Store

__all__ = ["FINAL", "STORIES", "Account", "Beem"]

MOST_RECIPIENTS = 1000
UCS2 = 8
OTP_APPS = (1,)
OTP_TRIES = 3
OTP_SECONDS = 600.0
RETRY_SECONDS = 1.0
#: Last two digits of a number -> what becomes of a message to it, one status after another.
#: Anything else is delivered; 90 stays pending for ever.
STORIES: Mapping[str, tuple[str, ...]] = {
    "90": (),
    "91": ("UNDELIVERED",),
    "92": ("EXPIRED",),
    "93": ("REJECTED",),
    "94": ("FAILED",),
    "95": ("RETRY", "DELIVERED"),
    "96": ("ROUTED", "DELIVERED"),
}
FINAL = frozenset({"DELIVERED", "UNDELIVERED", "EXPIRED", "REJECTED", "FAILED"})
_NUMBER = re.compile(r"255[67]\d{8}|(?!255)[1-9]\d{7,14}", re.ASCII)
_SENDER = re.compile(r"[ -~]{1,11}|[1-9]\d{4,14}", re.ASCII)
_SCHEDULE = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the merchant was given."""

    api_key: str
    secret_key: str
    sender_name: str
    credits: int


class Beem:
    """The company."""

    def __init__(
        self, store: Store, *, account: Account, dial: FaultDial, delivery_seconds: float
    ) -> None:
        self.store = store
        self.dial = dial
        self._account = account
        self._delivery_seconds = delivery_seconds
        if store.recall("credits") is None:
            store.keep("credits", str(account.credits))
        store.add_sender(account.sender_name, status="active", sample="Habari")

    def routes(self) -> Sequence[Route]:
        """Return the paths; in the world each product has a host of its own."""
        return (
            Route("POST", "/v1/send", "send", self._send),
            Route("GET", "/public/v1/vendors/balance", "account", self._balance),
            Route("GET", "/public/v1/sender-names", "account", self._senders),
            Route("POST", "/public/v1/sender-names", "account", self._add_sender),
            Route("GET", "/public/v1/delivery-reports", "report", self._reports),
            Route("POST", "/v1/request", "otp_request", self._request_pin),
            Route("POST", "/v1/verify", "otp_verify", self._verify_pin),
        )

    # SMS.

    def _send(self, request: Request) -> Answer:
        self._require_keys(request)
        values = request.json()
        if values is None:
            raise self._refusal(113, "Invalid request format")
        text, encoding = self._text_and_encoding(values)
        sender = self._active_sender(values.get("source_addr"))
        due_at = self._due_at(values.get("schedule_time")) + self._delivery_seconds
        good, invalid, duplicates = self._sort_numbers(values.get("recipients"))
        if invalid and (not good or self.dial.faults.bad_number == "refuse_batch"):
            raise self._refusal(101, "Invalid phone number")
        segments = count_segments(text, as_ucs2=encoding == UCS2)
        request_id = self.store.take(
            good, sender=sender, text=text, segments=segments, due_at=due_at
        )
        if request_id is None:
            raise self._refusal(102, "Insufficient balance")
        return Answer(
            body={
                "successful": True,
                "request_id": request_id,
                "code": 100,
                "message": "Message Submitted Successfully",
                "valid": len(good),
                "invalid": invalid,
                "duplicates": duplicates,
            }
        )

    def _text_and_encoding(self, values: Mapping[str, Any]) -> tuple[str, int]:
        text, encoding = values.get("message"), values.get("encoding")
        if not isinstance(text, str) or not text.strip():
            raise self._refusal(109, "Invalid message")
        if isinstance(encoding, bool) or encoding not in {0, UCS2}:
            raise self._refusal(118, "Encoding is missing")
        if encoding == 0 and not is_gsm(text):
            raise self._refusal(110, "Characters not supported")
        return text, int(encoding)

    def _active_sender(self, name: object) -> str:
        if not isinstance(name, str) or not name:
            raise self._refusal(104, "Missing parameter source_addr")
        if not _SENDER.fullmatch(name):
            raise self._refusal(121, "Invalid sender format")
        active = [each["name"] for each in self.store.list_senders() if each["status"] == "active"]
        if name not in active:
            raise self._refusal(111, "Invalid Sender Id")
        return name

    def _due_at(self, schedule: object) -> float:
        """Return when a message leaves, in seconds since 1970."""
        if schedule is None or schedule == "":
            return time.time()
        try:
            moment = datetime.strptime(str(schedule), _SCHEDULE).replace(tzinfo=UTC)
        except ValueError:
            raise self._refusal(117, "Invalid schedule time format") from None
        if moment < datetime.now(UTC) - timedelta(minutes=1):
            raise self._refusal(112, "Schedule time is in the past")
        return moment.timestamp()

    def _sort_numbers(self, recipients: object) -> tuple[list[tuple[str, str]], int, int]:
        """Return the good ones, and how many are bad or there already."""
        if not isinstance(recipients, list) or not recipients:
            raise self._refusal(119, "Recipients missing")
        if len(recipients) > MOST_RECIPIENTS:
            raise self._refusal(114, "More than 1000 recipients")
        good: dict[str, str] = {}
        invalid = duplicates = 0
        seen: set[str] = set()
        for entry in (each if isinstance(each, dict) else {} for each in recipients):
            number, key = entry.get("dest_addr"), str(entry.get("recipient_id", ""))
            if not number:
                raise self._refusal(115, "Missing destination")
            if not key or key in seen:
                raise self._refusal(116, "Invalid reference id")
            seen.add(key)
            if not isinstance(number, str) or not _NUMBER.fullmatch(number):
                invalid += 1
            elif number in good:
                duplicates += 1
            else:
                good[number] = key
        return [(key, number) for number, key in good.items()], invalid, duplicates

    def _balance(self, request: Request) -> Answer:
        self._require_keys(request)
        return Answer(body={"data": {"credit_balance": int(self.store.recall("credits") or 0)}})

    def _senders(self, request: Request) -> Answer:
        self._require_keys(request)
        wanted = request.query.get("status", "")
        names = [
            {
                "id": str(number),
                "senderid": each["name"],
                "sample_content": each["sample"],
                "status": each["status"],
                "created": "2026-01-01T00:00:00Z",
            }
            for number, each in enumerate(self.store.list_senders(), start=1)
            if not wanted or each["status"] == wanted
        ]
        page, limit = (_positive(request.query.get(key), default) for key, default in _PAGES)
        return Answer(
            body={
                "data": names[(page - 1) * limit : page * limit],
                "pagination": {
                    "totalItems": len(names),
                    "currentPage": page,
                    "pageSize": limit,
                    "totalPages": max(1, -(-len(names) // limit)),
                },
            }
        )

    def _add_sender(self, request: Request) -> Answer:
        self._require_keys(request)
        values = request.json() or {}
        name, sample = values.get("senderid"), values.get("sample_content")
        if not name or not isinstance(sample, str) or not sample:
            raise self._refusal(104, "Missing parameter")
        if not isinstance(name, str) or not _SENDER.fullmatch(name):
            raise self._refusal(121, "Invalid sender format")
        if not self.store.add_sender(name, status="pending", sample=sample):
            raise self._refusal(122, "Sender already exists")
        return Answer(body={"data": {"senderid": name, "status": "pending"}})

    # Delivery reports.

    def _reports(self, request: Request) -> Answer:
        self._require_keys(request)
        number, request_id = request.query.get("dest_addr"), request.query.get("request_id", "")
        found = []
        if number and request_id.isdecimal():
            found = self.store.list_sms(request_id=int(request_id), dest_addr=number)
        entries = [
            {"dest_addr": sms.dest_addr, "status": sms.status, "request_id": str(sms.request_id)}
            for sms in found
        ]
        shape = self.dial.faults.report_shape
        if shape == "wrapped":
            return Answer(body={"data": entries})
        if shape == "object":
            return Answer(body=entries[0] if entries else {})
        return Answer(body=entries)

    def advance(self) -> list[tuple[Sms, str]]:
        """Move the messages whose time has come; return them with their new status."""
        moved = []
        for sms in self.store.list_due(limit=500):
            story = STORIES.get(sms.dest_addr[-2:], ("DELIVERED",))
            if not story:
                self.store.settle(sms.id, status=sms.status, due_at=time.time() + 3600)
                continue
            self.store.settle(sms.id, status=story[-1])
            moved += [(sms, status) for status in story]
        return moved

    def report_body(self, sms: Sms, status: str) -> dict[str, Any]:
        """Return what a callback says."""
        return {
            "request_id": sms.request_id,
            "recipient_id": sms.recipient_id,
            "dest_addr": sms.dest_addr,
            self.dial.faults.spelling: status,
        }

    # OTP.

    def _request_pin(self, request: Request) -> Answer:
        self._require_keys(request, otp=True)
        values = request.json() or {}
        number, app_id = values.get("msisdn"), values.get("appId")
        if not number:
            raise _otp_refusal(103, "Phone number is missing")
        if app_id is None:
            raise _otp_refusal(104, "Application id is missing")
        if not isinstance(number, str) or not _NUMBER.fullmatch(number):
            raise _otp_refusal(102, "Invalid phone number")
        if str(app_id) not in map(str, OTP_APPS):
            raise _otp_refusal(106, "Application not found")
        pin = Pin(
            pin_id=str(uuid.uuid4()),
            app_id=int(app_id),
            msisdn=number,
            pin=f"{secrets.randbelow(1_000_000):06d}",
            sent_at=time.time(),
            tries=0,
            used=0,
        )
        self.store.add_pin(pin)
        return Answer(
            body={
                "data": {
                    "pinId": pin.pin_id,
                    "message": {"code": 100, "message": "SMS sent successfully"},
                }
            }
        )

    def _verify_pin(self, request: Request) -> Answer:
        self._require_keys(request, otp=True)
        values = request.json() or {}
        pin_id, given = values.get("pinId"), values.get("pin")
        if not isinstance(given, str) or not given:
            raise _otp_refusal(111, "Pin is missing")
        if not isinstance(pin_id, str) or not pin_id:
            raise _otp_refusal(112, "PinId is missing")
        found = self.store.list_pins(pin_id=pin_id)
        if not found:
            raise _otp_refusal(113, "PinId not found")
        [pin] = found
        if pin.used:
            raise _otp_refusal(118, "Pin already used")
        if time.time() - pin.sent_at > OTP_SECONDS:
            raise _otp_refusal(115, "Pin Timeout")
        if pin.tries >= OTP_TRIES:
            raise _otp_refusal(116, "Attempts exceeded")
        is_right = hmac.compare_digest(given.encode(), pin.pin.encode())
        self.store.try_pin(pin_id, used=is_right)
        if not is_right:
            raise _otp_refusal(114, "Invalid Pin")
        return Answer(body={"data": {"message": {"code": 117, "message": "Valid Pin"}}})

    # What all have in common.

    def busy(self) -> Answer:
        """Return the answer to one call too many."""
        return Answer(status=429, body={"message": "Too many"}, headers={"Retry-After": "1"})

    def timeout(self) -> Answer:
        """Return Beem's own word for not knowing."""
        return Answer(status=500, body={"code": 103, "message": "Network timeout"})

    def _require_keys(self, request: Request, *, otp: bool = False) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            pair = base64.b64decode(given, validate=True)
        except ValueError:
            pair = b""
        expected = f"{self._account.api_key}:{self._account.secret_key}".encode()
        if scheme != "Basic" or not hmac.compare_digest(pair, expected):
            if otp:
                raise _otp_refusal(110, "Invalid credentials", status=HTTPStatus.UNAUTHORIZED)
            raise self._refusal(
                120, "Invalid api_key and/or secret_id", status=HTTPStatus.UNAUTHORIZED
            )

    def _refusal(self, code: int, message: str, *, status: int = HTTPStatus.BAD_REQUEST) -> Refused:
        body = {"code": code, "message": message}
        return Refused(status, {"data": body} if self.dial.faults.error_shape == "nested" else body)


_PAGES = (("page", 1), ("limit", 10))


def _positive(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and int(text) > 0 else default


def _otp_refusal(code: int, message: str, *, status: int = HTTPStatus.FORBIDDEN) -> Refused:
    return Refused(status, {"data": {"message": {"code": code, "message": message}}})
