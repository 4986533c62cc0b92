"""Whom `ntc doctor` asks for the messages: every configured provider, with our credentials."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ntc_core.doctor import NotAsked, Service, services

from ntc_notify.registry import get_provider, list_provider_names
from ntc_notify.types import Channel

__all__ = ["list_services"]


@services
def list_services() -> Iterator[Service]:
    """Return the providers of NTC_EMAIL_PROVIDERS and NTC_SMS_PROVIDERS."""
    for channel in Channel:
        for name in list_provider_names(channel):
            yield Service(
                name=f"{channel} {name}",
                ask=partial(_ask, channel, name),
                advice=f"Check NTC_{channel.upper()}_PROVIDERS[{name!r}]: address, credentials, "
                "and whether the company lets this machine in.",
            )


def _ask(channel: Channel, name: str) -> None:
    provider = get_provider(channel, name)
    try:
        provider.prove_access()
    except NotImplementedError as error:
        raise NotAsked("it can be asked nothing harmless") from error
