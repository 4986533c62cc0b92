"""Look at notifications, their messages, every try and every receipt.

Staff can send a message again, see what a template looks like, and say to whom nothing is sent.
Addresses are masked. An address can be searched for by whoever knows it whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from ntc_core.admin import KeptRows, ReadOnlyRows, moment_column

from ntc_notify import services
from ntc_notify.conf import get_kind, list_kinds
from ntc_notify.errors import InvalidRecipient, UnknownKind
from ntc_notify.models import (
    DeliveryAttempt,
    Message,
    MessageReceipt,
    Notification,
    Preference,
    Suppression,
)
from ntc_notify.previewing import make_samples, preview_kind
from ntc_notify.services.resending import RESENDABLE
from ntc_notify.types import Channel, Recipient, SuppressionReason

if TYPE_CHECKING:
    # Generic in the type stubs only.
    BaseInline = admin.TabularInline[Any, Any]
    BaseAdmin = admin.ModelAdmin[Any]
else:
    BaseInline = admin.TabularInline
    BaseAdmin = admin.ModelAdmin

__all__ = [
    "DeliveryAttemptAdmin",
    "MessageAdmin",
    "NotificationAdmin",
    "PreferenceAdmin",
    "SuppressionAdmin",
]


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

    list_display = ("kind", "masked_key", "language", "created_at")
    list_filter = ("kind", "language")
    search_fields = ("=uid", "dedupe_key")
    fields = (
        "uid",
        "kind",
        "masked_key",
        "recipient",
        "language",
        "context",
        "send_after",
        "created_at",
    )
    readonly_fields = fields
    inlines = (_MessageInline,)
    change_list_template = "ntc_notify/admin/notifications.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the preview of templates."""
        preview = self.admin_site.admin_view(self.preview)
        return [path("preview/", preview, name="ntc_notify_preview"), *super().get_urls()]

    def preview(self, request: HttpRequest) -> HttpResponse:
        """Show a kind on all its channels in all languages, with its segments and cost."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        kinds = {kind.name: kind for kind in list_kinds()}
        kind = kinds.get(request.GET.get("kind", "")) or next(iter(kinds.values()), None)
        given = {name.removeprefix("v_"): request.GET[name] for name in request.GET}
        samples = make_samples(kind, given) if kind else {}
        context = {
            **self.admin_site.each_context(request),
            "title": "Preview",
            "kinds": list(kinds),
            "kind": kind,
            "samples": samples.items(),
            "previews": preview_kind(kind, samples) if kind else [],
        }
        return TemplateResponse(request, "ntc_notify/admin/preview.html", context)

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
        "cost",
        "error",
        "expires_at",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields
    inlines = (_AttemptInline,)
    actions = ("resend",)

    @admin.action(description="Send again what has not arrived", permissions=["resend"])
    def resend(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        """Queue the chosen messages once more, those that have ended without arriving."""
        chosen = list(queryset.select_related("notification"))
        sent = sum(services.resend_message(message, by=request.user) for message in chosen)
        self.message_user(request, f"{sent} of {len(chosen)} will be sent again.")
        if sent < len(chosen):
            states = ", ".join(state.value for state in RESENDABLE)
            self.message_user(request, f"Only these can be: {states}.", messages.WARNING)

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Return whether this member of staff may."""
        return bool(request.user.has_perm("ntc_notify.resend_message"))

    @admin.display(description="cost (estimated)")
    def cost(self, message: Message) -> str:
        """Return what it is expected to cost."""
        if message.cost_estimate is None:
            return "-"
        return f"{message.cost_estimate.normalize():f} {message.cost_currency}"

    @admin.display(ordering="notification__kind")
    def kind(self, message: Message) -> str:
        """Return the kind of the notification."""
        return message.notification.kind


class _ReceiptInline(ReadOnlyRows, BaseInline):
    model = MessageReceipt
    fields = ("created_at", "state", "applied", "suppression", "reason", "occurred_at")
    readonly_fields = fields
    extra = 0


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
        "next_query_at",
        "queries",
    )
    readonly_fields = fields
    inlines = (_ReceiptInline,)


class _SuppressionForm(forms.ModelForm):  # type: ignore[type-arg]
    address = forms.CharField(max_length=254, help_text="Kept as a digest only.")

    class Meta:
        model = Suppression
        fields = ("channel", "kind", "detail")

    def clean_channel(self) -> str:
        """Only what has an address."""
        channel = str(self.cleaned_data["channel"])
        if channel == Channel.INAPP:
            raise forms.ValidationError("An inbox has no address; see the user's preferences.")
        return channel

    def clean_kind(self) -> str:
        """Empty, or a kind that there is."""
        kind = str(self.cleaned_data["kind"])
        if kind:
            try:
                get_kind(kind)
            except UnknownKind as error:
                raise forms.ValidationError(str(error)) from error
        return kind

    def clean(self) -> dict[str, Any]:
        """The address fits its channel."""
        data: dict[str, Any] = super().clean() or {}
        address, channel = data.get("address", ""), data.get("channel")
        try:
            if channel == Channel.SMS:
                Recipient(phone_e164=address)
            elif channel == Channel.EMAIL:
                Recipient(email=address)
        except InvalidRecipient as error:
            self.add_error("address", error.message)
        return data


@admin.register(Suppression)
class SuppressionAdmin(KeptRows, BaseAdmin):
    """To whom nothing is sent. Staff add an address, and lift what was a mistake."""

    list_display = (
        moment_column("created_at"),
        "channel",
        "masked_address",
        "kind",
        "reason",
        "source",
        moment_column("lifted_at"),
    )
    list_filter = ("reason", "channel", "source", ("lifted_at", admin.EmptyFieldListFilter))
    search_fields = ("=uid", "masked_address")
    fields = (
        "channel",
        "masked_address",
        "kind",
        "reason",
        "source",
        "detail",
        "actor_id",
        "created_at",
        "lifted_at",
        "lifted_by_id",
    )
    readonly_fields = fields
    actions = ("lift",)

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Whoever may add them may."""
        return bool(request.user.has_perm("ntc_notify.add_suppression"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one; to lift it is an action."""
        return obj is None and bool(request.user.has_perm("ntc_notify.change_suppression"))

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> Any:
        """Take the address where one is added; show what is there."""
        if obj is None:
            kwargs |= {"form": _SuppressionForm, "fields": None}
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's
        """The form's own where one is added."""
        return ("channel", "address", "kind", "detail") if obj is None else self.fields

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        obj: Any = None,
    ) -> Any:
        """All of what is there."""
        return () if obj is None else self.fields

    def save_model(
        self,
        request: HttpRequest,
        obj: Suppression,
        form: Any,
        change: Any,  # noqa: ARG002 - Django's signature
    ) -> None:
        """Go the way of the service; the row that there is already is not written twice."""
        stored = services.suppress_address(
            channel=Channel(form.cleaned_data["channel"]),
            address=form.cleaned_data["address"],
            kind=form.cleaned_data["kind"],
            detail=form.cleaned_data["detail"],
            reason=SuppressionReason.MANUAL,
            source="staff",
            actor=request.user,
        )
        obj.pk, obj.uid = stored.pk, stored.uid
        obj.masked_address, obj.reason = stored.masked_address, stored.reason

    @admin.action(description="Let these be written to again", permissions=["change"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        """Lift the chosen ones."""
        lifted = sum(services.lift_suppression(row, by=request.user) for row in queryset)
        self.message_user(request, f"{lifted} lifted.")


@admin.register(Preference)
class PreferenceAdmin(ReadOnlyRows, BaseAdmin):
    """What users want; they set it themselves."""

    list_display = ("user_id", "kind", "channel", "is_on", moment_column("updated_at"))
    list_filter = ("kind", "channel", "is_on")
    search_fields = ("=user__pk",)
    fields = ("user_id", "kind", "channel", "is_on", "created_at", "updated_at")
    readonly_fields = fields
