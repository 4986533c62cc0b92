"""A payment, its attempts, and the history of both.

The constraints here are what a future bug runs into: one live prompt per payment, one
attempt that settles it, one row per reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, ClassVar, Never

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from ntc_core.models import BaseModel
from ntc_core.money import Money

from ntc_payments.transitions import LIVE_ATTEMPTS, WAITING_PAYMENTS
from ntc_payments.types import (
    LONGEST_FAILURE_MESSAGE,
    LONGEST_PROVIDER_REF,
    AttemptStatus,
    Claim,
    FailureCode,
    PaymentMethod,
    PaymentStatus,
    Source,
)

__all__ = ["Payment", "PaymentAttempt", "PaymentEvent", "new_reference"]

LONGEST_TEXT = 200
LONGEST_URL = 500

# No letters that look like digits: people read references to each other on the phone.
_REFERENCE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_reference() -> str:
    """Return "P" and 19 random letters and digits: what the narrowest company takes."""
    return "P" + "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(19))


def _choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value.replace("_", " ").capitalize()) for word in words]


def _one_of(field: str, words: Iterable[StrEnum]) -> Q:
    """Plain texts, sorted: a migration must not change with the code that names them."""
    return Q(**{f"{field}__in": sorted(word.value for word in words)})


class Payment(BaseModel):
    """What we want to collect from one payer. The amount is decided before the row exists."""

    payer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="payments"
    )
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    method = models.CharField(max_length=20, choices=_choices(PaymentMethod))
    #: What it is for, in the host's words: "subscription:0199…".
    purpose = models.CharField(max_length=LONGEST_TEXT)
    #: What the payer reads on the phone and the receipt.
    description = models.CharField(max_length=LONGEST_TEXT)
    status = models.CharField(
        max_length=12, choices=_choices(PaymentStatus), default=PaymentStatus.OPEN.value
    )
    phone_e164 = models.CharField("phone", max_length=16, blank=True)
    return_url = models.URLField(max_length=LONGEST_URL, blank=True)
    idempotency_key = models.CharField(max_length=LONGEST_TEXT)
    #: SHA-256 of what was asked for under that key.
    fingerprint = models.CharField(max_length=64, editable=False)
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
                condition=_one_of("status", PaymentStatus), name="ntc_payment_status_known"
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
                condition=_one_of("status", WAITING_PAYMENTS),
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


class PaymentAttempt(BaseModel):
    """One try at one provider, under a reference that was committed before any call."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="attempts")
    provider = models.CharField(max_length=50)
    reference = models.CharField(max_length=20, default=new_reference, editable=False)
    provider_ref = models.CharField(max_length=LONGEST_PROVIDER_REF, blank=True)
    method = models.CharField(max_length=20, choices=_choices(PaymentMethod))
    phone_e164 = models.CharField("phone", max_length=16, blank=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(
        max_length=12, choices=_choices(AttemptStatus), default=AttemptStatus.CREATED.value
    )
    #: Only one such attempt of a payment may be live.
    exclusive = models.BooleanField(default=True)
    #: This attempt's money is what paid the payment.
    settles = models.BooleanField(default=False)
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
    checkout_url = models.URLField(max_length=2000, blank=True)
    failure_code = models.CharField(max_length=30, choices=_choices(FailureCode), blank=True)
    failure_message = models.CharField(max_length=LONGEST_FAILURE_MESSAGE, blank=True)
    version = models.PositiveIntegerField(default=0, editable=False)

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
                condition=_one_of("status", LIVE_ATTEMPTS) & Q(exclusive=True),
                name="ntc_attempt_one_live",
            ),
            models.UniqueConstraint(
                fields=["payment"], condition=Q(settles=True), name="ntc_attempt_one_settles"
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="ntc_attempt_amount_positive"
            ),
            models.CheckConstraint(
                condition=_one_of("status", AttemptStatus), name="ntc_attempt_status_known"
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
                condition=_one_of("status", LIVE_ATTEMPTS),
                name="ntc_attempt_live_on_phone",
            ),
            models.Index(
                fields=["lease_until"], condition=Q(status="sending"), name="ntc_attempt_sending"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.reference}"

    @property
    def money(self) -> Money:
        """The amount with its currency, as it was asked of the company."""
        return Money(minor=self.amount_minor, currency=self.currency)

    @property
    def is_live(self) -> bool:
        """Tell whether the payer may have, or soon have, a prompt."""
        return self.status in LIVE_ATTEMPTS


class HistoryQuerySet(models.QuerySet["PaymentEvent"]):
    """Rows are added and read, nothing else."""

    def update(self, **_: Any) -> Never:
        """Refuse."""
        raise TypeError("The history of a payment is append-only.")

    def delete(self) -> Never:
        """Refuse."""
        raise TypeError("The history of a payment is append-only.")


class PaymentEvent(BaseModel):
    """One line of a payment's history: an observation, applied or not, or a transition."""

    class Kind(models.TextChoices):
        """What the line tells."""

        OBSERVATION = "observation", "Observation of an attempt"
        ATTEMPT = "attempt", "Transition of an attempt"
        PAYMENT = "payment", "Transition of the payment"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="events")
    attempt = models.ForeignKey(
        PaymentAttempt, on_delete=models.PROTECT, null=True, blank=True, related_name="events"
    )
    kind = models.CharField(max_length=12, choices=Kind.choices)
    source = models.CharField(max_length=12, choices=_choices(Source))
    claim = models.CharField(max_length=12, choices=_choices(Claim), blank=True)
    applied = models.BooleanField()
    #: Why it was applied, or why not.
    reason = models.CharField(max_length=30, blank=True)
    from_status = models.CharField(max_length=12)
    to_status = models.CharField(max_length=12)
    amount_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    provider_ref = models.CharField(max_length=LONGEST_PROVIDER_REF, blank=True)
    failure_code = models.CharField(max_length=30, choices=_choices(FailureCode), blank=True)
    failure_message = models.CharField(max_length=LONGEST_FAILURE_MESSAGE, blank=True)
    #: When it happened by the company's clock. Stored, decides nothing.
    occurred_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=128, blank=True)

    objects = HistoryQuerySet.as_manager()

    class Meta:
        verbose_name = "event"
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        what = f"{self.kind}: {self.claim}," if self.claim else f"{self.kind}:"
        return f"{what} {self.from_status or 'new'} → {self.to_status} ({self.source})"

    @property
    def money(self) -> Money | None:
        """The amount that was reported, if one was."""
        if self.amount_minor is None:
            return None
        return Money(minor=self.amount_minor, currency=self.currency)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; refuse to change a line that exists."""
        if not self._state.adding:
            raise TypeError("The history of a payment is append-only.")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> Never:
        """Refuse."""
        raise TypeError("The history of a payment is append-only.")
