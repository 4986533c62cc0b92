"""Money that we pay out: a call to a company with a destination."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from ntc_payments.models.calls import CompanyCall
from ntc_payments.models.columns import LONGEST_TEXT, choices, new_payout_reference, one_of
from ntc_payments.transitions import LIVE_ATTEMPTS
from ntc_payments.types import AttemptStatus, CallHandle, PayoutDestination, PayoutMethod

__all__ = ["Payout"]


class Payout(CompanyCall):
    """One payout. Sent at most once; what became of it is asked, never assumed."""

    #: None: the machine, for a refund that goes back as a payout.
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="payouts",
    )
    idempotency_key = models.CharField(max_length=LONGEST_TEXT)
    #: SHA-256 of what was asked for under that key.
    fingerprint = models.CharField(max_length=64, editable=False)
    reference = models.CharField(max_length=20, default=new_payout_reference, editable=False)
    method = models.CharField(max_length=20, choices=choices(PayoutMethod))
    #: The company's own way, fixed before the call: only it can be asked what became of it.
    rail = models.CharField(max_length=50, blank=True)
    phone_e164 = models.CharField("phone", max_length=16, blank=True)
    bank_code = models.CharField(max_length=50, blank=True)
    account_number = models.CharField(max_length=50, blank=True)
    receiver_name = models.CharField(max_length=LONGEST_TEXT, blank=True)
    #: What it is for, in the host's words.
    purpose = models.CharField(max_length=LONGEST_TEXT)
    description = models.CharField(max_length=LONGEST_TEXT)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        permissions = (("create_payout", "Can pay money out"),)
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["created_by", "idempotency_key"], name="ntc_payout_once_per_key"
            ),
            models.UniqueConstraint(
                fields=["provider", "reference"], name="ntc_payout_reference_unique"
            ),
            models.UniqueConstraint(
                fields=["provider", "provider_ref"],
                condition=~Q(provider_ref=""),
                name="ntc_payout_provider_ref_unique",
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="ntc_payout_amount_positive"
            ),
            models.CheckConstraint(
                condition=one_of("status", AttemptStatus), name="ntc_payout_status_known"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_poll_at"],
                condition=Q(next_poll_at__isnull=False),
                name="ntc_payout_poll_due",
            ),
            models.Index(
                fields=["lease_until"], condition=Q(status="sending"), name="ntc_payout_sending"
            ),
            models.Index(
                fields=["created_at"],
                condition=one_of("status", LIVE_ATTEMPTS),
                name="ntc_payout_live",
            ),
        ]

    @property
    def handle(self) -> CallHandle:
        """What the company needs to know which payout we mean."""
        return CallHandle(
            reference=self.reference,
            provider_ref=self.provider_ref,
            method=self.method,
            rail=self.rail,
        )

    @property
    def destination(self) -> PayoutDestination:
        """Who gets the money."""
        return PayoutDestination(
            method=PayoutMethod(self.method),
            phone_e164=self.phone_e164,
            bank_code=self.bank_code,
            account_number=self.account_number,
            name=self.receiver_name,
        )
