"""Write the books: one debit, one credit, once per fact. Corrections are new facts.

Accounts are texts. Seen from us:

- `provider:<name>` (asset): what the company holds for us.
- `sales`: money that paid a payment.
- `suspense`: money that came, and whose purpose somebody must decide.
- `customer_credit`: money we owe back to a payer: a second charge.
- `payouts`: money we paid out.
- `fees:<name>`: what the company kept or took.
"""

from __future__ import annotations

from datetime import datetime

from django.db import models, transaction
from django.db.models import Sum
from ntc_core.money import Money

from ntc_payments.models import LedgerEntry, LedgerTransaction

__all__ = [
    "CUSTOMER_CREDIT",
    "PAYOUTS",
    "SALES",
    "SUSPENSE",
    "account_balance",
    "book",
    "fee_account",
    "provider_account",
]

SALES = "sales"
SUSPENSE = "suspense"
CUSTOMER_CREDIT = "customer_credit"
PAYOUTS = "payouts"


def provider_account(name: str) -> str:
    """Return the account of what a company holds for us."""
    return f"provider:{name}"


def fee_account(name: str) -> str:
    """Return the account of what a company charges us."""
    return f"fees:{name}"


def book(
    *,
    kind: str,
    source: models.Model,
    suffix: str = "",
    debit: str,
    credit: str,
    money: Money,
    description: str = "",
    occurred_at: datetime | None = None,
) -> bool:
    """Move money from the `credit` account to the `debit` account, in the caller's transaction.

    Args:
        source: the row that causes it.
        suffix: tells several such facts of one source apart, such as two charges.

    Returns:
        False when this fact is in the books already; nothing is written then.

    Raises:
        ValueError: the amount is not more than zero, or both accounts are the same.
    """
    if money.minor <= 0 or debit == credit:
        raise ValueError("A booking moves more than zero between two accounts.")
    source_id = f"{source.pk}:{suffix}" if suffix else str(source.pk)
    fact = LedgerTransaction(
        source_type=str(source._meta.model_name),  # noqa: SLF001 - Django's documented name
        source_id=source_id,
        kind=kind,
        description=description,
        occurred_at=occurred_at,
    )
    # No savepoint: the caller's transaction lives or dies with its bookings.
    with transaction.atomic(savepoint=False):
        # ON CONFLICT DO NOTHING: of two that book the same fact one waits, and then sees it.
        LedgerTransaction.objects.bulk_create([fact], ignore_conflicts=True)
        stored = LedgerTransaction.objects.filter(uid=fact.uid).first()
        if stored is None:
            return False
        LedgerEntry.objects.bulk_create(
            LedgerEntry(
                transaction=stored, account=account, amount_minor=minor, currency=money.currency
            )
            for account, minor in ((debit, money.minor), (credit, -money.minor))
        )
    return True


def account_balance(account: str, *, currency: str) -> Money:
    """Return debits minus credits of one account in one currency."""
    entries = LedgerEntry.objects.filter(account=account, currency=currency)
    return Money(
        minor=entries.aggregate(sum=Sum("amount_minor"))["sum"] or 0,
        currency=currency,
    )
