"""The job row: what to do, when, who is at it, and how often it was tried."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from ntc_core.models import BaseModel

__all__ = ["OutboxJob"]


class OutboxJob(BaseModel):
    """Work that a committed transaction asked for.

    `run_at` and `lease_until` are compared with the database's clock only, so that runners
    with wrong clocks neither start early nor take a running job from each other.
    """

    class State(models.TextChoices):
        """Where the job is. `done` and `parked` are the ends."""

        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        PARKED = "parked"

    task = models.CharField(max_length=200)
    arguments = models.JSONField(default=list)
    dedupe_key = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    run_at = models.DateTimeField(db_default=Now())
    #: queued: a wake-up is on its way until then. running: nobody else may start before then.
    lease_until = models.DateTimeField(null=True, blank=True)
    #: Names the run that holds the lease; an overtaken run finds another token and gives up.
    lease_token = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "job"
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["task", "dedupe_key"],
                condition=~models.Q(dedupe_key=""),
                name="ntc_outbox_once_per_key",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["queued", "running", "done", "parked"]),
                name="ntc_outbox_state_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["run_at", "id"],
                condition=models.Q(state="queued"),
                name="ntc_outbox_queued",
            ),
            models.Index(
                fields=["lease_until"],
                condition=models.Q(state="running"),
                name="ntc_outbox_running",
            ),
            models.Index(
                fields=["done_at"], condition=models.Q(state="done"), name="ntc_outbox_done"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.uid}"
