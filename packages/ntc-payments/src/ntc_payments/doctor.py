"""Whom `ntc doctor` asks for the payments: every configured company, with our credentials."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ntc_core.doctor import NotAsked, Service, services

from ntc_payments.conf import provider_registry

__all__ = ["list_services"]


@services
def list_services() -> Iterator[Service]:
    """Return the companies of NTC_PAYMENT_PROVIDERS."""
    for name in provider_registry.names():
        yield Service(
            name=f"payments {name}",
            ask=partial(_ask, name),
            advice=f"Check NTC_PAYMENT_PROVIDERS[{name!r}]: address, credentials, and whether the "
            "company lets this machine in.",
        )


def _ask(name: str) -> None:
    provider = provider_registry.get(name)
    try:
        provider.prove_access()
    except NotImplementedError as error:
        raise NotAsked("it can be asked nothing harmless") from error
