"""What we write into a call to Selcom. Pure, apart from chance and the minutes that are left.

Source: docs/providers/selcom.md. What no source settles is under "Guesses" there.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from ntc_core.money import Money

from ntc_payments.providers.selcom.answers import CURRENCY
from ntc_payments.providers.selcom.signing import encode_base64
from ntc_payments.types import (
    AttemptRequest,
    PaymentMethod,
    PayoutDestination,
    PayoutMethod,
    PayoutRequest,
)

__all__ = [
    "BILLING",
    "RAILS",
    "Fields",
    "choose_rail",
    "control_number",
    "direct_push_fields",
    "fresh_id",
    "lookup_fields",
    "msisdn_of",
    "order_fields",
    "payout_fields",
    "shillings",
]

Fields = Mapping[str, str | int]

# Assumed, not documented: mandatory fields of which a project often knows nothing.
BILLING: Mapping[str, str] = {
    "name": "Customer",
    "email": "customer@example.com",
    "phone": "255000000000",
    "address_1": "P.O. Box",
    "city": "Dar es Salaam",
    "state_or_region": "Dar es Salaam",
    "postcode_or_pobox": "00000",
    "country": "TZ",
}

_WALLET, _SELCOM_PESA, _QWIKSEND = "walletcashin", "selcompesa", "qwiksend"
#: Rail -> the call that pays and the call that tells the receiver's name. All have `/query`.
RAILS: Mapping[str, tuple[str, str]] = {
    _WALLET: ("process", "namelookup"),
    _SELCOM_PESA: ("cashin", "namelookup"),
    _QWIKSEND: ("process", "lookup"),
}
_SELCOM_PESA_BANK = "SPSCASHIN"
# Selcom finds the operator, also of a number that was ported.
_ANY_WALLET = "CASHIN"
_WALLETS = (_ANY_WALLET, *("VMCASHIN", "AMCASHIN", "TPCASHIN", "EZCASHIN", "HPCASHIN", "TTCASHIN"))
# Mandatory; the only value that the documentation shows.
_QWIKSEND_PURPOSE = "GIFT"


def order_fields(
    request: AttemptRequest,
    *,
    vendor: str,
    webhook_url: str,
    cancel_url: str,
    billing: Mapping[str, str],
) -> Fields:
    """Return an order: the minimal one, or for a card the full one, flat with dotted names.

    Args:
        billing: what is written where the request knows nothing.
    """
    name = request.payer.name or billing["name"]
    phone = msisdn_of(request.phone_e164) or billing["phone"]
    fields: dict[str, str | int] = {
        "vendor": vendor,
        "order_id": request.reference,
        "buyer_email": request.payer.email or billing["email"],
        "buyer_name": name,
        "buyer_phone": phone,
        "amount": shillings(request.money),
        "currency": CURRENCY,
        "redirect_url": encode_base64(request.return_url),
        "cancel_url": encode_base64(cancel_url or request.return_url),
        "webhook": encode_base64(webhook_url),
        "merchant_remarks": request.description,
        "no_of_items": 1,
    }
    if request.expires_at is not None:
        left_seconds = (request.expires_at - datetime.now(UTC)).total_seconds()
        fields["expiry"] = max(1, math.ceil(left_seconds / 60))
    if request.method is PaymentMethod.CARD:
        first, _, last = name.partition(" ")
        address = request.payer.address
        fields |= {
            "buyer_userid": request.payer.external_id,
            "payment_methods": "CARD",
            "billing.firstname": first,
            "billing.lastname": last or first,
            "billing.address_1": address.line or billing["address_1"],
            "billing.city": address.city or billing["city"],
            "billing.state_or_region": address.region or billing["state_or_region"],
            "billing.postcode_or_pobox": address.postcode or billing["postcode_or_pobox"],
            "billing.country": address.country or billing["country"],
            "billing.phone": phone,
        }
    return {key: value for key, value in fields.items() if value != ""}


def direct_push_fields(request: AttemptRequest, *, vendor: str, msisdn: str) -> Fields:
    """Return a prompt without an order; nobody types its number, so that is our reference."""
    return {
        "transid": request.reference,
        "utilityref": request.reference,
        "amount": shillings(request.money),
        "vendor": vendor,
        "msisdn": msisdn,
    }


def control_number(reference: str) -> str:
    """Return the 12 digits that stand for the reference, the same ones always."""
    digest = int.from_bytes(hashlib.sha256(reference.encode()).digest(), "big")
    # No leading zero: somebody's form would drop it.
    return str(10**11 + digest % (9 * 10**11))


def choose_rail(to: PayoutDestination) -> str:
    """Choose wallet cash-in, Selcom Pesa (bank code SPSCASHIN) or Qwiksend.

    Raises:
        ValueError: the destination lacks something, or names a wallet that is none.
    """
    if to.bank_code == _SELCOM_PESA_BANK:
        if not _selcom_pesa_account(to):
            raise ValueError("Selcom Pesa needs an account or a Tanzanian number.")
        return _SELCOM_PESA
    if to.method is PayoutMethod.MOBILE_WALLET:
        if not msisdn_of(to.phone_e164):
            raise ValueError("Selcom pays out to Tanzanian numbers only.")
        if to.bank_code and to.bank_code not in _WALLETS:
            raise ValueError(
                f"Selcom has no wallet {to.bank_code}; leave bank_code out, or name one of "
                f"{', '.join(_WALLETS)}."
            )
        return _WALLET
    missing = [key for key in ("bank_code", "account_number", "name") if not getattr(to, key)]
    if missing:
        raise ValueError(f"Selcom pays out to a bank with a {missing[0].replace('_', ' ')}.")
    return _QWIKSEND


def payout_fields(
    request: PayoutRequest, *, rail: str, vendor: str, pin: str, billing: Mapping[str, str]
) -> Fields:
    """Return a payout on that rail; our reference is the transid."""
    to = request.destination
    fields: dict[str, str | int] = {
        "transid": request.reference,
        "amount": shillings(request.money),
        "vendor": vendor,
        "pin": pin,
    }
    if rail == _WALLET:
        return {**fields, **_wallet_fields(to)}
    if rail == _SELCOM_PESA:
        return {**fields, "utilityref": _selcom_pesa_account(to)}
    fields |= {
        "recipientFiCode": to.bank_code,
        "recipientAccount": to.account_number,
        "recipientName": to.name,
        # Assumed, not documented: who sends is the float.
        "senderAccount": vendor,
        "senderName": vendor,
        "msisdn": msisdn_of(to.phone_e164) or billing["phone"],
        "purpose": _QWIKSEND_PURPOSE,
        "remarks": request.description,
    }
    return {key: value for key, value in fields.items() if value != ""}


def lookup_fields(to: PayoutDestination, *, rail: str) -> Fields:
    """Return the question for a receiver's name on that rail."""
    transid = fresh_id()
    if rail == _WALLET:
        return {**_wallet_fields(to), "transid": transid}
    if rail == _SELCOM_PESA:
        return {"utilityref": _selcom_pesa_account(to), "transid": transid}
    return {"bank": to.bank_code, "account": to.account_number, "transid": transid}


def fresh_id() -> str:
    """Return a transid of a call of its own. No transid may ever be used twice."""
    return f"T{secrets.token_hex(8).upper()}"


def msisdn_of(phone_e164: str) -> str:
    """Return a Tanzanian number as Selcom writes it; an empty text for any other."""
    match = re.fullmatch(r"\+(255[0-9]{9})", phone_e164)
    return match[1] if match else ""


def shillings(money: Money) -> int:
    """Return whole shillings.

    Raises:
        ValueError: another currency, or a fraction.
    """
    if money.currency != CURRENCY or not money.is_whole:
        raise ValueError(f"Selcom takes whole {CURRENCY}, got {money}.")
    return money.minor // 100


def _wallet_fields(to: PayoutDestination) -> Fields:
    return {"utilitycode": to.bank_code or _ANY_WALLET, "utilityref": msisdn_of(to.phone_e164)}


def _selcom_pesa_account(to: PayoutDestination) -> str:
    return to.account_number or msisdn_of(to.phone_e164)
