"""Choose a provider, and refuse what none can do before there is a row."""

from __future__ import annotations

from ntc_core.errors import InvalidInput, Unavailable
from ntc_core.money import Money
from ntc_core.phone import InvalidPhone, parse_phone

from ntc_payments.conf import provider_registry
from ntc_payments.errors import ProviderCannot
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.types import PaymentMethod

__all__ = ["choose_provider", "read_method", "read_phone"]


def choose_provider(*, name: str | None, method: PaymentMethod, money: Money) -> PaymentProvider:
    """Return the named provider, or the first configured one that can do this.

    Raises:
        ProviderCannot: with a sentence that says what it can do instead.
        InvalidInput: no provider has that name.
        Unavailable: none is configured.
    """
    names = provider_registry.names()
    if not names:
        raise Unavailable("Payments are not available: no payment provider is configured.")
    if name is not None and name not in names:
        raise InvalidInput(
            f"There is no payment provider {name[:50]!r}. Choose one of: {', '.join(names)}.",
            code="unknown_provider",
            attr="provider",
        )
    refusals = []
    for candidate in [name] if name else names:
        provider = provider_registry.get(candidate)
        refusal = provider.capabilities.refusal(method=method, money=money)
        if refusal is None:
            return provider
        refusals.append((refusal[0], f"{provider.title} {refusal[1]}"))
    sentences = " ".join(sentence for _, sentence in refusals)
    raise ProviderCannot(sentences, attr=refusals[0][0])


def read_method(method: str) -> PaymentMethod:
    """Return the method of that name.

    Raises:
        InvalidInput: there is no such method.
    """
    try:
        return PaymentMethod(method)
    except ValueError as error:
        known = ", ".join(PaymentMethod)
        raise InvalidInput(f"Choose one of: {known}.", code="invalid", attr="method") from error


def read_phone(phone: str | None, *, method: PaymentMethod) -> str:
    """Return the phone in E.164, or "" where the method needs none.

    Raises:
        InvalidInput: it is not a number, or it is missing where the prompt goes to a phone.
    """
    if not phone:
        if method is PaymentMethod.MOBILE_PUSH:
            raise InvalidInput("Enter the phone number that pays.", code="required", attr="phone")
        return ""
    try:
        return parse_phone(phone)
    except InvalidPhone as error:
        raise InvalidInput(str(error), code="invalid_phone", attr="phone") from error
