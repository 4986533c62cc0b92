"""Payments for staff: everything to see, nothing to change by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from ntc_core.admin import ReadOnlyRows, masked_link, moment_column, short_uid
from ntc_core.masking import mask_text
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
    sent = staticmethod(moment_column("sent_at"))
    next_poll = staticmethod(moment_column("next_poll_at"))
    # Provider and reference head each row, as the attempt's name.
    fields = (
        "provider_ref",
        "status",
        "settles",
        "sends",
        "sent",
        "polls",
        "next_poll",
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
    created = staticmethod(moment_column("created_at"))
    verbose_name_plural = "timeline"
    # What happened, from which status to which, heads each row, as the event's name.
    fields = (
        "created",
        "applied",
        "reason",
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

    list_display = (
        "short_uid",
        "payer_masked",
        "money",
        "status",
        "description",
        moment_column("created_at"),
    )
    list_filter = ("status", "method", "currency", "created_at")
    search_fields = ("uid", "purpose", "attempts__reference", "attempts__provider_ref")
    list_select_related = ("payer",)
    date_hierarchy = "created_at"
    inlines = (AttemptInline, EventInline)
    fields = (
        "uid",
        "payer_link",
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

    @admin.display(description="uid", ordering="pk")
    def short_uid(self, payment: Payment) -> str:
        """Return the end of the uid."""
        return short_uid(payment.uid)

    @admin.display(description="payer")
    def payer_masked(self, payment: Payment) -> str:
        """Return who pays: a name that is a phone or an address is masked."""
        return mask_text(str(payment.payer))

    @admin.display(description="payer")
    def payer_link(self, payment: Payment) -> str:
        """Return who pays, masked, with a link to their page."""
        return masked_link(payment.payer)

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
        "status",
        "settles",
        moment_column("sent_at"),
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
        moment_column("created_at"),
        "reference",
        "__str__",
        "applied",
        "reason",
    )
    list_filter = ("applied", "reason", "kind", "source", "claim", "created_at")
    search_fields = ("payment__uid", "attempt__reference", "provider_ref")
    list_select_related = ("attempt",)

    @admin.display(ordering="attempt__reference")
    def reference(self, event: PaymentEvent) -> str:
        """Return under which reference the company knows it."""
        return event.attempt.reference if event.attempt else "-"
