"""What is sold (plans), who may use it until when (subscriptions), and what paid for it."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import get_language
from ntc_core.masking import mask_text
from ntc_core.models import BaseModel
from ntc_core.money import CURRENCY_EXPONENTS, Money

__all__ = ["Plan", "Subscription", "SubscriptionPeriod", "validate_currency"]


def validate_currency(code: str) -> None:
    """Refuse what `ntc_core.money` cannot count."""
    if code not in CURRENCY_EXPONENTS:
        raise ValidationError(f"Choose one of {', '.join(CURRENCY_EXPONENTS)}.", code="invalid")


class Plan(BaseModel):
    """A length of time at a price. Withdraw one with `is_active`; rows stay, sold or not."""

    code = models.SlugField(max_length=50, unique=True)
    name_sw = models.CharField(max_length=100)
    name_en = models.CharField(max_length=100)
    description_sw = models.CharField(max_length=300, blank=True)
    description_en = models.CharField(max_length=300, blank=True)
    amount_minor = models.PositiveBigIntegerField(
        validators=[MinValueValidator(1)], help_text="500000 is TZS 5,000.00"
    )
    currency = models.CharField(max_length=3, default="TZS", validators=[validate_currency])
    period_days = models.PositiveSmallIntegerField(validators=[MinValueValidator(1)])
    is_active = models.BooleanField(default=True)
    order = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["order", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="subscriptions_plan_amount_positive"
            ),
            models.CheckConstraint(
                condition=Q(period_days__gt=0), name="subscriptions_plan_period_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name_en} ({self.price})"

    def clean(self) -> None:
        """Refuse what nobody could pay: mobile money takes whole shillings only."""
        if self.currency == "TZS" and self.amount_minor is not None and not self.price.is_whole:
            raise ValidationError(
                {"amount_minor": "Enter whole shillings: TZS has two decimals, so end with 00."}
            )

    @property
    def price(self) -> Money:
        """Return what one period costs."""
        return Money(self.amount_minor, self.currency)

    @property
    def name(self) -> str:
        """Return the name in the active language."""
        return self.name_in(get_language())

    @property
    def description(self) -> str:
        """Return the description in the active language."""
        return self.description_sw if get_language() == "sw" else self.description_en

    def name_in(self, language: str | None) -> str:
        """Return the name in that language; English where we have no other."""
        return self.name_sw if language == "sw" else self.name_en


class Subscription(BaseModel):
    """Until when a user may use the service. One row per user, extended by each payment.

    Whether it is active follows from the clock, so there is no status to keep up to date.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="subscription"
    )
    starts_at = models.DateTimeField(
        help_text="When the paid time began that has lasted without a break since then."
    )
    ends_at = models.DateTimeField(help_text="When the last period that is paid for ends.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="subscriptions_ends_after_start"
            ),
        ]

    def __str__(self) -> str:
        return f"{mask_text(str(self.user))} until {self.ends_at:%Y-%m-%d}"

    @property
    def is_active(self) -> bool:
        """Tell whether the paid time runs now."""
        return self.starts_at <= timezone.now() < self.ends_at

    @property
    def status(self) -> str:
        """Return "active" or "expired"."""
        return "active" if self.is_active else "expired"


class SubscriptionPeriod(BaseModel):
    """One stretch of time and the payment that paid for it: a payment pays for one, once."""

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="periods")
    #: What was bought; null only if its row was removed between the sale and the payment.
    plan = models.ForeignKey(
        Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    payment_uid = models.UUIDField(unique=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    #: When it was taken back, because the money went back.
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["starts_at", "id"]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"
