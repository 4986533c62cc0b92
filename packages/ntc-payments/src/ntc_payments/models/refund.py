"""Money that we give back: through the company that took it, as a payout, or by hand."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from ntc_payments.models.calls import CompanyCall
from ntc_payments.models.columns import LONGEST_TEXT, new_refund_reference, one_of
from ntc_payments.models.payment import Payment, PaymentAttempt
from ntc_payments.models.payout import Payout
from ntc_payments.transitions import LIVE_ATTEMPTS
from ntc_payments.types import AttemptStatus, CallHandle

__all__ = ["Refund"]


class Refund(CompanyCall):
    """One refund. Its amount is reserved on the attempt before anything is sent."""

    class Route(models.TextChoices):
        """Which way the money goes back."""

        PROVIDER = "provider", "The company's own refund"
        PAYOUT = "payout", "A payout to the number that paid"
        MANUAL = "manual", "By hand, in the company's dashboard"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    attempt = models.ForeignKey(PaymentAttempt, on_delete=models.PROTECT, related_name="refunds")
    #: None: the machine decided, by the policy for late or second charges.
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    idempotency_key = models.CharField(max_length=LONGEST_TEXT)
    #: SHA-256 of what was asked for under that key.
    fingerprint = models.CharField(max_length=64, editable=False)
    reference = models.CharField(max_length=20, default=new_refund_reference, editable=False)
    route = models.CharField(max_length=10, choices=Route.choices, default=Route.PROVIDER)
    payout = models.OneToOneField(
        Payout, on_delete=models.PROTECT, null=True, blank=True, related_name="refund"
    )
    reason = models.CharField(max_length=LONGEST_TEXT)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        permissions = (("refund_payment", "Can give a payment back"),)
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["payment", "idempotency_key"], name="ntc_refund_once_per_key"
            ),
            models.UniqueConstraint(
                fields=["provider", "reference"], name="ntc_refund_reference_unique"
            ),
            models.UniqueConstraint(
                fields=["provider", "provider_ref"],
                condition=~Q(provider_ref=""),
                name="ntc_refund_provider_ref_unique",
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="ntc_refund_amount_positive"
            ),
            models.CheckConstraint(
                condition=one_of("status", AttemptStatus), name="ntc_refund_status_known"
            ),
            models.CheckConstraint(
                condition=Q(payout__isnull=True) | Q(route="payout"),
                name="ntc_refund_payout_by_route",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_poll_at"],
                condition=Q(next_poll_at__isnull=False),
                name="ntc_refund_poll_due",
            ),
            models.Index(
                fields=["lease_until"], condition=Q(status="sending"), name="ntc_refund_sending"
            ),
            models.Index(
                fields=["created_at"],
                condition=one_of("status", LIVE_ATTEMPTS),
                name="ntc_refund_live",
            ),
        ]

    @property
    def handle(self) -> CallHandle:
        """What the company needs to know which refund we mean."""
        return CallHandle(
            reference=self.reference,
            provider_ref=self.provider_ref,
            parent_ref=self.attempt.provider_ref,
        )
