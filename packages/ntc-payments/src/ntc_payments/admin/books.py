"""The books and the companies' statements."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from ntc_core.admin import ReadOnlyRows, moment_column
from ntc_core.masking import mask_text

from ntc_payments.admin.base import BaseAdmin, BaseInline, link_to
from ntc_payments.models import LedgerEntry, LedgerTransaction, StatementLine

__all__ = ["LedgerEntryAdmin", "LedgerTransactionAdmin", "StatementLineAdmin"]


class LedgerEntryInline(ReadOnlyRows, BaseInline):
    """The sides of a transaction."""

    model = LedgerEntry
    # Side, account and amount head each row, as the entry's name.
    fields = ("account", "amount_minor", "currency")
    readonly_fields = fields
    extra = 0


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(ReadOnlyRows, BaseAdmin):
    """Facts in the books."""

    list_display = (
        "__str__",
        "sides",
        "description",
        moment_column("created_at"),
        moment_column("occurred_at"),
    )
    list_filter = ("kind", "source_type", "created_at")
    search_fields = ("uid", "source_id", "description")
    date_hierarchy = "created_at"
    show_full_result_count = False
    inlines = (LedgerEntryInline,)
    fields = (
        "uid",
        "kind",
        "source_type",
        "source_id",
        "description",
        "occurred_at",
        "created_at",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the facts with their sides."""
        return super().get_queryset(request).prefetch_related("entries")

    @admin.display(description="entries")
    def sides(self, fact: LedgerTransaction) -> str:
        """Return what went from where to where."""
        return ", ".join(str(entry) for entry in fact.entries.all())


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyRows, BaseAdmin):
    """The sides of all facts; the search finds those of an account by its first letters."""

    list_display = ("__str__", "account", "fact", moment_column("created_at"))
    list_filter = ("created_at",)
    search_fields = ("^account", "transaction__source_id")
    list_select_related = ("transaction",)
    date_hierarchy = "created_at"
    show_full_result_count = False
    fields = ("fact", "account", "amount_minor", "currency", "created_at")
    readonly_fields = fields

    @admin.display(description="transaction")
    def fact(self, entry: LedgerEntry) -> str:
        """Return the fact it is a side of."""
        return link_to(entry.transaction)


@admin.register(StatementLine)
class StatementLineAdmin(ReadOnlyRows, BaseAdmin):
    """What the companies say they did."""

    list_display = (
        "provider",
        "reference",
        "provider_ref",
        "subject",
        "money",
        "state",
        moment_column("booked_at"),
    )
    list_filter = ("state", "provider", "subject", "currency", "booked_at")
    search_fields = ("uid", "reference", "provider_ref", "line_key")
    date_hierarchy = "booked_at"
    show_full_result_count = False
    fields = (
        "uid",
        "provider",
        "line_key",
        "subject",
        "reference",
        "provider_ref",
        "money",
        "fee_minor",
        "masked_description",
        "state",
        "attempt_link",
        "refund_link",
        "payout_link",
        "booked_at",
        "created_at",
    )
    readonly_fields = fields

    @admin.display(description="description")
    def masked_description(self, line: StatementLine) -> str:
        """Return the company's words."""
        return mask_text(line.description) or "-"

    @admin.display(description="attempt")
    def attempt_link(self, line: StatementLine) -> str:
        """Return the attempt it was matched with."""
        return link_to(line.attempt)

    @admin.display(description="refund")
    def refund_link(self, line: StatementLine) -> str:
        """Return the refund it was matched with."""
        return link_to(line.refund)

    @admin.display(description="payout")
    def payout_link(self, line: StatementLine) -> str:
        """Return the payout it was matched with."""
        return link_to(line.payout)
