"""Jobs in the admin: look, retry what is parked, do now what waits. Nothing to edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator

from ntc_core.admin import ReadOnlyRows, moment_column
from ntc_core.outbox import services
from ntc_core.outbox.jobs import list_jobs
from ntc_core.outbox.models import OutboxJob

__all__ = ["OutboxJobAdmin"]

if TYPE_CHECKING:
    BaseAdmin = admin.ModelAdmin[OutboxJob]
else:
    # The class is generic for the type checker only.
    BaseAdmin = admin.ModelAdmin


SHOWN_OF_ERROR = 80


class RoutineFilter(admin.SimpleListFilter):
    """Leaves out, unless asked for, the recurring runs that went well: there is one a second."""

    title = "recurring runs"
    parameter_name = "routine"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        """Return what can be asked for besides the default."""
        return [("all", "Show all")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Name the default for what it is: Django's own would be called All."""
        default, *others = super().choices(changelist)
        yield {**default, "display": "Leave out the finished"}
        yield from others

    def queryset(self, _: HttpRequest, queryset: QuerySet[OutboxJob]) -> QuerySet[OutboxJob]:
        """Return the jobs that are listed."""
        if self.value() == "all":
            return queryset
        recurring = [job.name for job in list_jobs() if job.every_seconds is not None]
        return queryset.exclude(state=OutboxJob.State.DONE, task__in=recurring)


@admin.register(OutboxJob)
class OutboxJobAdmin(ReadOnlyRows, BaseAdmin):
    """A list of jobs; a row is changed by its runner only."""

    list_display = ("task", "state", "attempts", moment_column("run_at"), "error")
    list_filter = (RoutineFilter, "state", "task")
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

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether the caller may have jobs run; nobody changes a field."""
        return bool(request.user.has_perm("ntc_outbox.change_outboxjob"))

    @admin.display(ordering="last_error")
    def error(self, job: OutboxJob) -> str:
        """Show the start of the last error; the whole is on the job's page."""
        return Truncator(job.last_error).chars(SHOWN_OF_ERROR)

    @admin.action(description="Retry the parked jobs among these", permissions=["act"])
    def retry_parked(self, request: HttpRequest, queryset: QuerySet[OutboxJob]) -> None:
        """Give parked jobs all their attempts again."""
        count = services.retry_parked(queryset)
        self.message_user(request, f"{count} job(s) will be tried again.", messages.SUCCESS)

    @admin.action(description="Run the waiting jobs among these now", permissions=["act"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[OutboxJob]) -> None:
        """Do not wait for `run_at`."""
        count = services.bring_forward(queryset)
        self.message_user(request, f"{count} job(s) are due now.", messages.SUCCESS)
