"""Plans are edited here; subscriptions and what paid for them are only read.

The signatures are Django's, whether a method needs every argument or not (ARG002), and so
are the classes, which take no parameters while the program runs (type-arg).
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from .models import Plan, Subscription, SubscriptionPeriod

__all__ = ["PlanAdmin", "SubscriptionAdmin"]


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What is on sale."""

    list_display = ["code", "name_en", "price", "period_days", "is_active", "order"]
    list_filter = ["is_active"]
    search_fields = ["code", "name_en", "name_sw"]


class SubscriptionPeriodInline(admin.TabularInline):  # type: ignore[type-arg]
    """The periods of a subscription, each with its payment."""

    model = SubscriptionPeriod
    extra = 0
    can_delete = False
    fields = ("plan", "starts_at", "ends_at", "payment_uid")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Time is granted by a payment only."""
        return False


@admin.register(Subscription)
class SubscriptionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Who may use the service until when."""

    list_display = ["user", "plan", "starts_at", "ends_at", "active"]
    list_select_related = ["user", "plan"]
    search_fields = ["user__email", "user__phone", "periods__payment_uid"]
    readonly_fields = ["uid", "user", "plan", "starts_at", "ends_at"]
    inlines = [SubscriptionPeriodInline]

    @admin.display(boolean=True)
    def active(self, subscription: Subscription) -> bool:
        """Show whether the paid time runs now."""
        return subscription.is_active

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Time is granted by a payment only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """What was paid for stays on record."""
        return False
