"""What we asked of a company and how each call ended. Rows are added and read."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from ntc_core.models import BaseModel

from ntc_payments.models.columns import AppendOnlyModel
from ntc_payments.models.payment import PaymentAttempt
from ntc_payments.models.payout import Payout
from ntc_payments.models.refund import Refund

__all__ = ["CompanyExchange"]

LONGEST_PATH = 200


class CompanyExchange(AppendOnlyModel, BaseModel):
    """One call about an attempt, a refund or a payout. Never a header, a query or a body."""

    class Purpose(models.TextChoices):
        """What we wanted."""

        START = "start", "Have money moved"
        QUERY = "query", "Ask what became of it"
        CANCEL = "cancel", "Have it withdrawn"

    attempt = models.ForeignKey(
        PaymentAttempt, on_delete=models.PROTECT, null=True, blank=True, related_name="exchanges"
    )
    refund = models.ForeignKey(
        Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="exchanges"
    )
    payout = models.ForeignKey(
        Payout, on_delete=models.PROTECT, null=True, blank=True, related_name="exchanges"
    )
    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    #: Empty, as host and path: it ended before anything was called.
    method = models.CharField(max_length=10, blank=True)
    host = models.CharField(max_length=255, blank=True)
    #: Without the query; people in it masked.
    path = models.CharField(max_length=LONGEST_PATH, blank=True)
    #: Of HTTP; null: there was no answer.
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    #: Name of the exception that it ended with, also where the answer could not be read.
    error = models.CharField(max_length=100, blank=True)
    request_id = models.CharField(max_length=128, blank=True)

    class Meta:
        verbose_name = "exchange with a company"
        verbose_name_plural = "exchanges with companies"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=Q(attempt__isnull=False)
                | Q(refund__isnull=False)
                | Q(payout__isnull=False),
                name="ntc_exchange_about_something",
            ),
        ]

    def __str__(self) -> str:
        asked = f"{self.method} {self.host}{self.path}" if self.method else "nothing was called"
        ended = " ".join(str(end) for end in (self.http_status, self.error) if end)
        return f"{self.purpose}: {asked} → {ended}, {self.duration_ms} ms"
