"""What Polar reads and writes: errors, lists, prices, orders, and its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ntc_payments.simulator.exchange import Answer, Refused
from ntc_payments.simulator.store import Movement

__all__ = [
    "checkout_row",
    "invalid",
    "iso",
    "listed",
    "order_row",
    "read_metadata",
    "read_price",
    "read_text",
    "read_url",
    "read_uuid",
    "refund_row",
    "refusal",
    "sign",
    "split_tax",
    "tax_share",
    "unknown",
]

#: Smallest and largest price in minor units; what is not listed starts at 50.
_LIMITS = {
    "tzs": (200_000, 250_000_000),
    "usd": (50, 99_999_999),
    "kes": (7_000, 99_999_999),
    "ugx": (200_000, 999_999_999),
}
_TAX_PERCENT = 18
_LARGEST_PAGE, _LONGEST_URL = 100, 2083
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 50, 40, 500


def sign(secret: str, *, event_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of Standard Webhooks; the key is what `whsec_` stands before."""
    text = secret.removeprefix("whsec_")
    key = base64.b64decode(text + "=" * (-len(text) % 4))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


# What it refuses.


def refusal(status: int, error: str, detail: str) -> Refused:
    """Return a refusal with Polar's name of the error."""
    return Refused(status, {"error": error, "detail": detail})


def unknown() -> Refused:
    """Return how it says that an object does not exist."""
    return refusal(404, "ResourceNotFound", "Not found")


def invalid(name: str, message: str, value: Any = None, *, where: str = "body") -> Refused:
    """Return the refusal of one field."""
    detail = {"type": "value_error", "loc": [where, name], "msg": message, "input": value}
    return Refused(422, {"error": "RequestValidationError", "detail": [detail]})


# What it reads.


def read_uuid(name: str, value: Any) -> str:
    """Return the id, refused where it is none."""
    try:
        return str(uuid.UUID(value))
    except (ValueError, TypeError, AttributeError):
        raise invalid(name, "Input should be a valid UUID", value) from None


def read_text(values: Mapping[str, Any], name: str, *, pattern: str = r".+") -> str | None:
    """Return a text of this form, or None where it is left out."""
    text = values.get(name)
    if text is not None and not (isinstance(text, str) and re.fullmatch(pattern, text)):
        raise invalid(name, "Input should be a valid string", text)
    return text


def read_url(values: Mapping[str, Any], name: str) -> str | None:
    """Return an absolute URL, or None where it is left out."""
    return read_text(values, name, pattern=rf"(?=.{{1,{_LONGEST_URL}}}$)https?://.+")


def read_metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pairs that stay with an object."""
    pairs = values.get("metadata", {})
    if not isinstance(pairs, dict) or len(pairs) > _MOST_PAIRS:
        raise invalid("metadata", f"An object of {_MOST_PAIRS} pairs at most", pairs)
    for key, value in pairs.items():
        fits = not isinstance(value, str) or 1 <= len(value) <= _LONGEST_VALUE
        if len(key) > _LONGEST_KEY or not fits or not isinstance(value, str | int | float):
            raise invalid("metadata", "A key or value that does not fit", pairs)
    return dict(pairs)


def read_price(values: Mapping[str, Any], product: str) -> tuple[int, str, bool]:
    """Return the minor units, the currency, and whether the tax is in them."""
    currency = read_text(values, "currency", pattern=r"[a-z]{3}") or "tzs"
    if "prices" not in values:
        return 2_500_000, currency, False
    prices = values["prices"]
    rows = prices.get(product) if isinstance(prices, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise invalid("prices", "A list of prices for each product", prices)
    for row in rows:
        if row.get("price_currency", currency) == currency:
            return *_read_fixed(row, currency), row.get("tax_behavior") == "inclusive"
    raise invalid("currency", "No price in this currency", currency)


def _read_fixed(row: Mapping[str, Any], currency: str) -> tuple[int, str]:
    amount = row.get("price_amount")
    if row.get("amount_type") != "fixed" or row.get("tax_behavior") not in {
        None,
        "inclusive",
        "exclusive",
        "location",
    }:
        raise invalid("prices", "Input should be a fixed price", dict(row))
    lowest, highest = _LIMITS.get(currency, (50, 99_999_999))
    if type(amount) is not int or not lowest <= amount <= highest:
        raise invalid("price_amount", f"Input should be from {lowest} to {highest}", amount)
    return amount, currency


def split_tax(price_minor: int, *, is_inclusive: bool) -> tuple[int, int]:
    """Return the net amount and the tax of a price."""
    if is_inclusive:
        net = _divide(price_minor * 100, 100 + _TAX_PERCENT)
        return net, price_minor - net
    return price_minor, _divide(price_minor * _TAX_PERCENT, 100)


def tax_share(amount: int, *, net: int, tax: int) -> int:
    """Return the tax that goes back with a part of the net amount."""
    return _divide(amount * tax, net)


def _divide(amount: int, by: int) -> int:
    """Divide and round halves up, as Polar rounds money."""
    return (2 * amount + by) // (2 * by)


# What it writes.


def iso(moment: float) -> str:
    """Return an instant as `2026-03-02T05:15:30.120000Z`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def listed(rows: Iterable[dict[str, Any]], query: Mapping[str, str]) -> Answer:
    """Return one page of the rows, newest first as they come."""
    found = list(rows)
    numbers = {}
    for name, preset, highest in (("page", 1, 10**9), ("limit", 10, _LARGEST_PAGE)):
        text = query.get(name, str(preset))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= highest:
            raise invalid(name, f"Input should be from 1 to {highest}", text, where="query")
        numbers[name] = int(text)
    if query.get("sorting") == "created_at":
        found.reverse()
    starts = (numbers["page"] - 1) * numbers["limit"]
    pages = -(-len(found) // numbers["limit"])
    return Answer(
        body={
            "items": found[starts : starts + numbers["limit"]],
            "pagination": {"total_count": len(found), "max_page": pages},
        }
    )


def _price_of(movement: Movement) -> dict[str, Any]:
    net, tax = movement.details["net"], movement.details["tax"]
    return {
        "discount_amount": 0,
        "net_amount": net,
        "tax_amount": tax,
        "total_amount": net + tax,
        "currency": movement.currency.lower(),
        "product_id": movement.details["product_id"],
        "discount_id": None,
        "subscription_id": None,
        "customer_id": movement.details["customer"]["id"],
        "metadata": movement.details["metadata"],
        "created_at": iso(movement.created_at),
        "modified_at": iso(movement.updated_at),
    }


def checkout_row(movement: Movement, *, site: str) -> dict[str, Any]:
    """Return a checkout session."""
    details = movement.details
    status = {"PENDING": "open", "PAID": "succeeded"}.get(movement.status, "expired")
    return {
        **_price_of(movement),
        "id": movement.uid,
        "status": status,
        "url": f"{site}/checkout/{movement.uid}",
        "client_secret": f"polar_c_{movement.uid}",
        "expires_at": iso(movement.expires_at),
        "amount": details["price"],
        "tax_behavior": "inclusive" if details["is_inclusive"] else "exclusive",
        "success_url": details.get("return_url"),
        "return_url": details.get("cancel_url"),
        "customer_email": details["customer"]["email"],
        "customer_name": details["customer"]["name"],
        "external_customer_id": details["customer"]["external_id"],
        "allow_discount_codes": details["allow_discount_codes"],
    }


def order_row(movement: Movement, refunds: Iterable[Movement]) -> dict[str, Any]:
    """Return the paid order of a session."""
    price = _price_of(movement)
    done = [refund for refund in refunds if refund.status == "PAID"]
    refunded = sum(refund.details["net"] for refund in done)
    refunded_tax = sum(refund.details["tax"] for refund in done)
    left = price["net_amount"] - refunded
    status = "paid" if not refunded else "partially_refunded" if left else "refunded"
    return {
        **price,
        "id": movement.company_ref,
        "status": status,
        "paid": True,
        "subtotal_amount": price["net_amount"],
        "applied_balance_amount": 0,
        "due_amount": price["total_amount"],
        "refunded_amount": refunded,
        "refunded_tax_amount": refunded_tax,
        "refundable_amount": left,
        "refundable_tax_amount": price["tax_amount"] - refunded_tax,
        "billing_reason": movement.details.get("billing_reason", "purchase"),
        "checkout_id": None if "billing_reason" in movement.details else movement.uid,
        "customer": movement.details["customer"],
        "items": [],
        "platform_fee_amount": movement.fee_minor,
        "platform_fee_currency": price["currency"],
    }


def dispute_row(movement: Movement, status: str, *, uid: str) -> dict[str, Any]:
    """Return a dispute about all of an order; its amount is without the tax."""
    now = iso(time.time())
    return {
        "id": uid,
        "created_at": now,
        "modified_at": now,
        "status": status,
        "resolved": status in {"won", "lost"},
        "closed": status in {"won", "lost", "prevented"},
        "amount": movement.details["net"],
        "tax_amount": movement.details["tax"],
        "currency": movement.currency.lower(),
        "order_id": movement.company_ref,
        "payment_id": movement.details["payments"][-1]["id"],
        "case_id": None,
    }


def refund_row(refund: Movement) -> dict[str, Any]:
    """Return a refund; its amount is without the tax."""
    details = refund.details
    return {
        "id": refund.company_ref,
        "created_at": iso(refund.created_at),
        "modified_at": iso(refund.updated_at),
        "status": "succeeded" if refund.status == "PAID" else "pending",
        "reason": details["reason"],
        "amount": details["net"],
        "tax_amount": details["tax"],
        "currency": refund.currency.lower(),
        "order_id": details["order_id"],
        "subscription_id": None,
        "customer_id": details["customer_id"],
        "revoke_benefits": details["revoke_benefits"],
        "dispute": None,
        "metadata": details["metadata"],
    }
