"""A payment and its attempts.

The constraints here are what a future bug runs into: one live prompt per payment, one
attempt that settles it, one row per reference, no more refunded than taken.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from ntc_core.models import BaseModel
from ntc_core.money import Money

from ntc_payments.models.calls import CompanyCall
from ntc_payments.models.columns import (
    LONGEST_TEXT,
    LONGEST_URL,
    choices,
    new_reference,
    one_of,
)
from ntc_payments.transitions import LIVE_ATTEMPTS, WAITING_PAYMENTS
from ntc_payments.types import (
    LONGEST_PROVIDER_REF,
    AttemptStatus,
    CallHandle,
    PaymentMethod,
    PaymentStatus,
)

__all__ = ["Payment", "PaymentAttempt", "SecondCharge"]


class Payment(BaseModel):
    """What we want to collect from one payer. The amount is decided before the row exists."""

    payer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="payments"
    )
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    method = models.CharField(max_length=20, choices=choices(PaymentMethod))
    #: What it is for, in the host's words: "subscription:0199…".
    purpose = models.CharField(max_length=LONGEST_TEXT)
    #: What the payer reads on the phone and the receipt.
    description = models.CharField(max_length=LONGEST_TEXT)
    status = models.CharField(
        max_length=12, choices=choices(PaymentStatus), default=PaymentStatus.OPEN.value
    )
    phone_e164 = models.CharField("phone", max_length=16, blank=True)
    return_url = models.URLField(max_length=LONGEST_URL, blank=True)
    idempotency_key = models.CharField(max_length=LONGEST_TEXT)
    #: SHA-256 of what was asked for under that key.
    fingerprint = models.CharField(max_length=64, editable=False)
    #: The payment that began a subscription, where the company took this one for a later period.
    renews = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="renewals",
    )
    metadata = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    expires_at = models.DateTimeField()
    succeeded_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["payer", "idempotency_key"], name="ntc_payment_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="ntc_payment_amount_positive"
            ),
            models.CheckConstraint(
                condition=Q(currency__regex=r"^[A-Z]{3}$"), name="ntc_payment_currency_code"
            ),
            models.CheckConstraint(
                condition=one_of("status", PaymentStatus), name="ntc_payment_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="succeeded", succeeded_at__isnull=False)
                | (~Q(status="succeeded") & Q(succeeded_at__isnull=True)),
                name="ntc_payment_succeeded_at_set",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["payer", "-id"], name="ntc_payment_of_payer"),
            models.Index(
                fields=["expires_at"],
                condition=one_of("status", WAITING_PAYMENTS),
                name="ntc_payment_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.money} {self.status} {self.uid}"

    @property
    def money(self) -> Money:
        """The amount with its currency."""
        return Money(minor=self.amount_minor, currency=self.currency)

    @property
    def is_waiting(self) -> bool:
        """Tell whether we still want to collect it."""
        return self.status in WAITING_PAYMENTS

    @property
    def current_attempt(self) -> PaymentAttempt | None:
        """The attempt that tells the payer's state: the settling one, else the latest.

        Uses prefetched `attempts`.
        """
        attempts = sorted(self.attempts.all(), key=lambda attempt: (attempt.settles, attempt.pk))
        return attempts[-1] if attempts else None


class PaymentAttempt(CompanyCall):
    """One try at one provider, under a reference that was committed before any call."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="attempts")
    reference = models.CharField(max_length=20, default=new_reference, editable=False)
    #: What the payer types, where that is another thing than the reference.
    payer_code = models.CharField(max_length=LONGEST_PROVIDER_REF, blank=True)
    method = models.CharField(max_length=20, choices=choices(PaymentMethod))
    phone_e164 = models.CharField("phone", max_length=16, blank=True)
    #: Only one such attempt of a payment may be live.
    exclusive = models.BooleanField(default=True)
    #: This attempt's money is what paid the payment.
    settles = models.BooleanField(default=False)
    #: All the money that the company took under this reference, a second charge too.
    captured_minor = models.BigIntegerField(default=0)
    #: Of that: what refunds, done or under way, have a claim on.
    refund_reserved_minor = models.BigIntegerField(default=0)
    #: Of that: what has been given back.
    refunded_minor = models.BigIntegerField(default=0)
    checkout_url = models.URLField(max_length=2000, blank=True)

    class Meta:
        verbose_name = "attempt"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["provider", "reference"], name="ntc_attempt_reference_unique"
            ),
            models.UniqueConstraint(
                fields=["provider", "provider_ref"],
                condition=~Q(provider_ref=""),
                name="ntc_attempt_provider_ref_unique",
            ),
            models.UniqueConstraint(
                fields=["payment"],
                condition=one_of("status", LIVE_ATTEMPTS) & Q(exclusive=True),
                name="ntc_attempt_one_live",
            ),
            models.UniqueConstraint(
                fields=["payment"], condition=Q(settles=True), name="ntc_attempt_one_settles"
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="ntc_attempt_amount_positive"
            ),
            models.CheckConstraint(
                condition=one_of("status", AttemptStatus), name="ntc_attempt_status_known"
            ),
            models.UniqueConstraint(
                fields=["provider", "payer_code"],
                condition=~Q(payer_code=""),
                name="ntc_attempt_payer_code_unique",
            ),
            # No more is given back than was taken, however many refunds run at once.
            models.CheckConstraint(
                condition=Q(refunded_minor__gte=0)
                & Q(refund_reserved_minor__gte=F("refunded_minor"))
                & Q(captured_minor__gte=F("refund_reserved_minor")),
                name="ntc_attempt_refunds_within_captured",
            ),
            models.CheckConstraint(
                condition=Q(settles=False) | Q(status__in=["succeeded", "reversed"]),
                name="ntc_attempt_settles_with_money",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_poll_at"],
                condition=Q(next_poll_at__isnull=False),
                name="ntc_attempt_poll_due",
            ),
            models.Index(
                fields=["phone_e164"],
                condition=one_of("status", LIVE_ATTEMPTS),
                name="ntc_attempt_live_on_phone",
            ),
            models.Index(
                fields=["lease_until"], condition=Q(status="sending"), name="ntc_attempt_sending"
            ),
        ]

    @property
    def handle(self) -> CallHandle:
        """What the company needs to know which attempt we mean."""
        return CallHandle(
            reference=self.reference,
            provider_ref=self.provider_ref,
            payer_code=self.payer_code,
            method=self.method,
        )


class SecondCharge(BaseModel):
    """A charge that came under an attempt which was paid already, by the company's own id of it.

    The same charge, told under another attempt as well, is found here and counted once.
    """

    provider = models.CharField(max_length=50)
    provider_ref = models.CharField(max_length=LONGEST_PROVIDER_REF)
    attempt = models.ForeignKey(
        PaymentAttempt, on_delete=models.PROTECT, related_name="second_charges"
    )

    class Meta:
        verbose_name = "second charge"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["provider", "provider_ref"], name="ntc_second_charge_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.provider_ref}"
