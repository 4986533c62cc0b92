"""What an attempt, a refund and a payout share: one call to a company that moves money."""

from __future__ import annotations

from django.db import models
from ntc_core.models import BaseModel
from ntc_core.money import Money

from ntc_payments.models.columns import choices
from ntc_payments.transitions import LIVE_ATTEMPTS
from ntc_payments.types import (
    LONGEST_FAILURE_MESSAGE,
    LONGEST_PROVIDER_REF,
    AttemptStatus,
    FailureCode,
)

__all__ = ["CompanyCall"]


class CompanyCall(BaseModel):
    """The states and clocks of one call, under a reference that was committed before it.

    Each kind has its own `reference`, so that no company can take one for another.
    """

    provider = models.CharField(max_length=50)
    provider_ref = models.CharField(max_length=LONGEST_PROVIDER_REF, blank=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(
        max_length=12, choices=choices(AttemptStatus), default=AttemptStatus.CREATED.value
    )
    sends = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    #: By the database's clock: a call that is out longer than this has died.
    lease_until = models.DateTimeField(null=True, blank=True)
    #: When the company is asked next; null: never.
    next_poll_at = models.DateTimeField(null=True, blank=True)
    last_polled_at = models.DateTimeField(null=True, blank=True)
    polls = models.PositiveIntegerField(default=0)
    #: "Not found" answers in a row.
    not_found_count = models.PositiveIntegerField(default=0)
    #: What the company kept or took for it, as far as it said so.
    fee_minor = models.BigIntegerField(null=True, blank=True)
    failure_code = models.CharField(max_length=30, choices=choices(FailureCode), blank=True)
    failure_message = models.CharField(max_length=LONGEST_FAILURE_MESSAGE, blank=True)
    version = models.PositiveIntegerField(default=0, editable=False)

    reference: models.CharField[str, str]

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.provider} {self.reference}"

    @property
    def money(self) -> Money:
        """The amount with its currency, as it was asked of the company."""
        return Money(minor=self.amount_minor, currency=self.currency)

    @property
    def fee(self) -> Money | None:
        """The company's fee, None while it has not said one."""
        return None if self.fee_minor is None else Money(self.fee_minor, self.currency)

    @property
    def is_live(self) -> bool:
        """Tell whether it may still move money."""
        return self.status in LIVE_ATTEMPTS
