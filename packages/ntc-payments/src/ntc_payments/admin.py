"""Payments for staff: everything to see, nothing to change by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from ntc_core.admin import ReadOnlyRows
from ntc_core.phone import mask_phone

from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent

__all__ = ["PaymentAdmin", "PaymentAttemptAdmin", "PaymentEventAdmin"]

if TYPE_CHECKING:
    # Generic in the stubs only.
    PaymentInline = admin.TabularInline[Any, Payment]
    BaseAdmin = admin.ModelAdmin[Any]
else:
    PaymentInline = admin.TabularInline
    BaseAdmin = admin.ModelAdmin


class AttemptInline(ReadOnlyRows, PaymentInline):
    """The tries of a payment."""

    model = PaymentAttempt
    fields = (
        "provider",
        "reference",
        "provider_ref",
        "status",
        "settles",
        "sends",
        "sent_at",
        "polls",
        "next_poll_at",
        "failure_code",
        "failure_message",
    )
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True


class EventInline(ReadOnlyRows, PaymentInline):
    """The timeline of a payment."""

    model = PaymentEvent
    verbose_name_plural = "timeline"
    fields = (
        "created_at",
        "kind",
        "source",
        "claim",
        "applied",
        "reason",
        "from_status",
        "to_status",
        "provider_ref",
        "failure_message",
        "request_id",
    )
    readonly_fields = fields
    extra = 0
    can_delete = False


@admin.register(Payment)
class PaymentAdmin(ReadOnlyRows, BaseAdmin):
    """Payments with their attempts and timeline."""

    list_display = ("uid", "payer", "money", "method", "status", "description", "created_at")
    list_filter = ("status", "method", "currency", "created_at")
    search_fields = ("uid", "purpose", "attempts__reference", "attempts__provider_ref")
    list_select_related = ("payer",)
    date_hierarchy = "created_at"
    inlines = (AttemptInline, EventInline)
    fields = (
        "uid",
        "payer",
        "money",
        "method",
        "status",
        "purpose",
        "description",
        "masked_phone",
        "return_url",
        "idempotency_key",
        "metadata",
        "created_at",
        "expires_at",
        "succeeded_at",
        "version",
    )
    readonly_fields = fields

    @admin.display(description="phone")
    def masked_phone(self, payment: Payment) -> str:
        """Return enough to recognise the number."""
        return mask_phone(payment.phone_e164) if payment.phone_e164 else "-"


@admin.register(PaymentAttempt)
class PaymentAttemptAdmin(ReadOnlyRows, BaseAdmin):
    """Tries at companies."""

    list_display = (
        "reference",
        "provider",
        "provider_ref",
        "status",
        "settles",
        "sent_at",
        "next_poll_at",
        "failure_code",
    )
    list_filter = ("status", "provider", "settles", "created_at")
    search_fields = ("reference", "provider_ref", "payment__uid")
    fields = (
        "payment",
        "provider",
        "reference",
        "provider_ref",
        "method",
        "masked_phone",
        "money",
        "status",
        "settles",
        "exclusive",
        "sends",
        "sent_at",
        "lease_until",
        "polls",
        "last_polled_at",
        "next_poll_at",
        "not_found_count",
        "checkout_url",
        "failure_code",
        "failure_message",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields

    @admin.display(description="phone")
    def masked_phone(self, attempt: PaymentAttempt) -> str:
        """Return enough to recognise the number."""
        return mask_phone(attempt.phone_e164) if attempt.phone_e164 else "-"


@admin.register(PaymentEvent)
class PaymentEventAdmin(ReadOnlyRows, BaseAdmin):
    """The history of all payments; `applied: no` and a reason are worth a look."""

    list_display = (
        "created_at",
        "attempt",
        "kind",
        "source",
        "claim",
        "applied",
        "reason",
        "from_status",
        "to_status",
    )
    list_filter = ("applied", "reason", "kind", "source", "claim", "created_at")
    search_fields = ("payment__uid", "attempt__reference", "provider_ref")
    list_select_related = ("attempt",)
