"""Selcom's float: payouts to wallets, Selcom Pesa and banks, and who may call at all."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from ntc_payments.simulator.companies.base import STARTING_FLOAT_MINOR, Company
from ntc_payments.simulator.companies.selcom.calls import (
    TRANSID,
    envelope,
    new_number,
    read_amount,
    read_call,
    read_text,
    refusal,
)
from ntc_payments.simulator.exchange import Answer, Request, Route
from ntc_payments.simulator.store import DuplicateReference, Movement

__all__ = ["SelcomPayouts"]

_WALLETS = "VMCASHIN|AMCASHIN|TPCASHIN|EZCASHIN|HPCASHIN|TTCASHIN|CASHIN"
_BANKS = (
    "ABSA|SPSCASHIN|AKIBA|AMANABANK|AZANIA|BANCABC|BOA|BANKOFBARODA|BANKOFINDIA|CHINADASHENG"
    "|CITIBANK|CRDBBANK|DCBBANK|DTB|ECOBANK|EQUITYBANK|EXIMBANK|FINCA|GTBANK|HABIBBANK|IMBANK"
    "|ICB|KCB|KILIMANJARO|LETSHEGO|MAENDELEO|MKOMBOZI|MWALIMU|MWANGA|NMB|NBC|NCBA|PBZ|STANBIC"
    "|TCB|UCHUMI|UBA"
)
_RECEIVER = re.compile(r"(0|255)[67][0-9]{8}", re.ASCII)
_SMALLEST_WALLET_PAYOUT = 1000
#: By the last digit of the receiver; every other one is paid at once.
_ENDS = {"0": "PENDING", "9": "FAILED"}
#: Paid too, but the call that pays does not know.
_AMBIGUOUS = "8"


class SelcomPayouts(Company):
    """The half of Selcom that pays out."""

    name: ClassVar[str] = "selcom"
    prefix: ClassVar[str] = "/selcom"
    keys: ClassVar[Mapping[str, str]] = {
        "SELCOM_API_KEY": "api_key",
        "SELCOM_API_SECRET": "api_secret",
        "SELCOM_VENDOR": "vendor",
        "SELCOM_FLOAT_VENDOR": "float_vendor",
        "SELCOM_PIN": "pin",
        "SELCOM_C2B_TOKEN": "c2b_token",
    }
    samples: ClassVar[Mapping[str, str]] = {
        "vendor": "TILL60000001",
        "float_vendor": "FLOAT60000001",
        "pin": "000000",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: Held where something is looked at and then changed.
        self._lock = threading.Lock()

    def routes(self) -> Sequence[Route]:
        rail = r"/v1/(?P<rail>walletcashin|selcompesa|qwiksend)"
        return (
            Route("POST", r"/v1/walletcashin/process", "payout", self.pay_wallet),
            Route("POST", r"/v1/selcompesa/cashin", "payout", self.pay_pesa),
            Route("POST", r"/v1/qwiksend/process", "payout", self.pay_bank),
            Route("GET", r"/v1/(walletcashin|selcompesa)/namelookup", "other", self.look_up),
            Route("GET", r"/v1/qwiksend/lookup/?", "other", self.look_up_account),
            Route("GET", f"{rail}/query", "query", self.read_payout),
            Route("POST", r"/v1/vendor/balance", "other", self.read_balance),
        )

    def pay_wallet(self, request: Request) -> Answer:
        """Pay to a mobile wallet."""
        fields = self._read(request)
        read_text(fields, "utilitycode", _WALLETS)
        receiver = read_text(fields, "utilityref")
        if not _RECEIVER.fullmatch(receiver):
            raise refusal("010", "Invalid mobile number or operator not supported")
        if read_amount(fields) < _SMALLEST_WALLET_PAYOUT:
            raise refusal("013", "Amount is below the limit")
        return self._pay_out(fields, rail="walletcashin", receiver=receiver)

    def pay_pesa(self, request: Request) -> Answer:
        """Pay to a Selcom Pesa account."""
        fields = self._read(request)
        receiver = read_text(fields, "utilityref", "[0-9]{6,16}")
        return self._pay_out(fields, rail="selcompesa", receiver=receiver)

    def pay_bank(self, request: Request) -> Answer:
        """Pay to a bank account."""
        fields = self._read(request)
        read_text(fields, "recipientFiCode", _BANKS)
        for name in ("recipientName", "senderAccount", "senderName", "msisdn", "purpose"):
            read_text(fields, name)
        receiver = read_text(fields, "recipientAccount", "[0-9A-Za-z]{4,30}")
        return self._pay_out(fields, rail="qwiksend", receiver=receiver)

    def look_up(self, request: Request) -> Answer:
        """Tell whose wallet it is."""
        fields = self._read(request)
        if "walletcashin" in request.path:
            read_text(fields, "utilitycode", _WALLETS)
        read_text(fields, "utilityref")
        return _name(read_text(fields, "transid", TRANSID))

    def look_up_account(self, request: Request) -> Answer:
        """Tell whose bank account it is."""
        fields = self._read(request)
        read_text(fields, "bank", _BANKS)
        read_text(fields, "account")
        return _name(read_text(fields, "transid", TRANSID))

    def read_payout(self, request: Request, *, rail: str) -> Answer:
        """Tell what became of a payout of this rail; of others it knows nothing."""
        transid = read_text(self._read(request), "transid", TRANSID)
        payout = self.store.find(company=self.name, kind="payout", reference=transid)
        if payout is None or payout.details["rail"] != rail:
            # As seen live: an unknown one is answered like one that is in doubt.
            return Answer(body=envelope("999", "No response from upstream system"))
        if payout.status == "PENDING":
            body = envelope("111", "Transaction is being processed")
        elif payout.status == "FAILED":
            body = envelope("010", "Transaction failed")
        else:
            receipt = {"receipt": payout.company_ref[-5:]}
            body = envelope("000", "Transaction successful", [receipt], messageId=new_number())
        return Answer(body={**body, "reference": payout.company_ref})

    def read_balance(self, request: Request) -> Answer:
        """Tell what is left to pay out."""
        fields = self._read(request)
        self._require_float(fields)
        transid = read_text(fields, "transid", TRANSID)
        balance = {"balance": str(self.balance_minor("TZS") // 100)}
        return Answer(body=envelope("000", "Balance successful", [balance], transid=transid))

    def balance_minor(self, currency: str) -> int:
        """Return the float: prepaid, and never filled by what is collected."""
        payouts = self.store.list_movements(
            company=self.name, kind="payout", currency=currency, limit=1_000_000
        )
        out = sum(payout.amount_minor for payout in payouts if payout.status != "FAILED")
        return STARTING_FLOAT_MINOR - out

    def _pay_out(self, fields: Mapping[str, Any], *, rail: str, receiver: str) -> Answer:
        self._require_float(fields)
        payout = Movement(
            company=self.name,
            kind="payout",
            reference=read_text(fields, "transid", TRANSID),
            company_ref=new_number(),
            amount_minor=read_amount(fields) * 100,
            currency="TZS",
            phone=receiver,
            status=_ENDS.get(receiver[-1], "PAID"),
            is_shown=False,
            details={"rail": rail},
        )
        with self._lock:
            if payout.amount_minor > self.balance_minor("TZS"):
                raise refusal("990", "Insufficient balance")
            self._add(payout, "transid")
        if payout.status != "PAID":
            body = envelope("111", "Transaction is being processed")
        elif receiver.endswith(_AMBIGUOUS):
            body = envelope("999", "No response from upstream system")
        else:
            body = envelope("000", "Cash-in confirmed")
        return Answer(body={**body, "transid": payout.reference, "reference": payout.company_ref})

    def _read(self, request: Request) -> dict[str, Any]:
        return read_call(request, key=self.secrets["api_key"], secret=self.secrets["api_secret"])

    def _require_vendor(self, fields: Mapping[str, Any], option: str = "vendor") -> None:
        if read_text(fields, "vendor") != self.secrets[option]:
            raise refusal(
                "403",
                "API endpoint not enabled for the vendor (4035)",
                status=HTTPStatus.FORBIDDEN,
            )

    def _require_float(self, fields: Mapping[str, Any]) -> None:
        self._require_vendor(fields, "float_vendor")
        if read_text(fields, "pin") != self.secrets["pin"]:
            # Assumed, not documented.
            raise refusal("403", "Invalid PIN", status=HTTPStatus.FORBIDDEN)

    def _add(self, movement: Movement, name: str) -> None:
        try:
            self.store.add(movement)
        except DuplicateReference:
            # Not documented; doing it a second time would be the worse guess.
            raise refusal("409", f"Duplicate {name}") from None


def _name(transid: str) -> Answer:
    name = {"name": "ASHA JUMA"}
    return Answer(body=envelope("000", "Name fetch successful", [name], transid=transid))
