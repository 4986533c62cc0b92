"""Pretend Money: no real company, the simplest one that has every trouble of the real ones."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from ntc_payments.simulator.companies.base import Company
from ntc_payments.simulator.exchange import Answer, Refused, Request, Route, read_object
from ntc_payments.simulator.store import Callback, Draft, DuplicateReference, Movement

__all__ = ["PretendMoney", "sign"]

#: Whole shillings, as mobile money has them.
MINIMUM_AMOUNT, MAXIMUM_AMOUNT = 100, 5_000_000

_REFERENCE = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
_PHONE = re.compile(r"255[67][0-9]{8}", re.ASCII)


def sign(secret: str, *, timestamp: str, body: bytes) -> str:
    """Return the lower-case hex HMAC-SHA256 over `timestamp.body`."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class PretendMoney(Company):
    """Mobile pushes in whole shillings; see docs/providers/simulator.md."""

    name: ClassVar[str] = "simulator"
    prefix: ClassVar[str] = ""
    keys: ClassVar[Mapping[str, str]] = {
        "SIMULATOR_API_KEY": "api_key",
        "SIMULATOR_WEBHOOK_SECRET": "webhook_secret",
    }

    is_told_callback_url: ClassVar[bool] = True

    def routes(self) -> Sequence[Route]:
        one = r"/v1/collections/(?P<reference>[^/]+)"
        return (
            Route("POST", r"/v1/collections", "start", self.start),
            Route("GET", one, "query", self.read),
            Route("POST", f"{one}/cancel", "cancel", self.cancel),
        )

    def start(self, request: Request) -> Answer:
        """Put a prompt on a phone."""
        self._require_key(request)
        order = _read_order(request)
        try:
            movement = self.store.add(order)
        except DuplicateReference:
            raise _refusal(
                HTTPStatus.CONFLICT, "duplicate_reference", "This reference was used before."
            ) from None
        return Answer(status=HTTPStatus.CREATED, body=_wire(movement))

    def read(self, request: Request, *, reference: str) -> Answer:
        """Tell what became of a collection."""
        self._require_key(request)
        return Answer(body=_wire(self._get(reference)))

    def cancel(self, request: Request, *, reference: str) -> Answer:
        """Take a prompt off the phone."""
        self._require_key(request)
        canceled = self._end(self._get(reference), "CANCELED")
        if canceled is None:
            raise _refusal(HTTPStatus.CONFLICT, "not_waiting", "This prompt has ended.")
        return Answer(body=_wire(canceled))

    def tell(self, movement: Movement) -> Sequence[Draft]:
        if not movement.callback_url:
            return ()
        event_id = str(uuid.uuid4())
        event = {
            "id": event_id,
            "type": f"collection.{movement.status.lower()}",
            "created_at": movement.updated_at,
            "data": _wire(movement),
        }
        body = json.dumps(event, separators=(",", ":"))
        return (Draft(url=movement.callback_url, body=body, event_id=event_id),)

    def callback_headers(self, callback: Callback) -> dict[str, str]:
        timestamp = str(int(time.time()))
        body = callback.body.encode()
        return {
            "X-Simulator-Timestamp": timestamp,
            "X-Simulator-Signature": sign(
                self.secrets["webhook_secret"], timestamp=timestamp, body=body
            ),
        }

    def internal_error(self) -> Any:
        return {"code": "internal", "message": "Something broke."}

    def lie(self, answer: Answer) -> Answer:
        return Answer(body={**answer.body, "status": "DECLINED"})

    def not_found(self) -> Answer:
        return _unknown().answer

    def _get(self, reference: str) -> Movement:
        movement = self.store.find(company=self.name, kind="collection", reference=reference)
        if movement is None:
            raise _unknown()
        return movement

    def _require_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        expected = f"Bearer {self.secrets['api_key']}"
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise _refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", "The API key is not valid.")


def _wire(movement: Movement) -> dict[str, object]:
    return {
        "reference": movement.reference,
        "transaction_id": movement.company_ref,
        "amount": movement.amount_minor // 100,
        "currency": movement.currency,
        "phone": movement.phone,
        "status": movement.status,
    }


def _read_order(request: Request) -> Movement:
    order = read_object(
        request,
        refuse=lambda sentence: _refusal(HTTPStatus.BAD_REQUEST, "invalid_body", sentence),
    )
    reference, amount = order.get("reference"), order.get("amount")
    currency, phone = order.get("currency"), order.get("phone")
    callback_url = order.get("callback_url", "")
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise _invalid("reference", "1 to 20 letters and digits")
    if currency != "TZS":
        raise _invalid("currency", "TZS")
    is_whole = isinstance(amount, int) and not isinstance(amount, bool)
    if not is_whole or not MINIMUM_AMOUNT <= amount <= MAXIMUM_AMOUNT:  # type: ignore[operator]  # is_whole
        raise _invalid("amount", f"whole shillings from {MINIMUM_AMOUNT} to {MAXIMUM_AMOUNT}")
    if not isinstance(phone, str) or not _PHONE.fullmatch(phone):
        raise _invalid("phone", "a Tanzanian mobile number as 255 and 9 digits")
    if not isinstance(callback_url, str) or not re.match(r"(https?://|$)", callback_url):
        raise _invalid("callback_url", "an http or https URL, or nothing")
    return Movement(
        company=PretendMoney.name,
        kind="collection",
        reference=reference,
        company_ref=f"SIM{secrets.token_hex(6).upper()}",
        amount_minor=int(amount) * 100,  # type: ignore[arg-type]  # is_whole
        currency="TZS",
        phone=phone,
        description=str(order.get("description", ""))[:100],
        callback_url=callback_url,
    )


def _unknown() -> Refused:
    return _refusal(HTTPStatus.NOT_FOUND, "not_found", "No collection has this reference.")


def _invalid(name: str, expected: str) -> Refused:
    return _refusal(HTTPStatus.BAD_REQUEST, f"invalid_{name}", f"{name} must be {expected}.")


def _refusal(status: int, code: str, message: str) -> Refused:
    return Refused(status, {"code": code, "message": message})
