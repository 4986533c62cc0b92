"""System checks: a provider that is configured wrongly is named before it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ntc_payments.conf import payments_settings, provider_registry
from ntc_payments.types import DuplicatePolicy, LateSuccessPolicy, PaymentMethod

__all__ = ["check_expiry", "check_payer_details", "check_policies", "check_providers"]

_POLICIES: Mapping[str, type[StrEnum]] = {
    "PAYMENT_LATE_SUCCESS_POLICY": LateSuccessPolicy,
    "PAYMENT_DUPLICATE_POLICY": DuplicatePolicy,
}


@register(Tags.security)
def check_providers(**_: Any) -> list[CheckMessage]:
    """Build every configured provider. Building calls nobody."""
    if not isinstance(payments_settings.PAYMENT_PROVIDERS, dict):
        return [
            Error(
                "NTC_PAYMENT_PROVIDERS is not a dict of provider name -> options.",
                id="ntc_payments.E001",
            )
        ]
    messages: list[CheckMessage] = []
    for name in provider_registry.names():
        try:
            provider = provider_registry.get(name)
        except (ImproperlyConfigured, ValueError, TypeError) as error:
            messages.append(Error(f"{error}", id="ntc_payments.E001"))
            continue
        if provider.name != name:
            messages.append(
                Error(
                    f"NTC_PAYMENT_PROVIDERS[{name!r}] builds a provider that calls itself "
                    f"{provider.name!r}. Rows and URLs carry that name: use it as the key.",
                    id="ntc_payments.E002",
                )
            )
    return messages


@register()
def check_expiry(**_: Any) -> list[CheckMessage]:
    """Every method needs an end of waiting."""
    seconds = payments_settings.PAYMENT_EXPIRES_AFTER_SECONDS
    missing = [method.value for method in PaymentMethod if not seconds.get(method)]
    if not missing:
        return []
    return [
        Error(
            f"NTC_PAYMENT_EXPIRES_AFTER_SECONDS has no seconds for {', '.join(missing)}.",
            id="ntc_payments.E003",
        )
    ]


@register()
def check_policies(**_: Any) -> list[CheckMessage]:
    """A policy that is spelled wrongly would be met first when money is at stake."""
    messages: list[CheckMessage] = []
    for name, words in _POLICIES.items():
        value = getattr(payments_settings, name)
        given = list(value.values()) if isinstance(value, Mapping) else [value]
        known = [word.value for word in words]
        messages += [
            Error(
                f"NTC_{name} has the policy {word!r}. Choose one of: {', '.join(known)}.",
                id="ntc_payments.E004",
            )
            for word in given
            if word not in known
        ]
    return messages


@register()
def check_payer_details(**_: Any) -> list[CheckMessage]:
    """Without this function no attempt can be sent."""
    path = payments_settings.PAYMENT_PAYER_DETAILS
    try:
        found = import_string(path)
    except ImportError as error:
        return [Error(f"NTC_PAYMENT_PAYER_DETAILS: {error}", id="ntc_payments.E005")]
    if callable(found):
        return []
    return [
        Error(
            f"NTC_PAYMENT_PAYER_DETAILS: {path} is no function (user) -> Payer.",
            id="ntc_payments.E005",
        )
    ]
