"""Refunds and payouts, with their lines of history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from ntc_core.admin import ReadOnlyRows, moment_column
from ntc_core.masking import mask_text

from ntc_payments.admin.base import BaseAdmin, BaseInline, link_to, masked_account, masked_phone
from ntc_payments.models import CompanyExchange, PaymentEvent, Payout, Refund

__all__ = ["PayoutAdmin", "RefundAdmin"]

_CALL_FIELDS = (
    "provider",
    "reference",
    "provider_ref",
    "money",
    "fee",
    "status",
    "sends",
    "sent_at",
    "lease_until",
    "polls",
    "last_polled_at",
    "next_poll_at",
    "failure_code",
    "failure_message",
    "idempotency_key",
    "created_at",
    "updated_at",
)


class EventInline(ReadOnlyRows, BaseInline):
    """What happened to it."""

    model = PaymentEvent
    created = staticmethod(moment_column("created_at"))
    verbose_name_plural = "history"
    # What happened, from which status to which, heads each row, as the event's name.
    fields = ("created", "applied", "reason", "provider_ref", "failure_message", "who")
    readonly_fields = fields
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the lines with who did them."""
        return super().get_queryset(request).select_related("actor")

    @admin.display(description="who")
    def who(self, event: PaymentEvent) -> str:
        """Return the member of staff who did it."""
        return mask_text(str(event.actor)) if event.actor else "-"


class ExchangeInline(ReadOnlyRows, BaseInline):
    """What we asked of the company about it."""

    model = CompanyExchange
    started = staticmethod(moment_column("started_at"))
    # Purpose, request and end head each row, as the exchange's name.
    fields = ("started", "request_id")
    readonly_fields = fields
    extra = 0


@admin.register(Refund)
class RefundAdmin(ReadOnlyRows, BaseAdmin):
    """Money that goes back."""

    list_display = (
        "reference",
        "provider",
        "money",
        "route",
        "status",
        moment_column("created_at"),
        moment_column("sent_at"),
    )
    list_filter = ("status", "route", "provider", "currency", "created_at")
    search_fields = ("uid", "reference", "provider_ref", "payment__uid", "attempt__reference")
    date_hierarchy = "created_at"
    inlines = (EventInline, ExchangeInline)
    fields = (
        "uid",
        "payment_link",
        "attempt_link",
        "route",
        "payout_link",
        "masked_reason",
        "requester",
        *_CALL_FIELDS,
    )
    readonly_fields = fields

    @admin.display(description="payment")
    def payment_link(self, refund: Refund) -> str:
        """Return the payment, with a link to its timeline."""
        return link_to(refund.payment)

    @admin.display(description="attempt")
    def attempt_link(self, refund: Refund) -> str:
        """Return the attempt whose money it is."""
        return link_to(refund.attempt)

    @admin.display(description="payout")
    def payout_link(self, refund: Refund) -> str:
        """Return the payout by which it goes."""
        return link_to(refund.payout)

    @admin.display(description="reason")
    def masked_reason(self, refund: Refund) -> str:
        """Return why."""
        return mask_text(refund.reason)

    @admin.display(description="requested by")
    def requester(self, refund: Refund) -> str:
        """Return who asked for it; nobody: a policy did."""
        return link_to(refund.requested_by)


@admin.register(Payout)
class PayoutAdmin(ReadOnlyRows, BaseAdmin):
    """Money that we pay out."""

    list_display = (
        "reference",
        "provider",
        "method",
        "money",
        "status",
        "purpose",
        moment_column("created_at"),
        moment_column("sent_at"),
    )
    list_filter = ("status", "method", "provider", "currency", "created_at")
    search_fields = ("uid", "reference", "provider_ref", "purpose")
    date_hierarchy = "created_at"
    inlines = (EventInline, ExchangeInline)
    fields = (
        "uid",
        "creator",
        "method",
        "rail",
        "masked_phone",
        "bank_code",
        "masked_account",
        "purpose",
        "description",
        *_CALL_FIELDS,
    )
    readonly_fields = fields

    @admin.display(description="created by")
    def creator(self, payout: Payout) -> str:
        """Return who paid it out."""
        return link_to(payout.created_by)

    @admin.display(description="phone")
    def masked_phone(self, payout: Payout) -> str:
        """Return enough to recognise the number."""
        return masked_phone(payout.phone_e164)

    @admin.display(description="account")
    def masked_account(self, payout: Payout) -> str:
        """Return the end of the account's number."""
        return masked_account(payout.account_number)
