"""The books: double entry, balanced and append-only. The database itself keeps it so.

Accounts are texts, made by `ntc_payments.services.ledger`; a debit is positive, a credit
negative. A mistake is corrected by a new transaction, never by a change.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from ntc_core.models import BaseModel
from ntc_core.money import Money

from ntc_payments.models.columns import AppendOnlyModel

__all__ = ["LedgerEntry", "LedgerTransaction"]


class LedgerTransaction(AppendOnlyModel, BaseModel):
    """One fact in the books, booked at most once: `(source_type, source_id, kind)`.

    On PostgreSQL a deferred trigger refuses the commit of one that is not balanced per
    currency, or has no entry.
    """

    #: What caused it: "attempt", "refund", "payout", "statement_line", "break", "webhook_event".
    source_type = models.CharField(max_length=20)
    #: Its id; with a suffix where one source causes the same fact more than once.
    source_id = models.CharField(max_length=200)
    #: "capture", "late_capture", "duplicate_capture", "refund", "payout", "fee", …
    kind = models.CharField(max_length=30)
    description = models.CharField(max_length=200, blank=True)
    #: When it happened by the company's clock, where it says so.
    occurred_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "ledger transaction"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["source_type", "source_id", "kind"], name="ntc_ledger_booked_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.source_type} {self.source_id}"


class LedgerEntry(AppendOnlyModel):
    """One side of a transaction. Triggers refuse UPDATE, DELETE and TRUNCATE."""

    id = models.BigAutoField(primary_key=True)
    transaction = models.ForeignKey(
        LedgerTransaction, on_delete=models.PROTECT, related_name="entries"
    )
    account = models.CharField(max_length=100)
    #: Debit positive, credit negative.
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "ledger entry"
        verbose_name_plural = "ledger entries"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(condition=~Q(amount_minor=0), name="ntc_ledger_entry_not_zero"),
            models.CheckConstraint(
                condition=Q(currency__regex=r"^[A-Z]{3}$"), name="ntc_ledger_entry_currency_code"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "currency", "created_at"], name="ntc_ledger_account"),
        ]

    def __str__(self) -> str:
        side = "debit" if self.amount_minor > 0 else "credit"
        return f"{side} {self.account} {self.money}"

    @property
    def money(self) -> Money:
        """The amount without its side."""
        return Money(minor=abs(self.amount_minor), currency=self.currency)
