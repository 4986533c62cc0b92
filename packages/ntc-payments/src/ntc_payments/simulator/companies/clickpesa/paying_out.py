"""How ClickPesa pays out: to wallets and to banks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from ntc_payments.simulator.companies.clickpesa import shapes
from ntc_payments.simulator.companies.clickpesa.account import Account, listed
from ntc_payments.simulator.exchange import Answer
from ntc_payments.simulator.store import Movement

__all__ = ["PayingOut"]

_COOLDOWN_SECONDS = 60
#: By transfer type; "" is a wallet.
_FEES_MINOR = {"": 47_100, "ACH": 150_000, "RTGS": 1_000_000}
_BANK_LIMITS = {"ACH": (2_500, 20_000_000), "RTGS": (11_900, 1_000_000_000)}


class PayingOut(Account):
    """Payouts, each with a fee that the merchant bears."""

    def preview_payout(self, values: Mapping[str, Any]) -> Answer:
        """Tell what a payout would cost."""
        payout = self._read_payout({"accountName": "JUMA ALLY", **values})
        total = payout.amount_minor + payout.fee_minor
        amount = shapes.major(payout.amount_minor)
        return Answer(
            body={
                "amount": shapes.major(total),
                "balance": shapes.major(self.balance_minor("TZS")),
                "channelProvider": payout.details["channel_provider"],
                "fee": shapes.major(payout.fee_minor),
                "order": {"amount": amount, "currency": "TZS", "id": payout.reference},
                "payoutFeeBearer": "merchant",
                "receiver": {
                    **payout.details["receiver"],
                    "accountCurrency": "TZS",
                    "amount": amount,
                },
                "transferType": payout.details["transfer_type"],
            }
        )

    def create_payout(self, values: Mapping[str, Any]) -> Answer:
        """Pay out; what becomes of it is in the last digit of the receiver's account."""
        payout = self._read_payout({"accountName": "", **values} if "bic" not in values else values)
        known = self.store.list_movements(company=self.name, kind="payout", limit=50)
        if payout.reference not in {each.reference for each in known}:
            _require_pause(payout, known)
        payout = self._add(payout)
        answer = Answer(body=shapes.payout_row(payout, client_id=self.secrets["client_id"]))
        ending = payout.phone[-1:]
        if ending != "0":
            self._end(payout, "FAILED" if ending == "9" else "PAID")
        return answer

    def query_payout(self, query: Mapping[str, str], *, reference: str) -> Answer:
        """Tell what became of a payout. One to ..8 comes back once its success was told."""
        del query
        payout = self.store.find(company=self.name, kind="payout", reference=reference)
        if payout is None:
            raise shapes.refusal(404, f"Invalid or missing payout: {reference}")
        if payout.phone.endswith("8"):
            self.store.change(payout.uid, allowed=("PAID",), status="RETURNED", tell=self.tell)
        return Answer(body=[shapes.payout_row(payout, client_id=self.secrets["client_id"])])

    def list_payouts(self, query: Mapping[str, str]) -> Answer:
        """Payouts by filter."""
        client_id = self.secrets["client_id"]
        payouts = self.store.list_movements(company=self.name, kind="payout", limit=1_000_000)
        return listed((shapes.payout_row(each, client_id=client_id) for each in payouts), query)

    def _read_payout(self, values: Mapping[str, Any]) -> Movement:
        amount_minor = shapes.read_number(values, "amount")
        reference = shapes.read_reference(values)
        shapes.read_choice(values, "currency", "TZS")
        kind = ""
        if "phoneNumber" in values:
            channel, provider = "MOBILE MONEY", shapes.network_of(values["phoneNumber"])
            account = str(values["phoneNumber"])
        else:
            account = shapes.read_text(values, "accountNumber", pattern=r"[A-Za-z0-9]{4,34}")
            shapes.read_text(values, "accountName")
            bic = shapes.read_choice(values, "bic", *shapes.BANKS)
            channel, provider = "BANK TRANSFER", shapes.BANKS[bic]
            kind = shapes.read_choice(values, "transferType", *_BANK_LIMITS)
            lowest, highest = _BANK_LIMITS[kind]
            if not lowest * 100 <= amount_minor <= highest * 100:
                raise shapes.refusal(400, f"{kind} amounts are from {lowest} to {highest}")
        fee_minor = _FEES_MINOR[kind]
        known = self.store.find(company=self.name, kind="payout", reference=reference)
        if known is None and amount_minor + fee_minor > self.balance_minor("TZS"):
            raise shapes.refusal(400, "Insufficient balance")
        payout = shapes.new_movement(reference, amount_minor, "TZS", way="payout", channel=channel)
        receiver = {"accountNumber": account, "accountName": values["accountName"] or "JUMA ALLY"}
        extra = {"channel_provider": provider, "receiver": receiver, "transfer_type": kind}
        return replace(
            payout,
            kind="payout",
            phone=account,
            fee_minor=fee_minor,
            is_shown=False,
            prompts=0,
            details={**payout.details, **extra},
        )


def _require_pause(payout: Movement, known: Iterable[Movement]) -> None:
    """Refuse the same sum to the same receiver, asked for in a hurry."""
    for other in known:
        waited = time.time() - other.created_at
        is_same = (other.phone, other.amount_minor) == (payout.phone, payout.amount_minor)
        if is_same and waited < _COOLDOWN_SECONDS:
            raise shapes.refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"Please wait {int(_COOLDOWN_SECONDS - waited) + 1} seconds before another payout",
            )
