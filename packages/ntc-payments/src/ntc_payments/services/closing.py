"""The closing of a day: what came, went and is still open, from the books alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Min, Q, Sum
from ntc_core.money import Money

from ntc_payments.models import Break, LedgerEntry, PaymentAttempt
from ntc_payments.services.statements import STATEMENT_ZONE
from ntc_payments.transitions import LIVE_ATTEMPTS

__all__ = ["ClosingReport", "CompanyDay", "close_day"]

#: What a booking on a company's account is called in the report; anything else is "other".
_COLUMNS = {
    "capture": "received",
    "late_capture": "received",
    "duplicate_capture": "received",
    "mismatch_capture": "received",
    "unmatched_capture": "received",
    "refund": "refunded",
    "payout": "paid_out",
    "fee": "fees",
}


@dataclass(frozen=True, kw_only=True)
class CompanyDay:
    """One company and currency. `opening` + the changes = `closing`, whatever they are."""

    provider: str
    opening: Money
    received: Money
    refunded: Money
    paid_out: Money
    fees: Money
    other: Money
    closing: Money


@dataclass(frozen=True, kw_only=True)
class ClosingReport:
    """A day of Dar es Salaam.

    Attributes:
        suspense: what waits for a decision at the end of the day, per currency.
        customer_credit: what we owe back to payers, per currency.
        open_breaks: kind -> how many are open now.
        live_attempts: how many are on their way now.
        oldest_live_at: since when the oldest of these is.
    """

    day: date
    companies: list[CompanyDay]
    suspense: list[Money]
    customer_credit: list[Money]
    open_breaks: dict[str, int]
    live_attempts: int
    oldest_live_at: datetime | None


def close_day(*, day: date) -> ClosingReport:
    """Return the report of a day. Only reads; asked again later it says the same about it."""
    first = datetime.combine(day, datetime.min.time(), STATEMENT_ZONE)
    end = first + timedelta(days=1)
    live = PaymentAttempt.objects.filter(status__in=LIVE_ATTEMPTS).aggregate(
        count=Count("pk"), oldest=Min("created_at")
    )
    breaks = Break.objects.filter(state=Break.State.OPEN).values_list("kind")
    return ClosingReport(
        day=day,
        companies=_companies(first, end),
        suspense=_owed("suspense", end),
        customer_credit=_owed("customer_credit", end),
        open_breaks=dict(breaks.annotate(count=Count("pk")).order_by("kind")),
        live_attempts=live["count"],
        oldest_live_at=live["oldest"],
    )


def _companies(first: datetime, end: datetime) -> list[CompanyDay]:
    entries = LedgerEntry.objects.filter(account__startswith="provider:", created_at__lt=end)
    openings = entries.values_list("account", "currency").annotate(
        sum=Sum("amount_minor", filter=Q(created_at__lt=first), default=0)
    )
    today = entries.filter(created_at__gte=first).values_list(
        "account", "currency", "transaction__kind"
    )
    changes: dict[tuple[str, str], dict[str, int]] = {}
    for account, currency, kind, minor in today.annotate(sum=Sum("amount_minor")):
        row = changes.setdefault((account, currency), {})
        column = _COLUMNS.get(kind, "other")
        row[column] = row.get(column, 0) + minor
    return [
        _company_day(account, currency, opening, changes.get((account, currency), {}))
        for account, currency, opening in openings.order_by("account", "currency")
    ]


def _company_day(account: str, currency: str, opening: int, row: dict[str, int]) -> CompanyDay:
    columns = ("received", "refunded", "paid_out", "fees", "other")
    return CompanyDay(
        provider=account.removeprefix("provider:"),
        opening=Money(opening, currency),
        closing=Money(opening + sum(row.values()), currency),
        **{column: Money(row.get(column, 0), currency) for column in columns},
    )


def _owed(account: str, end: datetime) -> list[Money]:
    entries = LedgerEntry.objects.filter(account=account, created_at__lt=end)
    sums = entries.values_list("currency").annotate(sum=Sum("amount_minor")).order_by("currency")
    return [Money(-minor, currency) for currency, minor in sums if minor]
