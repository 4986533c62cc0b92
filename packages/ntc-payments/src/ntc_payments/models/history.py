"""What happened to a payment or a payout, line by line. Rows are added and read."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from ntc_core.models import BaseModel
from ntc_core.money import Money

from ntc_payments.models.columns import AppendOnlyModel, choices
from ntc_payments.models.payment import Payment, PaymentAttempt
from ntc_payments.models.payout import Payout
from ntc_payments.models.refund import Refund
from ntc_payments.types import (
    LONGEST_FAILURE_MESSAGE,
    LONGEST_PROVIDER_REF,
    Claim,
    FailureCode,
    Source,
)

__all__ = ["PaymentEvent"]


class PaymentEvent(AppendOnlyModel, BaseModel):
    """One line of the history of a payment or payout: an observation, applied or not, or a move."""

    class Kind(models.TextChoices):
        """What the line tells."""

        OBSERVATION = "observation", "Observation of an attempt"
        ATTEMPT = "attempt", "Transition of an attempt"
        PAYMENT = "payment", "Transition of the payment"
        REFUND = "refund", "Transition of a refund"
        PAYOUT = "payout", "Transition of a payout"
        BREAK = "break", "Break opened or closed"
        STAFF = "staff", "Act of staff"

    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="events"
    )
    attempt = models.ForeignKey(
        PaymentAttempt, on_delete=models.PROTECT, null=True, blank=True, related_name="events"
    )
    refund = models.ForeignKey(
        Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="events"
    )
    payout = models.ForeignKey(
        Payout, on_delete=models.PROTECT, null=True, blank=True, related_name="events"
    )
    #: Who did it, where a person of the staff did.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(max_length=12, choices=Kind.choices)
    source = models.CharField(max_length=12, choices=choices(Source))
    claim = models.CharField(max_length=12, choices=choices(Claim), blank=True)
    applied = models.BooleanField()
    #: Why it was applied, or why not.
    reason = models.CharField(max_length=30, blank=True)
    from_status = models.CharField(max_length=12)
    to_status = models.CharField(max_length=12)
    amount_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    provider_ref = models.CharField(max_length=LONGEST_PROVIDER_REF, blank=True)
    failure_code = models.CharField(max_length=30, choices=choices(FailureCode), blank=True)
    failure_message = models.CharField(max_length=LONGEST_FAILURE_MESSAGE, blank=True)
    #: When it happened by the company's clock. Stored, decides nothing.
    occurred_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    #: Of the row in the inbox that told it, where a webhook did.
    webhook_uid = models.UUIDField(null=True, blank=True)

    class Meta:
        verbose_name = "event"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=Q(payment__isnull=False) | Q(payout__isnull=False),
                name="ntc_event_of_something",
            ),
        ]

    def __str__(self) -> str:
        what = f"{self.kind}: {self.claim}," if self.claim else f"{self.kind}:"
        return f"{what} {self.from_status or 'new'} → {self.to_status} ({self.source})"

    @property
    def money(self) -> Money | None:
        """The amount that was reported, if one was."""
        if self.amount_minor is None:
            return None
        return Money(minor=self.amount_minor, currency=self.currency)
