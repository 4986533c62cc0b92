"""Beem: Bpay checkout, pay-bill collections, disbursement; no query anywhere."""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode

from ntc_payments.simulator.companies.base import Company
from ntc_payments.simulator.exchange import Answer, Refused, Request, Route, read_object
from ntc_payments.simulator.store import Callback, Draft, DuplicateReference, Movement

__all__ = ["Beem"]

_AMOUNT = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_PHONE = re.compile(r"255[67][0-9]{8}", re.ASCII)
#: Numbers that a payer types: nothing that a handset cannot.
_BILL_NUMBER = re.compile(r"[A-Za-z0-9-]{1,30}", re.ASCII)
_SCHEDULE = "%Y-%m-%d %H:%M:%S"
#: By the last digit of the receiver: what becomes of a payout, and the code of the answer.
_ENDS = {"0": ("PENDING", 114), "8": ("PAID", 104), "9": ("FAILED", 101)}
_MESSAGES = {
    100: "Disbursement successful",
    101: "Disbursement failed",
    104: "Network timeout",
    114: "Disbursement pending",
}


class Beem(Company):
    """See docs/providers/simulator.md, "Beem"."""

    name: ClassVar[str] = "beem"
    prefix: ClassVar[str] = "/beem"
    keys: ClassVar[Mapping[str, str]] = {
        "BEEM_API_KEY": "api_key",
        "BEEM_SECRET_KEY": "secret_key",
        "BEEM_REFERENCE_PREFIX": "reference_prefix",
        "BEEM_PAYBILL_NUMBER": "paybill_number",
    }
    samples: ClassVar[Mapping[str, str]] = {
        "reference_prefix": "SAMPLE-",
        "paybill_number": "000123",
    }
    url_options: ClassVar[tuple[str, ...]] = (
        *("checkout_base_url", "balance_base_url", "disbursement_base_url"),
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: Held while the float is looked at and then used.
        self._lock = threading.Lock()

    def routes(self) -> Sequence[Route]:
        # Sources disagree on the path of a disbursement: one follows from each base address.
        transfer = r"/(webservices/disbursement/|v1/)?transfer"
        return (
            Route("GET", r"/v1/checkout", "start", self.start),
            Route("POST", r"/v1/whitelist/add-to-list", "other", self.add_to_whitelist),
            Route("POST", transfer, "payout", self.pay_out),
            Route("GET", r"/v1/credit-balance", "other", self.read_balance),
        )

    # Checkout.

    def start(self, request: Request) -> Answer:
        """Answer with a page, as JSON or as a redirect; some errors are such a page too."""
        self._require_keys(request)
        query = request.query
        mobile = query.get("mobile", "")
        if mobile and not _PHONE.fullmatch(mobile):
            raise _refusal(100, "Invalid mobile number")
        if not _AMOUNT.fullmatch(query.get("amount", "")):
            raise _refusal(101, "Invalid amount")
        transaction_id = query.get("transaction_id", "")
        if not _is_uuid4(transaction_id):
            raise _refusal(102, "Invalid transaction ID")
        url = self._open(request, mobile=mobile, transaction_id=transaction_id)
        if query.get("sendSource") == "true":
            return Answer(body={"src": url})
        return Answer(status=HTTPStatus.FOUND, body="", headers={"Location": url})

    def _open(self, request: Request, *, mobile: str, transaction_id: str) -> str:
        reference = request.query.get("reference_number", "")
        prefix = self.secrets["reference_prefix"]
        if not reference.startswith(prefix) or reference == prefix:
            return self._error_page("Invalid reference number")
        if request.query.get("currency", "TZS") != "TZS":
            return self._error_page("Invalid currency")
        if self.store.find(company=self.name, company_ref=transaction_id) is not None:
            return self._error_page("Transaction already exists")
        movement = Movement(
            company=self.name,
            kind="collection",
            reference=reference,
            company_ref=transaction_id,
            amount_minor=int(request.query["amount"]) * 100,
            currency="TZS",
            phone=mobile,
            description=reference,
            details={"token": request.headers.get("beem-secure-token", "")},
        )
        try:
            self.store.add(movement)
        except DuplicateReference:
            # Assumed, not documented.
            return self._error_page("Reference number already exists")
        return f"{self.site}/checkout/{movement.uid}"

    def _error_page(self, message: str) -> str:
        query = urlencode({"message": message})
        return f"{self.site}{self.prefix}/checkout/error?{query}"

    def add_to_whitelist(self, request: Request) -> Answer:
        """Take the site on which the button stands."""
        self._require_keys(request)
        website = _read(request).get("website")
        if not isinstance(website, str) or not re.match(r"https?://\S+$", website):
            raise _refusal(105, "Invalid website")
        return Answer(body={"status": 200, "message": "successful"})

    # Pay bill: nobody is asked, the money is there when the merchant hears of it.

    def pay_bill(self, number: str, amount_minor: int) -> Movement | None:
        if not _BILL_NUMBER.fullmatch(number):
            return None
        transaction_id = f"TX{secrets.token_hex(8)}"
        bill = Movement(
            company=self.name,
            kind="collection",
            reference=transaction_id,
            company_ref=transaction_id,
            amount_minor=amount_minor,
            currency="TZS",
            phone="255740000001",
            description=number,
            is_shown=False,
            details={"bill": number},
        )
        return self.pay(self.store.add(bill))

    # Payouts and the balance.

    def pay_out(self, request: Request) -> Answer:
        """Pay to a mobile wallet, once per reference."""
        self._require_keys(request)
        payout = self._read_payout(_read(request))
        status, code = _ENDS.get(payout.phone[-1], ("PAID", 100))
        with self._lock:
            if payout.amount_minor > self.balance_minor("TZS"):
                raise _refusal(103, "Insufficient balance", status=HTTPStatus.OK)
            try:
                self.store.add(replace(payout, status=status))
            except DuplicateReference:
                # Assumed, not documented.
                raise _refusal(105, "Duplicate client_reference_id") from None
        return Answer(
            body={
                "code": code,
                "message": _MESSAGES[code],
                "transaction_id": payout.company_ref,
                "reference_id": payout.reference,
            }
        )

    def _read_payout(self, order: Mapping[str, Any]) -> Movement:
        reference, amount = order.get("client_reference_id"), order.get("amount")
        source, wallet = order.get("source"), order.get("destination")
        if not isinstance(reference, str) or not re.fullmatch(r"[\w-]{1,50}", reference):
            raise _refusal(105, "Invalid client_reference_id")
        if not _is_account(source) or not _is_schedule(order.get("scheduled_time_utc")):
            raise _refusal(105, "Invalid parameters")
        # One client puts the wallet under a name of its own, another does not.
        wallet = wallet.get("mobile", wallet) if isinstance(wallet, dict) else None
        if not isinstance(wallet, dict) or not wallet.get("wallet_code"):
            raise _refusal(105, "Invalid destination")
        if not wallet.get("wallet_number"):
            raise _refusal(111, "Missing wallet number")
        if amount is None or amount == "":
            raise _refusal(112, "Missing amount")
        # A number or a text, with or without decimals that are zero.
        digits = re.sub(r"\.0{1,2}$", "", str(amount))
        if isinstance(amount, bool) or not _AMOUNT.fullmatch(digits):
            raise _refusal(113, "Invalid amount")
        if not _PHONE.fullmatch(str(wallet["wallet_number"])):
            raise _refusal(102, "Invalid phone number")
        return Movement(
            company=self.name,
            kind="payout",
            reference=reference,
            company_ref=f"D{secrets.token_hex(8)}",
            amount_minor=int(digits) * 100,
            currency="TZS",
            phone=str(wallet["wallet_number"]),
            is_shown=False,
        )

    def balance_minor(self, currency: str) -> int:
        """Return what is left, without what is on its way out."""
        waiting = self.store.list_movements(
            company=self.name, kind="payout", currency=currency, status="PENDING"
        )
        return super().balance_minor(currency) - sum(payout.amount_minor for payout in waiting)

    def read_balance(self, request: Request) -> Answer:
        """Tell the balance of one product."""
        self._require_keys(request)
        if request.query.get("app_name") not in {"BPAY", "AIRTIME", "USSD"}:
            raise _refusal(105, "Invalid app_name")
        whole, cents = divmod(self.balance_minor("TZS"), 100)
        return Answer(body={"data": {"credit_bal": f"{whole}.{cents:02d}00"}})

    # What is told.

    def tell(self, movement: Movement) -> Sequence[Draft]:
        url = self.store.recall(self.name, "callback_url")
        # Assumed, not documented: a page that nobody used is told to nobody.
        if not url or movement.status not in {"PAID", "DECLINED"}:
            return ()
        is_bill = "bill" in movement.details
        body = self._collected(movement) if is_bill else _checked_out(movement)
        return (Draft(url=url, body=json.dumps(body)),)

    def callback_headers(self, callback: Callback) -> dict[str, str]:
        transaction_id = json.loads(callback.body).get("transactionID")
        movement = transaction_id and self.store.find(company=self.name, company_ref=transaction_id)
        token = movement.details["token"] if movement else ""
        return {"beem-secure-token": token} if token else {}

    def _collected(self, movement: Movement) -> dict[str, str]:
        return {
            "transaction_id": movement.company_ref,
            "amount_collected": f"{movement.amount_minor // 100}.00",
            "source_currency": "TZS",
            "target_currency": "TZS",
            "subscriber_msisdn": movement.phone,
            "reference_number": str(movement.details["bill"]),
            "paybill_number": self.secrets["paybill_number"],
            "timestamp": _moment(movement),
            "mcc_network": "640",
            "mnc_network": "04",
            "network_name": "vodacom",
        }

    def internal_error(self) -> Any:
        return {"code": 104, "message": "Network timeout"}

    def _require_keys(self, request: Request) -> None:
        pair = f"{self.secrets['api_key']}:{self.secrets['secret_key']}"
        expected = f"Basic {base64.b64encode(pair.encode()).decode()}"
        given = request.headers.get("authorization", "")
        is_right = hmac.compare_digest(given.encode(), expected.encode())
        if not is_right or request.fault == "expired_token":
            raise _refusal(120, "Invalid api_key and/or secret_id", status=HTTPStatus.UNAUTHORIZED)


def _checked_out(movement: Movement) -> dict[str, str]:
    return {
        "amount": str(movement.amount_minor // 100),
        "referenceNumber": movement.reference,
        "status": "success" if movement.status == "PAID" else "failed",
        "timestamp": _moment(movement),
        "transactionID": movement.company_ref,
        "msisdn": movement.phone,
    }


def _moment(movement: Movement) -> str:
    return datetime.fromtimestamp(movement.updated_at, UTC).isoformat(timespec="seconds")


def _is_uuid4(text: str) -> bool:
    try:
        return uuid.UUID(text).version == 4 and str(uuid.UUID(text)) == text.lower()  # noqa: PLR2004 - the version's name
    except ValueError:
        return False


def _is_account(source: object) -> bool:
    return (
        isinstance(source, dict)
        and bool(source.get("account_no"))
        and source.get("currency") == "TZS"
    )


def _is_schedule(moment: object) -> bool:
    """Tell whether it is left out, empty or a time in the documented form."""
    if moment is None or moment == "":
        return True
    try:
        datetime.strptime(str(moment), _SCHEDULE).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _read(request: Request) -> dict[str, Any]:
    return read_object(request, refuse=lambda sentence: _refusal(105, sentence))


def _refusal(code: int, message: str, *, status: int = HTTPStatus.BAD_REQUEST) -> Refused:
    return Refused(status, {"code": code, "message": message})
