"""The company's account of a day, and the differences that need a decision."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from ntc_core.models import BaseModel
from ntc_core.money import Money

from ntc_payments.models.columns import LONGEST_TEXT, choices
from ntc_payments.models.payment import Payment, PaymentAttempt
from ntc_payments.models.payout import Payout
from ntc_payments.models.refund import Refund
from ntc_payments.types import LONGEST_LINE_KEY, LONGEST_PROVIDER_REF, Subject

__all__ = ["Break", "StatementLine"]


class StatementLine(BaseModel):
    """One line of a company's statement, imported once however often it is read."""

    class State(models.TextChoices):
        """What became of it. `waiting`: too young to be a difference yet."""

        WAITING = "waiting"
        MATCHED = "matched"
        BREAK = "break"

    provider = models.CharField(max_length=50)
    #: What makes the line the same one in another import.
    line_key = models.CharField(max_length=LONGEST_LINE_KEY)
    subject = models.CharField(max_length=10, choices=choices(Subject))
    reference = models.CharField(max_length=LONGEST_PROVIDER_REF, blank=True)
    provider_ref = models.CharField(max_length=LONGEST_PROVIDER_REF, blank=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    fee_minor = models.BigIntegerField(null=True, blank=True)
    #: The company's clock.
    booked_at = models.DateTimeField()
    description = models.CharField(max_length=LONGEST_TEXT, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempt = models.ForeignKey(
        PaymentAttempt, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    refund = models.ForeignKey(
        Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    payout = models.ForeignKey(
        Payout, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = "statement line"
        ordering: ClassVar[list[str]] = ["booked_at", "id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["provider", "line_key"], name="ntc_statement_line_once"
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="ntc_statement_amount_positive"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["break", "matched", "waiting"]),
                name="ntc_statement_state_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["provider", "booked_at"], name="ntc_statement_day"),
            models.Index(fields=["provider", "reference"], name="ntc_statement_reference"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.line_key}"

    @property
    def money(self) -> Money:
        """The amount without the fee."""
        return Money(minor=self.amount_minor, currency=self.currency)


class Break(BaseModel):
    """A difference that needs a decision. Opened by the machine, closed by a person.

    Once per `dedupe_key`: the same difference, seen again, is the same row.
    """

    class Kind(models.TextChoices):
        """What does not fit."""

        INTEGRITY = "integrity", "The amount or currency differs from what we asked for"
        CONTRADICTION = "contradiction", "The company takes back what it said"
        DUPLICATE_CHARGE = "duplicate_charge", "The payer was charged twice"
        LATE_SUCCESS = "late_success", "Money came after we had stopped waiting"
        UNDECIDED = "undecided", "Nobody can tell what became of it"
        UNMATCHED = "unmatched", "Money moved for which we have no row"
        REVERSED = "reversed", "The company took the money back"
        DISPUTED = "disputed", "The payer disputes the charge at the bank"
        REFUND_FAILED = "refund_failed", "The money could not be given back"
        MISSING_AT_PROVIDER = "missing_at_provider", "We booked it, the statement has no line"
        MISSING_HERE = "missing_here", "The statement has a line, we booked nothing"
        STATEMENT_AMOUNT = "statement_amount", "The statement has another amount"
        STATEMENT_FEE = "statement_fee", "The statement has another fee"
        STATEMENT_DUPLICATE = "statement_duplicate", "The statement has it twice"

    class State(models.TextChoices):
        """Whether somebody has decided."""

        OPEN = "open"
        CLOSED = "closed"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    dedupe_key = models.CharField(max_length=255, unique=True)
    provider = models.CharField(max_length=50)
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="breaks"
    )
    attempt = models.ForeignKey(
        PaymentAttempt, on_delete=models.PROTECT, null=True, blank=True, related_name="breaks"
    )
    refund = models.ForeignKey(
        Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="breaks"
    )
    payout = models.ForeignKey(
        Payout, on_delete=models.PROTECT, null=True, blank=True, related_name="breaks"
    )
    statement_line = models.ForeignKey(
        StatementLine, on_delete=models.PROTECT, null=True, blank=True, related_name="breaks"
    )
    #: The money in question, where there is an amount.
    amount_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    #: What was found, in a sentence for staff; people in it masked.
    detail = models.CharField(max_length=500)
    resolution = models.CharField(max_length=500, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        permissions = (("close_break", "Can close a break"),)
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=Q(state="open", closed_at__isnull=True)
                | (Q(state="closed", closed_at__isnull=False) & ~Q(resolution="")),
                name="ntc_break_closed_with_resolution",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["kind", "created_at"], condition=Q(state="open"), name="ntc_break_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.provider} ({self.state})"

    @property
    def money(self) -> Money | None:
        """The money in question, where there is an amount."""
        if self.amount_minor is None:
            return None
        return Money(minor=self.amount_minor, currency=self.currency)
