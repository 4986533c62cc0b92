"""Plans are edited here; subscriptions and what paid for them are only read.

The signatures are Django's, whether a method needs every argument or not (ARG002), and so
are the classes, which take no parameters while the program runs (type-arg).
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from ntc_core.admin import ReadOnlyRows, masked_link

from .models import Plan, Subscription, SubscriptionPeriod

__all__ = ["PlanAdmin", "SubscriptionAdmin"]


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """What is on sale. A plan is withdrawn with `is_active`; what was sold stays on record."""

    list_display = ["code", "name_en", "price", "period_days", "is_active", "order"]
    list_filter = ["is_active"]
    search_fields = ["code", "name_en", "name_sw"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        """Somebody may be paying for it this minute."""
        return False


class SubscriptionPeriodInline(ReadOnlyRows, admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    """The periods of a subscription, each with its payment."""

    model = SubscriptionPeriod
    extra = 0
    fields = ("plan", "starts_at", "ends_at", "payment_uid")
    readonly_fields = fields


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyRows, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Who may use the service until when. Time is granted by a payment only."""

    list_display = ("__str__", "starts_at", "ends_at", "active")
    list_select_related = ("user",)
    search_fields = ("user__email", "user__phone", "periods__payment_uid")
    fields = ("uid", "owner", "starts_at", "ends_at", "active")
    readonly_fields = fields
    inlines = (SubscriptionPeriodInline,)

    @admin.display(description="user")
    def owner(self, subscription: Subscription) -> str:
        """Return who it is, masked, with a link to their page."""
        return masked_link(subscription.user)

    @admin.display(boolean=True)
    def active(self, subscription: Subscription) -> bool:
        """Show whether the paid time runs now."""
        return subscription.is_active
