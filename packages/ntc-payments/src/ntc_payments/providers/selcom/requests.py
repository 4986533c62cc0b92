"""What we send to Selcom: flat fields, ready to be signed. Pure, but for fresh ids.

Source: docs/providers/selcom.md, "Orders" and "Payouts".
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from ntc_core.money import Money

from ntc_payments.providers.selcom.answers import CURRENCY
from ntc_payments.providers.selcom.signing import encode_base64
from ntc_payments.types import AttemptRequest, PaymentMethod, PayoutMethod, PayoutRequest

__all__ = [
    "BILLING",
    "QWIKSEND",
    "RAILS",
    "SELCOM_PESA",
    "WALLET",
    "control_number",
    "fresh_id",
    "lookup_fields",
    "msisdn_of",
    "order_fields",
    "payout_fields",
    "rail_of",
    "shillings",
]

Fields = dict[str, str | int]

WALLET, SELCOM_PESA, QWIKSEND = "walletcashin", "selcompesa", "qwiksend"
#: Rail -> its paths that pay and that tell a name. Only its own query knows a payout.
RAILS: Mapping[str, tuple[str, str]] = {
    WALLET: ("process", "namelookup"),
    SELCOM_PESA: ("cashin", "namelookup"),
    QWIKSEND: ("process", "lookup"),
}
#: Selcom finds the operator by number portability.
ANY_WALLET = "CASHIN"
_WALLETS = frozenset(
    {ANY_WALLET, "VMCASHIN", "AMCASHIN", "TPCASHIN", "EZCASHIN", "HPCASHIN", "TTCASHIN"}
)
#: A payout to this "bank", or to this wallet, goes to a Selcom Pesa account.
_SELCOM_PESA_CODE = "SPSCASHIN"
_BANKS = frozenset(
    {
        *("ABSA", "AKIBA", "AMANABANK", "AZANIA", "BANCABC", "BOA", "BANKOFBARODA"),
        *("BANKOFINDIA", "CHINADASHENG", "CITIBANK", "CRDBBANK", "DCBBANK", "DTB", "ECOBANK"),
        *("EQUITYBANK", "EXIMBANK", "FINCA", "GTBANK", "HABIBBANK", "IMBANK", "ICB", "KCB"),
        *("KILIMANJARO", "LETSHEGO", "MAENDELEO", "MKOMBOZI", "MWALIMU", "MWANGA", "NMB", "NBC"),
        *("NCBA", "PBZ", "STANBIC", "TCB", "UCHUMI", "UBA"),
    }
)

# Card payments without billing data are refused. A guess: the merchant's own town will do
# where the payer's is not known; see docs/providers/selcom.md, "Guesses".
BILLING: Mapping[str, str] = {
    "address_1": "P.O. Box 1",
    "city": "Dar es Salaam",
    "state_or_region": "Dar es Salaam",
    "postcode_or_pobox": "11101",
    "country": "TZ",
}
_NOBODY_NAME, _NOBODY_EMAIL, _NOBODY_PHONE = "Customer", "customer@example.com", "255000000000"

CONTROL_DIGITS = 12
LONGEST_REMARK = 100
LEAST_MINUTES = 1


def order_fields(
    request: AttemptRequest,
    *,
    vendor: str,
    billing: Mapping[str, str],
    callback_url: str,
    cancel_url: str,
) -> Fields:
    """Return an order: the minimal one, or for a card the full one with billing data."""
    payer = request.payer
    fields: Fields = {
        "vendor": vendor,
        "order_id": request.reference,
        "buyer_email": payer.email or _NOBODY_EMAIL,
        "buyer_name": payer.name or _NOBODY_NAME,
        "buyer_phone": msisdn_of(request.phone_e164) or _NOBODY_PHONE,
        "amount": shillings(request.money),
        "currency": request.money.currency,
    }
    is_card = request.method is PaymentMethod.CARD
    if is_card:
        fields["payment_methods"] = "ALL"
    urls = {
        "redirect_url": request.return_url,
        "cancel_url": cancel_url or request.return_url,
        "webhook": callback_url,
    }
    fields |= {name: encode_base64(url) for name, url in urls.items() if url}
    if request.description:
        fields["merchant_remarks"] = request.description[:LONGEST_REMARK]
    if is_card:
        fields |= _billing_fields(request, billing)
    fields["no_of_items"] = 1
    if request.expires_at is not None:
        left = (request.expires_at - datetime.now(UTC)).total_seconds() / 60
        fields["expiry"] = max(LEAST_MINUTES, math.ceil(left))
    return fields


def _billing_fields(request: AttemptRequest, billing: Mapping[str, str]) -> Fields:
    """Nested data is sent and signed as flat, dotted names."""
    payer, address = request.payer, request.payer.address
    first, _, last = (payer.name or _NOBODY_NAME).partition(" ")
    own = {
        "address_1": address.line,
        "city": address.city,
        "state_or_region": address.region,
        "postcode_or_pobox": address.postcode,
        "country": address.country,
    }
    values = {
        "firstname": first,
        "lastname": last or first,
        **{name: own[name] or default for name, default in billing.items()},
        "phone": msisdn_of(request.phone_e164) or _NOBODY_PHONE,
    }
    return {f"billing.{name}": value for name, value in values.items()}


def rail_of(request: PayoutRequest) -> str:
    """Return the rail of a payout.

    Raises:
        ValueError: there is none to that wallet or bank.
    """
    to = request.destination
    if to.bank_code == _SELCOM_PESA_CODE:
        return SELCOM_PESA
    if to.method is PayoutMethod.BANK_ACCOUNT:
        if to.bank_code not in _BANKS:
            raise ValueError(
                f"Selcom has no bank {to.bank_code[:20]!r}; see docs/providers/selcom.md."
            )
        return QWIKSEND
    if (to.bank_code or ANY_WALLET) not in _WALLETS:
        raise ValueError(
            f"Selcom has no wallet {to.bank_code[:20]!r}; leave it out, or choose one of "
            f"{', '.join(sorted(_WALLETS))}."
        )
    return WALLET


def payout_fields(request: PayoutRequest, rail: str, *, vendor: str, pin: str) -> Fields:
    """Return what pays out on that rail; our reference is the transid, used once."""
    to, amount = request.destination, shillings(request.money)
    float_account: Fields = {"vendor": vendor, "pin": pin}
    if rail == QWIKSEND:
        return {
            "transid": request.reference,
            "recipientFiCode": to.bank_code,
            "recipientAccount": to.account_number,
            "recipientName": to.name,
            "senderAccount": vendor,
            "senderName": vendor,
            "amount": amount,
            **float_account,
            "msisdn": msisdn_of(to.phone_e164) or _NOBODY_PHONE,
            "purpose": "OTHER",
            "remarks": request.description[:LONGEST_REMARK],
        }
    if rail == SELCOM_PESA:
        return {
            "transid": request.reference,
            "utilityref": _selcom_pesa_account(request),
            "amount": amount,
            **float_account,
        }
    return {
        "transid": request.reference,
        **_wallet_fields(request),
        "amount": amount,
        **float_account,
    }


def lookup_fields(request: PayoutRequest, rail: str) -> Fields:
    """Return what asks for the name of the receiver on that rail."""
    to, transid = request.destination, fresh_id()
    if rail == QWIKSEND:
        return {"bank": to.bank_code, "account": to.account_number, "transid": transid}
    if rail == SELCOM_PESA:
        return {"utilityref": _selcom_pesa_account(request), "transid": transid}
    return {**_wallet_fields(request), "transid": transid}


def _wallet_fields(request: PayoutRequest) -> Fields:
    to = request.destination
    return {"utilitycode": to.bank_code or ANY_WALLET, "utilityref": msisdn_of(to.phone_e164)}


def _selcom_pesa_account(request: PayoutRequest) -> str:
    to = request.destination
    return to.account_number or msisdn_of(to.phone_e164)


def control_number(reference: str) -> str:
    """Return the digits a payer types: always the same for one reference, hard to guess."""
    number = int.from_bytes(hashlib.sha256(f"selcom:{reference}".encode()).digest(), "big")
    return f"{number % 10**CONTROL_DIGITS:0{CONTROL_DIGITS}d}"


def msisdn_of(phone_e164: str) -> str:
    """Return 255 and nine digits; empty for a number of another country."""
    return phone_e164.removeprefix("+") if phone_e164.startswith("+255") else ""


def shillings(money: Money) -> int:
    """Return whole shillings.

    Raises:
        ValueError: the amount has a fraction, or another currency.
    """
    if money.currency != CURRENCY or not money.is_whole:
        raise ValueError(f"Selcom takes whole {CURRENCY} only, got {money}.")
    return money.minor // 100


def fresh_id() -> str:
    """Return a transid for one call; a repeated one is refused."""
    return f"T{secrets.token_hex(8).upper()}"
