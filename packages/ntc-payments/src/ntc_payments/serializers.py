"""What leaves and enters over HTTP."""

from __future__ import annotations

from typing import Any

from django.db.models import prefetch_related_objects
from drf_spectacular.utils import extend_schema_field
from ntc_core.fields import PhoneField, TextField
from ntc_core.phone import mask_phone
from ntc_core.serializers import StrictSerializer
from rest_framework import serializers

from ntc_payments.models import Payment, PaymentEvent
from ntc_payments.next_action import FAILURE_SENTENCES, NextActionType, next_action
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.types import FailureCode, PaymentMethod, PaymentStatus

__all__ = [
    "NextActionOutput",
    "PaymentEventOutput",
    "PaymentFailureOutput",
    "PaymentListInput",
    "PaymentOutput",
    "PaymentProviderOutput",
    "ProviderLimitOutput",
    "RetryInput",
]


class NextActionOutput(serializers.Serializer[Any]):
    """What the payer does now."""

    type = serializers.ChoiceField(choices=[word.value for word in NextActionType])
    message = serializers.CharField()
    url = serializers.URLField(allow_null=True)
    payer_code = serializers.CharField(
        allow_null=True, help_text="What the payer types; only for `pay_control_number`."
    )


class PaymentFailureOutput(serializers.Serializer[Any]):
    """Why no money came."""

    code = serializers.ChoiceField(choices=[word.value for word in FailureCode])
    message = serializers.CharField()


class PaymentOutput(serializers.Serializer[Payment]):
    """A payment as its payer sees it. Prefetch `attempts` for lists."""

    uid = serializers.UUIDField()
    status = serializers.ChoiceField(choices=[word.value for word in PaymentStatus])
    amount = serializers.CharField(source="money.to_major", help_text='Major units: "15000.00".')
    currency = serializers.CharField()
    method = serializers.ChoiceField(choices=[word.value for word in PaymentMethod])
    provider = serializers.SerializerMethodField()
    purpose = serializers.CharField()
    description = serializers.CharField()
    phone = serializers.SerializerMethodField(help_text="Masked.")
    created_at = serializers.DateTimeField()
    succeeded_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()
    failure = serializers.SerializerMethodField()
    next_action = serializers.SerializerMethodField()

    def to_representation(self, instance: Payment) -> dict[str, Any]:
        """Read the attempts once; a list has them already."""
        prefetch_related_objects([instance], "attempts")
        return super().to_representation(instance)

    def get_provider(self, payment: Payment) -> str | None:
        """Return the provider of the attempt that counts."""
        attempt = payment.current_attempt
        return attempt.provider if attempt else None

    def get_phone(self, payment: Payment) -> str | None:
        """Return the number that pays, masked."""
        return mask_phone(payment.phone_e164) if payment.phone_e164 else None

    @extend_schema_field(PaymentFailureOutput(allow_null=True))
    def get_failure(self, payment: Payment) -> dict[str, str] | None:
        """Return why the payment failed, if it did."""
        attempt = payment.current_attempt
        if payment.status != PaymentStatus.FAILED or attempt is None:
            return None
        code = FailureCode(attempt.failure_code or FailureCode.OTHER)
        return {"code": code.value, "message": FAILURE_SENTENCES[code]}

    @extend_schema_field(NextActionOutput)
    def get_next_action(self, payment: Payment) -> dict[str, Any]:
        """Return what the payer does now."""
        return dict(NextActionOutput(next_action(payment)).data)


class PaymentListInput(serializers.Serializer[Any]):
    """Which of the caller's payments are listed; left out: all."""

    status = serializers.ChoiceField(
        choices=[word.value for word in PaymentStatus],
        required=False,
        help_text="Only payments that are so now.",
    )


class RetryInput(StrictSerializer):
    """What may be different in the next attempt; left out: as before."""

    provider = TextField(max_length=50, required=False)
    phone = PhoneField(required=False)


class ProviderLimitOutput(serializers.Serializer[Any]):
    """The smallest and largest amount of one currency, in major units."""

    currency = serializers.CharField()
    minimum = serializers.CharField()
    maximum = serializers.CharField(allow_null=True)


class PaymentProviderOutput(serializers.Serializer[PaymentProvider]):
    """A provider that a payer can choose."""

    name = serializers.CharField()
    title = serializers.CharField()
    # Plain texts: one set of choices under two field names has no good name in OpenAPI.
    methods = serializers.ListField(
        child=serializers.CharField(),
        source="capabilities.methods",
        help_text="Each is a possible `method` of a payment.",
    )
    currencies = serializers.ListField(
        child=serializers.CharField(), source="capabilities.currencies"
    )
    whole_unit_currencies = serializers.ListField(
        child=serializers.CharField(),
        source="capabilities.whole_unit_currencies",
        help_text="No fraction of a major unit is taken of these.",
    )
    limits = serializers.SerializerMethodField()

    @extend_schema_field(ProviderLimitOutput(many=True))
    def get_limits(self, provider: PaymentProvider) -> list[dict[str, str | None]]:
        """Return the limits; a currency that is missing has none."""
        return [
            {
                "currency": currency,
                "minimum": limit.minimum.to_major(),
                "maximum": limit.maximum.to_major() if limit.maximum else None,
            }
            for currency, limit in provider.capabilities.limits.items()
        ]


class PaymentEventOutput(serializers.ModelSerializer[PaymentEvent]):
    """One line of a payment's history, for staff."""

    provider = serializers.CharField(source="attempt.provider", default=None, allow_null=True)
    reference = serializers.CharField(source="attempt.reference", default=None, allow_null=True)
    amount = serializers.SerializerMethodField()

    class Meta:
        model = PaymentEvent
        fields = (
            "uid",
            "created_at",
            "kind",
            "source",
            "claim",
            "applied",
            "reason",
            "from_status",
            "to_status",
            "provider",
            "reference",
            "amount",
            "currency",
            "provider_ref",
            "failure_code",
            "failure_message",
            "occurred_at",
            "request_id",
        )
        read_only_fields = fields

    def get_amount(self, event: PaymentEvent) -> str | None:
        """Return the amount that was reported, in major units."""
        return event.money.to_major() if event.money else None
