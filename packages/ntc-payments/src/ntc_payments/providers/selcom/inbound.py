"""What Selcom sends to us: an order's webhook, a C2B question, a C2B notification. Pure.

Source: docs/providers/selcom.md, "Webhooks".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ntc_core.webhooks.types import PayloadUnreadable, VerifiedWebhook, WebhookAck

from ntc_payments.providers.selcom.answers import observe_order, read_money, read_text
from ntc_payments.providers.selcom.requests import shillings
from ntc_payments.types import (
    Claim,
    Inquiry,
    InquiryReply,
    InquiryVerdict,
    Observation,
    Trust,
)

__all__ = [
    "describe_event",
    "is_notification",
    "load_event",
    "observe_event",
    "read_inquiry",
    "write_reply",
]

_INQUIRY_CODES: Mapping[InquiryVerdict, tuple[str, str]] = {
    InquiryVerdict.PAYABLE: ("000", "Payable"),
    InquiryVerdict.UNKNOWN: ("010", "Unknown number"),
    InquiryVerdict.INVALID_AMOUNT: ("012", "Invalid amount"),
    InquiryVerdict.TOO_HIGH: ("014", "Amount too high"),
    InquiryVerdict.TOO_LOW: ("015", "Amount too low"),
}


def load_event(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        PayloadUnreadable: it is none, or one key has two values.
    """
    try:
        event = json.loads(body, object_pairs_hook=_one_value_per_key)
    except (ValueError, RecursionError) as error:
        raise PayloadUnreadable("Selcom: expected a JSON object.") from error
    if not isinstance(event, dict):
        raise PayloadUnreadable("Selcom: expected a JSON object.")
    return event


def is_notification(event: Mapping[str, Any]) -> bool:
    """Tell money on a control number from an order's webhook, by the body alone."""
    return "utilityref" in event


def describe_event(event: Mapping[str, Any]) -> VerifiedWebhook:
    """Name what identifies the fact, and the answer to it."""
    if is_notification(event):
        reference = read_text(event, "reference")
        return VerifiedWebhook(
            dedupe_key=_key("c2b", reference),
            event_type="notification",
            ack=_ack(reference=reference, resultcode="000", message="Received"),
        )
    order_id, status = read_text(event, "order_id"), read_text(event, "payment_status")
    others = [f"{event.get(key)}" for key in ("reference", "transid", "amount")]
    return VerifiedWebhook(
        dedupe_key=_key("order", order_id, status, *others),
        event_type=status,
        ack=_ack(resultcode="000", message="Received"),
    )


def observe_event(event: Mapping[str, Any]) -> Observation:
    """Say what it tells: a notification is money, an order's webhook a hint to ask.

    Raises:
        PayloadUnreadable: a field is missing or strange.
    """
    try:
        if not is_notification(event):
            return observe_order(event, trust=Trust.HINT)
        return Observation(
            reference=read_text(event, "utilityref"),
            claim=Claim.SUCCESS,
            money=read_money(event.get("amount")),
            provider_ref=read_text(event, "reference"),
        )
    except ValueError as error:
        raise PayloadUnreadable(f"{error}") from error


def read_inquiry(event: Mapping[str, Any], *, action: str) -> Inquiry:
    """Read a lookup or a validation. An amount of 0 asks for that of a fixed invoice."""
    try:
        money = read_money(event.get("amount"))
    except ValueError as error:
        raise PayloadUnreadable(f"{error}") from error
    return Inquiry(
        action=action,
        payer_code=read_text(event, "utilityref"),
        company_ref=read_text(event, "reference"),
        money=money if money and money.minor else None,
    )


def write_reply(inquiry: Inquiry, reply: InquiryReply) -> WebhookAck:
    """Spell 000 with the amount and what it is for, or why not."""
    code, message = _INQUIRY_CODES[reply.verdict]
    more: dict[str, str | int] = {"name": reply.description} if reply.description else {}
    if reply.money is not None:
        more["amount"] = shillings(reply.money)
    return _ack(reference=inquiry.company_ref, resultcode=code, message=message, **more)


def _one_value_per_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key with two values. One sample of the documentation repeats a key as it is."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        if values.setdefault(key, value) != value:
            raise ValueError("a key has two values")
    return values


def _key(kind: str, *identity: str) -> str:
    return f"{kind}:{hashlib.sha256(json.dumps(identity).encode()).hexdigest()}"


def _ack(*, resultcode: str, **fields: str | int) -> WebhookAck:
    result = "SUCCESS" if resultcode == "000" else "FAIL"
    body = {**fields, "resultcode": resultcode, "result": result}
    return WebhookAck(body=json.dumps(body).encode())
