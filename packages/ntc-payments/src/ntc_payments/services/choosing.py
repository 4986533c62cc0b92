"""Choose a provider, and refuse what none can do before there is a row.

A company that answers nobody gets no new attempts for a while, where another one can do the
same. What it has been sent already stays with it: only a new attempt goes elsewhere.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from ntc_core.errors import InvalidInput, Unavailable
from ntc_core.money import Money
from ntc_core.phone import InvalidPhone, parse_phone

from ntc_payments.conf import provider_registry
from ntc_payments.errors import ProviderCannot
from ntc_payments.models import PaymentAttempt
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.types import AttemptStatus, PaymentMethod

__all__ = ["choose_provider", "read_method", "read_phone"]


#: A company is silent when so many attempts of the last while got no answer, and none did.
SILENT_ATTEMPTS = 5
SILENT_FOR = timedelta(minutes=2)
#: So many of the newest attempts, of all companies, are looked at.
LOOK_BACK = 100

#: What an attempt is once its company has said anything about it.
_ANSWERED = frozenset(AttemptStatus) - {
    AttemptStatus.CREATED,
    AttemptStatus.SENDING,
    AttemptStatus.UNKNOWN,
    AttemptStatus.EXPIRED,
}


def choose_provider(
    *, name: str | None, method: PaymentMethod, money: Money, first: str | None = None
) -> PaymentProvider:
    """Return the named provider, or the first configured one that can do this and answers.

    Args:
        name: this one and no other; None: ours to choose.
        first: the one to begin with, where it is ours to choose.

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
    able, refusals = [], []
    for candidate in [name] if name else sorted(names, key=lambda each: each != first):
        provider = provider_registry.get(candidate)
        refusal = provider.capabilities.refusal(method=method, money=money)
        if refusal is None:
            able.append(provider)
        else:
            refusals.append((refusal[0], f"{provider.title} {refusal[1]}"))
    if not able:
        sentences = " ".join(sentence for _, sentence in refusals)
        raise ProviderCannot(sentences, attr=refusals[0][0])
    silent = _silent_providers() if len(able) > 1 else frozenset()
    return next((provider for provider in able if provider.name not in silent), able[0])


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


def _silent_providers() -> frozenset[str]:
    """Return who answered none of its last attempts. One query, however many rows there are.

    By itself it comes back: once the silent attempts are old, new ones are tried there again.
    """
    since = timezone.now() - SILENT_FOR
    newest = PaymentAttempt.objects.order_by("-id").values_list(
        "provider", "status", "sends", "created_at"
    )[:LOOK_BACK]
    silent: dict[str, int] = {}
    answered = set()
    for provider, status, sends, created_at in newest:
        if created_at < since:
            break
        if status in _ANSWERED:
            answered.add(provider)
        elif sends and status != AttemptStatus.SENDING:
            silent[provider] = silent.get(provider, 0) + 1
    return frozenset(
        name for name, count in silent.items() if count >= SILENT_ATTEMPTS and name not in answered
    )
