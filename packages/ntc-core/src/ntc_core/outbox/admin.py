"""Jobs in the admin: look, retry what is parked, do now what waits. Nothing to edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from ntc_core.admin import KeptRows
from ntc_core.outbox import services
from ntc_core.outbox.models import OutboxJob

__all__ = ["OutboxJobAdmin"]

if TYPE_CHECKING:
    BaseAdmin = admin.ModelAdmin[OutboxJob]
else:
    # The class is generic for the type checker only.
    BaseAdmin = admin.ModelAdmin


@admin.register(OutboxJob)
class OutboxJobAdmin(KeptRows, BaseAdmin):
    """A list of jobs; a row is changed by its runner only."""

    list_display = ("task", "state", "attempts", "run_at", "done_at", "last_error")
    list_filter = ("state", "task")
    search_fields = ("uid", "request_id", "dedupe_key")
    date_hierarchy = "created_at"
    show_full_result_count = False
    actions = ["retry_parked", "run_now"]
    fields = (
        "uid",
        "task",
        "arguments",
        "dedupe_key",
        "state",
        "attempts",
        "run_at",
        "lease_until",
        "done_at",
        "last_error",
        "request_id",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields

    @admin.action(description="Retry the parked jobs among these", permissions=["change"])
    def retry_parked(self, request: HttpRequest, queryset: QuerySet[OutboxJob]) -> None:
        """Give parked jobs all their attempts again."""
        count = services.retry_parked(queryset)
        self.message_user(request, f"{count} job(s) will be tried again.", messages.SUCCESS)

    @admin.action(description="Run the waiting jobs among these now", permissions=["change"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[OutboxJob]) -> None:
        """Do not wait for `run_at`."""
        count = services.bring_forward(queryset)
        self.message_user(request, f"{count} job(s) are due now.", messages.SUCCESS)
