"""Payments, their attempts and their history: everything to see, nothing to change."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from ntc_core.admin import ReadOnlyRows, masked_link, moment_column, short_uid
from ntc_core.masking import mask_text, mask_value

from ntc_payments.admin.base import BaseAdmin, BaseInline, host_of, link_to, masked_phone
from ntc_payments.admin.timeline import list_lines
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent

__all__ = ["PaymentAdmin", "PaymentAttemptAdmin", "PaymentEventAdmin"]


class AttemptInline(ReadOnlyRows, BaseInline):
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


@admin.register(Payment)
class PaymentAdmin(ReadOnlyRows, BaseAdmin):
    """Payments with their attempts, and each one's timeline."""

    change_form_template = "ntc_payments/admin/payment.html"

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
    inlines = (AttemptInline,)
    fields = (
        "uid",
        "payer_link",
        "money",
        "method",
        "status",
        "purpose",
        "renews",
        "description",
        "masked_phone",
        "return_host",
        "idempotency_key",
        "masked_metadata",
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
        return masked_phone(payment.phone_e164)

    @admin.display(description="return url")
    def return_host(self, payment: Payment) -> str:
        """Return where the payer is sent back to, without what the link carries."""
        return host_of(payment.return_url)

    @admin.display(description="metadata")
    def masked_metadata(self, payment: Payment) -> str:
        """Return the host's own facts without the people and the secrets in them."""
        return json.dumps(mask_value("metadata", payment.metadata), ensure_ascii=False)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Add the timeline, for who may read the history of payments."""
        payment = self.get_object(request, object_id)
        may_read = request.user.has_perm("ntc_payments.view_paymentevent")
        timeline = list_lines(payment) if payment is not None and may_read else None
        context = {**(extra_context or {}), "timeline": timeline}
        return super().change_view(request, object_id, form_url, context)


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
        "payment_link",
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
        "payer_code",
        "checkout_host",
        "captured_minor",
        "refund_reserved_minor",
        "refunded_minor",
        "fee_minor",
        "failure_code",
        "failure_message",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields

    @admin.display(description="phone")
    def masked_phone(self, attempt: PaymentAttempt) -> str:
        """Return enough to recognise the number."""
        return masked_phone(attempt.phone_e164)

    @admin.display(description="payment")
    def payment_link(self, attempt: PaymentAttempt) -> str:
        """Return the payment, with a link to its timeline."""
        return link_to(attempt.payment)

    @admin.display(description="checkout url")
    def checkout_host(self, attempt: PaymentAttempt) -> str:
        """Return where the payer pays, without what opens the page."""
        return host_of(attempt.checkout_url)


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
