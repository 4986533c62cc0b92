"""Webhook events in the admin: what came, what became of it, do it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import Truncator

from ntc_core.admin import ReadOnlyRows, moment_column
from ntc_core.errors import Conflict
from ntc_core.masking import mask_text, mask_value
from ntc_core.webhooks import services
from ntc_core.webhooks.models import WebhookEvent

__all__ = ["WebhookEventAdmin"]

if TYPE_CHECKING:
    BaseAdmin = admin.ModelAdmin[WebhookEvent]
else:
    # The class is generic for the type checker only.
    BaseAdmin = admin.ModelAdmin

SHOWN_CHARACTERS = 10_000
SHOWN_OF_ERROR = 80


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyRows, BaseAdmin):
    """A list of events. What a company said is evidence, so nobody edits it."""

    list_display = (
        "provider",
        "event_type",
        "state",
        "attempts",
        moment_column("created_at"),
        "error",
    )
    list_filter = ("state", "channel", "provider")
    search_fields = ("uid", "dedupe_key", "request_id")
    date_hierarchy = "created_at"
    show_full_result_count = False
    actions = ["replay"]
    fields = (
        "uid",
        "channel",
        "provider",
        "dedupe_key",
        "event_type",
        "state",
        "attempts",
        "last_error",
        "processed_at",
        "headers",
        "masked_body",
        "request_id",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Tell whether the caller may have events acted upon again; nobody changes one."""
        return bool(request.user.has_perm("ntc_webhooks.change_webhookevent"))

    @admin.display(ordering="last_error")
    def error(self, event: WebhookEvent) -> str:
        """Show the start of the last error; the whole is on the event's page."""
        return Truncator(event.last_error).chars(SHOWN_OF_ERROR)

    @admin.display(description="body (people masked)")
    def masked_body(self, event: WebhookEvent) -> str:
        """Show the body without the people and the secrets in it."""
        if event.body_purged_at is not None:
            return f"(removed on {event.body_purged_at:%Y-%m-%d})"
        body = bytes(event.body)
        try:
            content = mask_value("body", json.loads(body))
        except (ValueError, RecursionError):
            text = mask_text(body.decode(errors="replace"), longest=SHOWN_CHARACTERS)
        else:
            text = json.dumps(content, indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", text[:SHOWN_CHARACTERS])

    @admin.action(description="Run the job of these events again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        """Enqueue each event's job once more."""
        replayed = 0
        for event in queryset:
            try:
                services.replay_event(event)
            except Conflict as error:
                self.message_user(request, error.message, messages.WARNING)
                continue
            self.log_change(request, event, "Replayed.")
            replayed += 1
        self.message_user(request, f"{replayed} event(s) will be replayed.", messages.SUCCESS)
