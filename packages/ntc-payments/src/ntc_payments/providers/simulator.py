"""The pretend company of `ntc_payments.simulator`, for development and tests.

Source: docs/providers/simulator.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar

from ntc_core.http import AnswerUnreadable, HttpAnswer, HttpClient, NoAnswer
from ntc_core.money import InvalidMoney, Money
from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookRequest,
)

from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.bodies import load_event
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Capabilities,
    Claim,
    FailureCode,
    Limit,
    Observation,
    PaymentMethod,
    StartOutcome,
    StartResult,
)

__all__ = ["SimulatorProvider"]

CLOCK_TOLERANCE_SECONDS = 300

# A status that is not listed means that the payment is still on its way.
_CLAIMS: Mapping[str, tuple[Claim, FailureCode | None]] = {
    "PENDING": (Claim.ACCEPTED, None),
    "PAID": (Claim.SUCCESS, None),
    "DECLINED": (Claim.FAILURE, FailureCode.DECLINED),
    "EXPIRED": (Claim.FAILURE, FailureCode.TIMED_OUT),
    "CANCELED": (Claim.FAILURE, FailureCode.CANCELED),
}


class SimulatorProvider(PaymentProvider):
    """Mobile pushes in whole Tanzanian shillings."""

    name: ClassVar[str] = "simulator"
    title: ClassVar[str] = "Pretend Money"
    capabilities = Capabilities(
        methods=(PaymentMethod.MOBILE_PUSH,),
        currencies=("TZS",),
        limits={
            "TZS": Limit(
                minimum=Money.from_major(100, "TZS"), maximum=Money.from_major(5_000_000, "TZS")
            )
        },
        whole_unit_currencies=("TZS",),
        poll_visibility_seconds=30,
        can_cancel=True,
    )

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        webhook_secret: str,
        callback_url: str = "",
        total_timeout_seconds: float = 15.0,
    ) -> None:
        """Args:
        callback_url: where the company tells us what happened; empty: we only poll.
        total_timeout_seconds: for one call, whatever the company does.
        """
        self._secret = webhook_secret.encode()
        self._callback_url = callback_url
        self._client = HttpClient(
            base_url=base_url,
            total_timeout_seconds=total_timeout_seconds,
            headers={"Authorization": f"Bearer {api_key}"},
        )

    def start(self, request: AttemptRequest) -> StartOutcome:
        """Put a prompt on the payer's phone."""
        answer = self._client.request(
            "POST",
            "/v1/collections",
            json={
                "reference": request.reference,
                "amount": _whole_shillings(request.money),
                "currency": request.money.currency,
                "phone": request.phone_e164.removeprefix("+"),
                "description": request.description,
                "callback_url": self._callback_url,
            },
        )
        if answer.status == HTTPStatus.CREATED:
            body = _object(answer)
            return StartOutcome(
                result=StartResult.ACCEPTED, provider_ref=_text(body, "transaction_id")
            )
        if answer.status == HTTPStatus.CONFLICT:
            return StartOutcome(result=StartResult.DUPLICATE)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = answer.headers.get("retry-after", "")
            return StartOutcome(
                result=StartResult.TRY_LATER,
                retry_after_seconds=float(wait) if wait.isdecimal() else None,
            )
        if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}:
            body = _object(answer)
            invalid = _text(body, "code").startswith("invalid_")
            return StartOutcome(
                result=StartResult.REFUSED,
                failure_code=(
                    FailureCode.INVALID_REQUEST if invalid else FailureCode.PROVIDER_REFUSED
                ),
                failure_message=_text(body, "message"),
            )
        raise NoAnswer(f"Simulator: HTTP {answer.status} is not a documented answer.")

    def query(self, handle: CallHandle) -> list[Observation]:
        """Ask for the collection of that reference."""
        reference = handle.reference
        answer = self._client.request("GET", f"/v1/collections/{reference}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return [Observation(reference=reference, claim=Claim.NOT_FOUND)]
        if answer.status != HTTPStatus.OK:
            raise NoAnswer(f"Simulator: HTTP {answer.status} is not a documented answer.")
        observation = _observe(_object(answer))
        if observation.reference != reference:
            raise AnswerUnreadable("Simulator: it answered about another reference.")
        return [observation]

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Check the HMAC-SHA256 over `timestamp.body`, and that the time is about now."""
        timestamp = request.headers.get("x-simulator-timestamp", "")
        given = request.headers.get("x-simulator-signature", "")
        expected = hmac.new(
            self._secret, timestamp.encode() + b"." + request.body, hashlib.sha256
        ).hexdigest()
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise SignatureInvalid("Simulator: the signature does not match the body.")
        age = request.received_at.timestamp() - _unix_time(timestamp)
        if abs(age) > CLOCK_TOLERANCE_SECONDS:
            raise SignatureInvalid("Simulator: the time stamp is too far from now.")
        event = load_event(request.body, company="Simulator")
        return VerifiedWebhook(dedupe_key=_text(event, "id"), event_type=_text(event, "type"))

    def read_webhook(self, body: bytes) -> list[Observation]:
        """Read an event; types we do not know say nothing about a payment."""
        event = load_event(body, company="Simulator")
        if not _text(event, "type").startswith("collection."):
            return []
        data = event.get("data")
        if not isinstance(data, dict):
            raise PayloadUnreadable("Simulator: the event has no data.")
        try:
            return [_observe(data, at=event.get("created_at"))]
        except AnswerUnreadable as error:
            raise PayloadUnreadable(str(error)) from error

    def cancel(self, handle: CallHandle) -> None:
        """Take the prompt off the phone, if it is still there."""
        answer = self._client.request("POST", f"/v1/collections/{handle.reference}/cancel")
        if answer.status not in {HTTPStatus.OK, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
            raise NoAnswer(f"Simulator: HTTP {answer.status} is not a documented answer.")

    def prove_access(self) -> None:
        """Ask for a collection that is not there."""
        answer = self._client.request("GET", "/v1/collections/doctor")
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise NoAnswer(f"Simulator: HTTP {answer.status} to the question for a collection.")


def _whole_shillings(money: Money) -> int:
    return int(money.to_major().removesuffix(".00"))


def _observe(data: Mapping[str, Any], *, at: object = None) -> Observation:
    amount = data.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise AnswerUnreadable("Simulator: amount is not a whole number.")
    try:
        money = Money.from_major(amount, _text(data, "currency"))
    except InvalidMoney as error:
        raise AnswerUnreadable(f"Simulator: {error}") from error
    claim, failure_code = _CLAIMS.get(_text(data, "status"), (Claim.ACCEPTED, None))
    reference, transaction_id = _text(data, "reference"), _text(data, "transaction_id")
    try:
        return Observation(
            reference=reference,
            claim=claim,
            money=money,
            provider_ref=transaction_id,
            failure_code=failure_code,
            occurred_at=_moment(at),
        )
    except ValueError as error:
        raise AnswerUnreadable(f"Simulator: {error}") from error


def _moment(at: object) -> datetime | None:
    """Read the company's clock. It decides nothing, so nonsense is just left out."""
    if not isinstance(at, int | float | Decimal):
        return None
    try:
        return datetime.fromtimestamp(float(at), UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _object(answer: HttpAnswer) -> dict[str, Any]:
    body = answer.json()
    if not isinstance(body, dict):
        raise AnswerUnreadable("Simulator: expected a JSON object.")
    return body


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise PayloadUnreadable(f"Simulator: {name} is missing.")
    return value


def _unix_time(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 12:  # noqa: PLR2004 - the year 33658
        raise SignatureInvalid("Simulator: the time stamp is not a Unix time.")
    return int(text)
