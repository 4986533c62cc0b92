"""Staff see sessions and may end them. Nobody edits one, and codes are not shown at all."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from ntc_core.admin import ReadOnlyRows, masked_link
from ntc_core.auth.models import AuditEvent, AuthSession, EndReason
from ntc_core.auth.services import end_session, sign_out_everywhere

__all__ = ["AuditEventAdmin", "AuthSessionAdmin", "EndSessionsMixin"]


@admin.register(AuthSession)
class AuthSessionAdmin(ReadOnlyRows, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ("uid", "user", "created_at", "last_used_at", "expires_at", "is_live")
    list_filter = ("revoked_reason",)
    list_select_related = ("user",)
    search_fields = ("uid",)
    ordering = ("-created_at",)
    fields = (
        "uid",
        "user",
        "user_agent",
        "ip_prefix",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
        "revoked_reason",
    )
    actions = ("end_sessions",)

    @admin.display(boolean=True, description="live")
    def is_live(self, session: AuthSession) -> bool:
        return session.is_live

    @admin.action(description="End the selected sessions", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[AuthSession]) -> None:
        """Sign these devices out."""
        ended = sum(end_session(session, reason=EndReason.STAFF) for session in queryset)
        self.message_user(request, f"{ended} sessions ended.", messages.SUCCESS)

    def has_end_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("ntc_auth.change_authsession"))


class EndSessionsMixin:
    """For the project's user admin: an action that signs people out everywhere."""

    @admin.action(description="End every session of the selected users", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Sign these people out everywhere."""
        ended = sum(sign_out_everywhere(user=user, reason=EndReason.STAFF) for user in queryset)
        messages.success(request, f"{ended} sessions ended.")

    def has_end_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("ntc_auth.change_authsession"))


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyRows, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """What happened, newest first. Reading is all there is."""

    list_display = ("created_at", "event", "person", "ip_prefix", "session_uid", "request_id")
    fields = (*list_display, "user_agent", "details")
    list_filter = ("event", "created_at")
    list_select_related = ("user",)
    search_fields = ("subject", "session_uid", "request_id")
    ordering = ("-created_at",)
    # The exact number is a scan of a table that only grows.
    show_full_result_count = False

    @admin.display(description="user")
    def person(self, event: AuditEvent) -> str:
        """Name the user, masked; their public id outlives them."""
        return event.subject if event.user is None else masked_link(event.user)
