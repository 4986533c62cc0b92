"""What the API says about plans and subscriptions, and what it takes."""

from __future__ import annotations

from typing import Any

from ntc_core.fields import PhoneField, TextField, UidField
from ntc_core.serializers import StrictSerializer
from ntc_payments.serializers import PaymentOutput
from ntc_payments.types import PaymentMethod
from rest_framework import serializers

from .models import Plan, SubscriptionPeriod

__all__ = [
    "NO_SUBSCRIPTION",
    "PlanOutput",
    "SubscribeInput",
    "SubscribeOutput",
    "SubscriptionOutput",
]


class PlanOutput(serializers.ModelSerializer[Plan]):
    """A plan on sale; `name` and `description` follow Accept-Language (sw, en)."""

    name = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    amount = serializers.SerializerMethodField(help_text='In major units: "5000.00".')

    class Meta:
        model = Plan
        fields = ["uid", "code", "name", "description", "amount", "currency", "period_days"]

    def get_amount(self, plan: Plan) -> str:
        """Return the price in major units."""
        return plan.price.to_major()


class SubscribeInput(StrictSerializer):
    """Which plan, and how it will be paid. The price is the plan's, never the client's."""

    plan = UidField(help_text="The `uid` of a plan.")
    method = serializers.ChoiceField(choices=[method.value for method in PaymentMethod])
    provider = TextField(
        max_length=50,
        required=False,
        help_text="Left out: the first provider that offers the method.",
    )
    phone = PhoneField(required=False, help_text="The phone that pays. Left out: your own.")
    return_url = serializers.URLField(
        required=False, max_length=500, help_text="Where a checkout page sends the payer back to."
    )


class SubscribeOutput(serializers.Serializer[Any]):
    """The payment to make; its `next_action` says what the payer does now."""

    payment = PaymentOutput(read_only=True)


#: The same fields for everybody, so that a client needs one branch only.
NO_SUBSCRIPTION = {"status": "none", "plan": None, "starts_at": None, "ends_at": None}


class SubscriptionOutput(serializers.Serializer[SubscriptionPeriod]):
    """The caller's subscription. Who never had one gets the status `none` and nulls."""

    status = serializers.ChoiceField(
        choices=["active", "expired", "none"], source="subscription.status", read_only=True
    )
    plan = PlanOutput(
        read_only=True,
        allow_null=True,
        help_text="The plan of the period that runs now; once expired, of the last one. A plan "
        "that was bought ahead is shown from the day it begins.",
    )
    starts_at = serializers.DateTimeField(
        source="subscription.starts_at",
        read_only=True,
        allow_null=True,
        help_text="When the paid time began that has lasted without a break since then.",
    )
    ends_at = serializers.DateTimeField(
        source="subscription.ends_at",
        read_only=True,
        allow_null=True,
        help_text="When all that is paid for ends, plans bought ahead included.",
    )
