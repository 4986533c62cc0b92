"""System checks: a provider that is configured wrongly is named before it is needed."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from ntc_payments.conf import payments_settings, provider_registry
from ntc_payments.types import PaymentMethod

__all__ = ["check_expiry", "check_providers"]


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
