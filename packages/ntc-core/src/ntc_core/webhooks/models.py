"""The inbox row: one event of one company, however often it was delivered."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from ntc_core.models import BaseModel

__all__ = ["WebhookEvent"]


class WebhookEvent(BaseModel):
    """A proven call, exactly as it came, and what became of it."""

    class State(models.TextChoices):
        """`received` and `failed` are still being worked on; `parked` waits for a person."""

        RECEIVED = "received"
        PROCESSED = "processed"
        IGNORED = "ignored"
        UNMATCHED = "unmatched"
        FAILED = "failed"
        PARKED = "parked"

    channel = models.CharField(max_length=50)
    provider = models.CharField(max_length=50)
    dedupe_key = models.CharField(max_length=255)
    event_type = models.CharField(max_length=255, blank=True)
    #: The outbox job that acts upon it, called with the event's id.
    job = models.CharField(max_length=200)
    #: Those that identify or describe; never those that authorise.
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    #: When the body was removed, because its time was over; empty: it is here.
    body_purged_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    processed_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=128, blank=True)

    class Meta:
        verbose_name = "webhook event"
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["channel", "provider", "dedupe_key"], name="ntc_webhooks_once"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=[
                        "received",
                        "processed",
                        "ignored",
                        "unmatched",
                        "failed",
                        "parked",
                    ]
                ),
                name="ntc_webhooks_state_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["state", "created_at"], name="ntc_webhooks_by_state"),
            models.Index(
                fields=["processed_at"],
                condition=models.Q(state__in=["ignored", "processed"], body_purged_at=None),
                name="ntc_webhooks_with_body",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel}/{self.provider} {self.event_type} {self.uid}"
