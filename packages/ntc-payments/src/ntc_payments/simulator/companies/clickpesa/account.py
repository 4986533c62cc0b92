"""The merchant's account at ClickPesa: balance, statement, and what all its parts share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from ntc_payments.simulator.companies.base import Company
from ntc_payments.simulator.companies.clickpesa import shapes
from ntc_payments.simulator.exchange import Answer
from ntc_payments.simulator.store import DuplicateReference, Movement

__all__ = ["Account", "listed"]


class Account(Company):
    """What it holds for a merchant."""

    def list_banks(self, query: Mapping[str, str]) -> Answer:
        """The banks that payouts reach."""
        del query
        return Answer(body=[{"name": name, "bic": bic} for bic, name in shapes.BANKS.items()])

    def balance(self, query: Mapping[str, str]) -> Answer:
        """What it holds for the merchant."""
        del query
        return Answer(
            body=[
                {"currency": currency, "balance": shapes.major(self.balance_minor(currency))}
                for currency in ("TZS", "USD")
            ]
        )

    def statement(self, query: Mapping[str, str]) -> Answer:
        """Every movement of money between two days, in UTC; a fee has its own line."""
        currency = shapes.read_choice(query, "currency", "TZS", "USD")
        moved = [
            each
            for each in self.store.list_movements(company=self.name, limit=1_000_000)
            if each.currency == currency and each.status == "PAID"
        ]
        lines = _lines(reversed(moved), closing_minor=self.balance_minor(currency))
        chosen = [line for line in lines if _is_between(line["date"], query)]
        sums = {
            entry: sum(line["amount"] for line in chosen if line["entry"] == entry)
            for entry in ("Credit", "Debit")
        }
        closing = chosen[-1]["balance"] if chosen else shapes.major(self.balance_minor(currency))
        return Answer(
            body={
                "accountDetails": {
                    "currency": currency,
                    "openingBalance": closing - sums["Credit"] + sums["Debit"],
                    "closingBalance": closing,
                    "totalCredits": sums["Credit"],
                    "totalDebits": sums["Debit"],
                },
                "transactions": chosen,
            }
        )

    def _add(self, movement: Movement, **changes: Any) -> Movement:
        try:
            return self.store.add(replace(movement, **changes))
        except DuplicateReference as error:
            raise shapes.refusal(
                HTTPStatus.CONFLICT,
                f"Order reference {error} already used: Create a different reference",
            ) from None


def listed(rows: Iterable[dict[str, Any]], query: Mapping[str, str]) -> Answer:
    """Return one piece of the rows that the filters of a query leave."""
    names = ("status", "collectedCurrency", "currency", "channel", "orderReference", "transferType")
    found = [
        row
        for row in rows
        if all(str(row.get(name)) == query[name] for name in names if name in query)
        and _is_between(row["createdAt"], query)
    ]
    if query.get("orderBy") == "ASC":
        found.reverse()
    if not all(query.get(name, "0").isdigit() for name in ("skip", "limit")):
        raise shapes.refusal(400, ["skip and limit must be numbers"])
    skip, limit = int(query.get("skip", "0")), int(query.get("limit", "20"))
    return Answer(body={"data": found[skip : skip + limit], "totalCount": len(found)})


def _is_between(moment: str, query: Mapping[str, str]) -> bool:
    day = shapes.read_date(moment[:10])
    starts = shapes.read_date(query["startDate"]) if "startDate" in query else day
    ends = shapes.read_date(query["endDate"]) if "endDate" in query else day
    return starts <= day <= ends


def _lines(moved: Iterable[Movement], *, closing_minor: int) -> list[dict[str, Any]]:
    """Return the lines of a statement, oldest first, each with the balance after it."""
    steps: list[tuple[Movement, str, int]] = []
    for each in moved:
        is_in = each.kind == "collection"
        kind = "Payment" if is_in else "Payout"
        steps.append((each, kind, each.amount_minor if is_in else -each.amount_minor))
        if each.fee_minor:
            steps.append((each, "Fee", -each.fee_minor))
    balance_minor = closing_minor - sum(step for _, _, step in steps)
    lines = []
    for each, kind, step in steps:
        balance_minor += step
        lines.append(
            {
                "id": f"{each.company_ref}{'F' if kind == 'Fee' else ''}",
                "date": shapes.iso(each.updated_at),
                "description": kind,
                "entry": "Credit" if step > 0 else "Debit",
                "amount": shapes.major(abs(step)),
                "currency": each.currency,
                "balance": shapes.major(balance_minor),
                "orderReference": each.details["order_reference"],
                "type": kind,
            }
        )
    return lines
