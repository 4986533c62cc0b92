"""What ClickPesa reads and writes: its checksum, the forms of its fields, its rows."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from ntc_payments.simulator.exchange import Refused
from ntc_payments.simulator.store import Movement

__all__ = [
    "BANKS",
    "canonical",
    "checksum",
    "iso",
    "major",
    "network_of",
    "new_movement",
    "payment_row",
    "payout_row",
    "read_choice",
    "read_date",
    "read_number",
    "read_reference",
    "read_text",
    "read_text_amount",
    "refusal",
    "visible",
]

#: Where two digits after 255 lead; other numbers belong to nobody.
_NETWORKS = {
    "M-PESA": ("74", "75", "76", "79"),
    "TIGO-PESA": ("65", "67", "71", "77"),
    "AIRTEL-MONEY": ("68", "69", "78"),
    "HALOPESA": ("61", "62"),
}
BANKS = {"CORUTZTZ": "CRDB Bank", "NMIBTZTZ": "NMB Bank", "EQBLTZTZ": "Equity Bank"}

_PAYMENT_STATUS = {"PENDING": "PROCESSING", "PAID": "SUCCESS", "RETURNED": "REVERSED"}
_PAYOUT_STATUS = {"PENDING": "AUTHORIZED", "PAID": "SUCCESS", "RETURNED": "REVERSED"}
_REFERENCE = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
_PHONE = re.compile(r"255([67][0-9])[0-9]{7}", re.ASCII)
_LARGEST_EXACT = 2**53
_LARGEST_PLAIN, _SMALLEST_PLAIN = 1e21, 1e-6


# The checksum.


def canonical(body: Mapping[str, Any]) -> str:
    """Return the text that is hashed: sorted, and written as JavaScript writes JSON."""
    return _stringify(
        {name: value for name, value in body.items() if name not in {"checksum", "checksumMethod"}}
    )


def checksum(key: str, body: Mapping[str, Any]) -> str:
    """Return the lower-case hex HMAC-SHA256 over the canonical text."""
    return hmac.new(key.encode(), canonical(body).encode(), hashlib.sha256).hexdigest()


def _stringify(value: Any) -> str:
    if isinstance(value, dict):
        members = (f"{_text(name)}:{_stringify(value[name])}" for name in sorted(value, key=_place))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_stringify, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _number(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _place(name: str) -> tuple[int, int, bytes]:
    """JavaScript keeps names that are array indexes in front, the others by code unit."""
    is_index = re.fullmatch(r"0|[1-9][0-9]{0,9}", name, re.ASCII) is not None
    return (0, int(name), b"") if is_index else (1, 0, name.encode("utf-16-be", "surrogatepass"))


def _number(value: float) -> str:
    """Write a number as `String(value)` does there, after a trip through a double."""
    if isinstance(value, int) and abs(value) <= _LARGEST_EXACT:
        return str(value)
    if math.isinf(value):
        return "null"
    exact = Decimal(repr(float(value)))
    if exact == 0 or _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN:
        plain = f"{exact:f}"
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        return "0" if plain == "-0" else plain
    digits, _, exponent = f"{exact.normalize():e}".partition("e")
    return f"{digits}e{int(exponent):+d}"


# What it reads.


def refusal(status: int, message: str | list[str]) -> Refused:
    """Return a refusal: a sentence, or the list of a validation."""
    if isinstance(message, list):
        return Refused(status, {"statusCode": status, "message": message, "error": "Bad Request"})
    return Refused(status, {"message": message})


def read_reference(values: Mapping[str, Any], name: str = "orderReference") -> str:
    """Return the merchant's reference: letters and digits, 20 at most."""
    reference = values.get(name)
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise refusal(
            400,
            "Invalid Order Reference, should only contain alphanumeric characters "
            "and cannot be blank",
        )
    return reference


def read_text_amount(values: Mapping[str, Any], name: str, *, places: int) -> int:
    """Return the minor units of an amount that is a text, such as "10000"."""
    text = values.get(name)
    pattern = r"[0-9]{1,12}" + (rf"(\.[0-9]{{1,{places}}})?" if places else "")
    if not isinstance(text, str) or not re.fullmatch(pattern, text, re.ASCII) or not Decimal(text):
        raise refusal(400, [f"{name} must be a number string"])
    return int(Decimal(text) * 100)


def read_number(values: Mapping[str, Any], name: str) -> int:
    """Return the minor units of an amount that is a number."""
    number = values.get(name)
    exact = Decimal(repr(number)) * 100 if type(number) in {int, float} else Decimal(0)
    if not exact.is_finite() or exact <= 0 or exact != int(exact):
        raise refusal(400, [f"{name} must be a number conforming to the specified constraints"])
    return int(exact)


def read_choice(values: Mapping[str, Any], name: str, *choices: str) -> str:
    """Return one of the words."""
    word = values.get(name)
    if word not in choices:
        raise refusal(400, [f"{name} must be one of the following values: {', '.join(choices)}"])
    return str(word)


def read_text(values: Mapping[str, Any], name: str, *, pattern: str = r".+") -> str:
    """Return a text that must be there."""
    text = values.get(name)
    if not isinstance(text, str) or not re.fullmatch(pattern, text, re.DOTALL):
        raise refusal(400, [f"{name} must be a valid string"])
    return text


def read_date(text: str) -> date:
    """Return a day: `YYYY-MM-DD` or `DD-MM-YYYY`."""
    for form in ("%Y-%m-%d", "%d-%m-%Y"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise refusal(400, ["dates must be YYYY-MM-DD or DD-MM-YYYY"])


def network_of(phone: Any) -> str:
    """Return whose number it is, in the spelling 255 and 9 digits."""
    found = _PHONE.fullmatch(phone) if isinstance(phone, str) else None
    for network, beginnings in _NETWORKS.items():
        if found and found[1] in beginnings:
            return network
    raise refusal(400, "Invalid / unsupported phone number")


# What it writes.


def new_movement(
    reference: str, amount_minor: int, currency: str, *, way: str, channel: str
) -> Movement:
    """Return money to be moved under a reference, by one of the ways."""
    return Movement(
        company="clickpesa",
        kind="collection",
        reference=reference,
        company_ref=f"CP{secrets.token_hex(6).upper()}",
        amount_minor=amount_minor,
        currency=currency,
        details={"way": way, "channel": channel, "order_reference": reference},
    )


def iso(moment: float) -> str:
    """Return an instant as `2026-03-02T05:15:30.000Z`."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def major(amount_minor: int) -> int | float:
    """Return an amount as a JSON number."""
    whole, cents = divmod(amount_minor, 100)
    return float(Decimal(amount_minor) / 100) if cents else whole


def visible(movement: Movement) -> bool:
    """Tell whether it is a payment yet: a page or a number that nobody paid on is none."""
    if movement.details["way"] == "push" or movement.kind == "payout":
        return True
    return movement.status in {"PAID", "DECLINED", "RETURNED"}


def payment_row(movement: Movement, *, client_id: str, as_text: bool) -> dict[str, Any]:
    """Return a payment. `as_text`: amounts as webhooks have them; else as queries do."""
    details = movement.details
    amount = major(movement.amount_minor)
    text = str(amount) if isinstance(amount, int) else f"{amount:.2f}"
    return {
        "id": movement.company_ref,
        "status": _PAYMENT_STATUS.get(movement.status, "FAILED"),
        "paymentReference": f"R{movement.company_ref}",
        "paymentPhoneNumber": movement.phone,
        "orderReference": details["order_reference"],
        "collectedAmount": text if as_text else amount,
        "collectedCurrency": movement.currency,
        "message": movement.status.lower(),
        "channel": details["channel"],
        "createdAt": iso(movement.created_at),
        "updatedAt": iso(movement.updated_at),
        "customer": details.get("customer")
        or {
            "customerName": None,
            "customerPhoneNumber": movement.phone or None,
            "customerEmail": None,
        },
        "clientId": client_id,
    }


def payout_row(movement: Movement, *, client_id: str) -> dict[str, Any]:
    """Return a payout; its amount has the fee in it."""
    details = movement.details
    row = {
        "id": movement.company_ref,
        "createdAt": iso(movement.created_at),
        "updatedAt": iso(movement.updated_at),
        "orderReference": movement.reference,
        "amount": f"{(movement.amount_minor + movement.fee_minor) / 100:.2f}",
        "currency": movement.currency,
        "fee": f"{movement.fee_minor / 100:.2f}",
        "status": _PAYOUT_STATUS.get(movement.status, "FAILED"),
        "channel": details["channel"],
        "channelProvider": details["channel_provider"],
        "order": {"amount": f"{movement.amount_minor / 100:.2f}", "currency": movement.currency},
        "beneficiary": {**details["receiver"], "amount": f"{movement.amount_minor / 100:.2f}"},
        "clientId": client_id,
    }
    if details["transfer_type"]:
        row["transferType"] = details["transfer_type"]
    if movement.status == "RETURNED":
        row["reverse"] = {
            "message": "Invalid account",
            "reversedAt": iso(movement.updated_at),
            "reversedWithFee": True,
        }
    return row
