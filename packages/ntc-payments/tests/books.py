"""What the books say, in a form that tests compare."""

from __future__ import annotations

from typing import Any

from django.db.models import Sum
from ntc_payments.models import Break, LedgerEntry

__all__ = ["balances", "breaks"]


def balances(currency: str = "TZS") -> dict[str, int]:
    """Return account -> debits minus credits in minor units; accounts at zero left out."""
    sums = LedgerEntry.objects.filter(currency=currency).values("account")
    rows = sums.order_by("account").annotate(sum=Sum("amount_minor"))
    return {row["account"]: row["sum"] for row in rows if row["sum"]}


def breaks(**which: Any) -> list[tuple[str, str]]:
    """Return (kind, state) of every break, oldest first."""
    return list(Break.objects.filter(**which).order_by("id").values_list("kind", "state"))
