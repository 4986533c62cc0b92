"""What leaves and enters over HTTP about money that goes back or out. For staff."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from ntc_core.fields import PhoneField, TextField
from ntc_core.money import CURRENCY_EXPONENTS, InvalidMoney, Money
from ntc_core.phone import mask_phone
from ntc_core.serializers import StrictSerializer
from rest_framework import serializers

from ntc_payments.models import Payout, Refund
from ntc_payments.types import AttemptStatus, FailureCode, PayoutMethod

__all__ = [
    "PayoutInput",
    "PayoutOutput",
    "PayoutPreviewInput",
    "PayoutPreviewOutput",
    "RefundInput",
    "RefundOutput",
]

_SHOWN_DIGITS = 4


def _one_of(words: type[StrEnum]) -> str:
    return f"One of: {', '.join(words)}."


class MoneyField(TextField):
    """An amount in major units, "15000.00"; read together with its currency."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 25, "help_text": 'In major units: "15000.00".', **kwargs})


class RefundInput(StrictSerializer):
    """How much goes back, and why."""

    amount = MoneyField(required=False, help_text="In major units; left out: all that is left.")
    reason = TextField(max_length=200)
    route = serializers.ChoiceField(
        choices=Refund.Route.choices,
        required=False,
        help_text="Left out: the first that is possible of provider, payout, manual.",
    )


class CallOutput(serializers.Serializer[Any]):
    """What a refund and a payout have in common."""

    uid = serializers.UUIDField()
    # Plain texts: several sets of choices under one field name have no good name in OpenAPI.
    status = serializers.CharField(help_text=_one_of(AttemptStatus))
    amount = serializers.CharField(source="money.to_major", help_text='Major units: "15000.00".')
    currency = serializers.CharField()
    provider = serializers.CharField()
    reference = serializers.CharField(help_text="Ours, at the company.")
    provider_ref = serializers.CharField(help_text="The company's own; empty while unknown.")
    failure_code = serializers.CharField(help_text=f"Empty, or {_one_of(FailureCode)}")
    failure_message = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class RefundOutput(CallOutput):
    """Money that goes back to a payer."""

    route = serializers.ChoiceField(choices=Refund.Route.choices)
    reason = serializers.CharField()


class PayoutPreviewInput(StrictSerializer):
    """Who would get how much."""

    method = TextField(max_length=20, help_text=_one_of(PayoutMethod))
    amount = MoneyField()
    currency = serializers.ChoiceField(choices=sorted(CURRENCY_EXPONENTS), default="TZS")
    provider = TextField(max_length=50, required=False)
    phone = PhoneField(required=False, help_text="Of a mobile wallet.")
    bank_code = TextField(
        max_length=50, required=False, help_text="As the provider names the bank; see its page."
    )
    account_number = TextField(max_length=50, required=False)
    receiver_name = TextField(max_length=200, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            attrs["money"] = Money.from_major(attrs.pop("amount"), attrs.pop("currency"))
        except InvalidMoney as error:
            raise serializers.ValidationError({"amount": str(error)}, code="invalid") from error
        return attrs


class PayoutInput(PayoutPreviewInput):
    """Who gets how much, and what for."""

    purpose = TextField(max_length=200)
    description = TextField(max_length=200)


class PayoutPreviewOutput(serializers.Serializer[Any]):
    """What the company says before anything moves."""

    fee = serializers.CharField(
        source="fee.to_major", default=None, allow_null=True, help_text="In major units."
    )
    receiver_name = serializers.CharField(allow_blank=True)


class PayoutOutput(CallOutput):
    """Money that goes out. Numbers are masked."""

    method = serializers.CharField(help_text=_one_of(PayoutMethod))
    fee = serializers.CharField(source="fee.to_major", default=None, allow_null=True)
    phone = serializers.SerializerMethodField()
    account = serializers.SerializerMethodField(help_text="The last digits of the account.")
    receiver_name = serializers.CharField(allow_blank=True)
    purpose = serializers.CharField()
    description = serializers.CharField()

    def get_phone(self, payout: Payout) -> str | None:
        """Return the wallet's number, masked."""
        return mask_phone(payout.phone_e164) if payout.phone_e164 else None

    def get_account(self, payout: Payout) -> str | None:
        """Return enough of the account to recognise it."""
        if not payout.account_number:
            return None
        return f"{payout.bank_code} …{payout.account_number[-_SHOWN_DIGITS:]}"
