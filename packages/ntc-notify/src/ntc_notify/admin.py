"""Look at notifications, their messages and every try; nothing here changes them.

Addresses are masked. An address can be searched for by whoever knows it whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from ntc_core.admin import ReadOnlyRows, moment_column

from ntc_notify.models import DeliveryAttempt, Message, Notification

if TYPE_CHECKING:
    # Generic in the type stubs only.
    BaseInline = admin.TabularInline[Any, Any]
    BaseAdmin = admin.ModelAdmin[Any]
else:
    BaseInline = admin.TabularInline
    BaseAdmin = admin.ModelAdmin

__all__ = ["DeliveryAttemptAdmin", "MessageAdmin", "NotificationAdmin"]


class _MessageInline(ReadOnlyRows, BaseInline):
    model = Message
    fields = ("channel", "masked_address", "state", "provider", "segments", "error", "expires_at")
    readonly_fields = fields
    show_change_link = True
    extra = 0


class _AttemptInline(ReadOnlyRows, BaseInline):
    model = DeliveryAttempt
    fields = ("created_at", "provider", "outcome", "error", "provider_ref", "finished_at")
    readonly_fields = fields
    extra = 0


@admin.register(Notification)
class NotificationAdmin(ReadOnlyRows, BaseAdmin):
    """What somebody was to be told."""

    list_display = ("kind", "dedupe_key", "language", "created_at")
    list_filter = ("kind", "language")
    search_fields = ("=uid", "dedupe_key")
    fields = (
        "uid",
        "kind",
        "dedupe_key",
        "recipient",
        "language",
        "context",
        "send_after",
        "created_at",
    )
    readonly_fields = fields
    inlines = (_MessageInline,)

    def recipient(self, notification: Notification) -> str:
        """Return which user it is; how a project writes a user out may be an address."""
        return f"user {notification.user_id}" if notification.user_id else "a stranger"


@admin.register(Message)
class MessageAdmin(ReadOnlyRows, BaseAdmin):
    """One notification on its way to one address."""

    list_display = (
        moment_column("created_at"),
        "kind",
        "channel",
        "masked_address",
        "state",
        "provider",
        "segments",
    )
    list_filter = ("state", "channel", "provider", "notification__kind")
    list_select_related = ("notification",)
    search_fields = ("=uid", "=address", "notification__dedupe_key")
    fields = (
        "uid",
        "notification",
        "channel",
        "masked_address",
        "state",
        "provider",
        "segments",
        "error",
        "expires_at",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields
    inlines = (_AttemptInline,)

    @admin.display(ordering="notification__kind")
    def kind(self, message: Message) -> str:
        """Return the kind of the notification."""
        return message.notification.kind


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(ReadOnlyRows, BaseAdmin):
    """One call to one provider."""

    list_display = (moment_column("created_at"), "message", "provider", "outcome", "error")
    list_filter = ("outcome", "provider")
    list_select_related = ("message",)
    search_fields = ("=uid", "=provider_uid", "=provider_ref")
    fields = (
        "uid",
        "message",
        "provider",
        "provider_uid",
        "provider_ref",
        "outcome",
        "error",
        "created_at",
        "finished_at",
    )
    readonly_fields = fields
