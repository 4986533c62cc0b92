"""System checks: a weak key, or a cache that would believe ended sessions, stops the start-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from ntc_core.auth.conf import auth_settings
from ntc_core.auth.keys import Key
from ntc_core.auth.tokens import keyring

__all__ = ["check_keys", "check_session_cache", "check_transactions"]

# HS256 wants at least as many bytes as its digest has (RFC 7518, 3.2).
SHORTEST_KEY_BYTES = 32


@register("security")
def check_keys(**_: Any) -> list[CheckMessage]:
    """Refuse keys that are missing, short, shared with SECRET_KEY or not a list."""
    if isinstance(auth_settings.JWT_KEYS, str):
        return [Error("NTC_JWT_KEYS is a string.", hint="Make it a list.", id="ntc_auth.E001")]
    try:
        keys = keyring()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="ntc_auth.E002")]
    secrets = [key.signing for key in keys if key.algorithm == "HS256"]
    problems: list[CheckMessage] = []
    if any(len(secret.encode()) < SHORTEST_KEY_BYTES for secret in secrets):
        problems.append(
            Error(
                f"NTC_JWT_KEYS has a key of fewer than {SHORTEST_KEY_BYTES} bytes.",
                hint="Make one with: openssl rand -hex 32",
                id="ntc_auth.E003",
            )
        )
    if settings.SECRET_KEY in secrets:
        problems.append(
            Error(
                "NTC_JWT_KEYS contains SECRET_KEY.",
                hint="Use a key of its own, so that either can be changed alone.",
                id="ntc_auth.E004",
            )
        )
    if _repeats(keys):
        problems.append(Error("NTC_JWT_KEYS has a key twice.", id="ntc_auth.E005"))
    return problems


@register("security")
def check_transactions(**_: Any) -> list[CheckMessage]:
    """Refuse a transaction around whole requests: a refusal would be forgotten with it."""
    return [
        Error(
            f"DATABASES[{alias!r}]['ATOMIC_REQUESTS'] is on: a refused sign-in or code would "
            "take its audit event, and the try it used up, back.",
            hint="Turn it off, and use transaction.atomic() where a service needs it.",
            id="ntc_auth.E020",
        )
        for alias in connections
        if connections[alias].settings_dict["ATOMIC_REQUESTS"]
    ]


@register("security")
def check_session_cache(**_: Any) -> list[CheckMessage]:
    """Refuse a cache that each process has for itself: a session ended in one lives on there."""
    if not auth_settings.SESSION_CACHE_SECONDS or settings.DEBUG:
        return []
    alias = auth_settings.SESSION_CACHE
    backend = settings.CACHES.get(alias, {}).get("BACKEND", "")
    if backend and not backend.endswith((".LocMemCache", ".DummyCache")):
        return []
    return [
        Error(
            f"NTC_SESSION_CACHE_SECONDS is set, and CACHES[{alias!r}] is not shared by all "
            "processes.",
            hint="Use Redis, or set NTC_SESSION_CACHE_SECONDS to 0.",
            id="ntc_auth.E006",
        )
    ]


def _repeats(keys: Sequence[Key]) -> bool:
    return len({key.kid for key in keys}) < len(keys)
