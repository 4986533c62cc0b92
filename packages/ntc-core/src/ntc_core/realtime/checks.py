"""System checks of the live channel.

E001  NTC_REALTIME_TICKET_SECONDS is not 1 to 30   E002  an origin cannot be one
W001  processes cannot wake each other's sockets (--deploy)   W003  SQLite as Django sets it up
W002  pages of any origin may open a socket (--deploy)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name

from ntc_core.realtime.conf import realtime_settings

__all__ = ["check_deployment", "check_settings", "check_sqlite"]

_LONGEST_TICKET = 30
#: A reserved name (RFC 2606): what lets it in lets everybody in.
_A_STRANGERS_ORIGIN = "https://stranger.example"


@register(Tags.security)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Check what would let strangers in, or nobody."""
    found: list[CheckMessage] = []
    if not 1 <= realtime_settings.REALTIME_TICKET_SECONDS <= _LONGEST_TICKET:
        found.append(
            Error(
                f"NTC_REALTIME_TICKET_SECONDS is {realtime_settings.REALTIME_TICKET_SECONDS!r}; "
                f"expected 1 to {_LONGEST_TICKET}.",
                hint="A ticket is for the next moment: get another one for the next socket.",
                id="ntc_realtime.E001",
            )
        )
    found += [_no_origin(entry) for entry in realtime_settings.REALTIME_ORIGINS if _is_odd(entry)]
    for pattern in realtime_settings.REALTIME_ORIGIN_REGEXES:
        try:
            re.compile(pattern)
        except re.error:
            found.append(_no_origin(pattern))
    return found


def _is_odd(entry: str) -> bool:
    parts = urlsplit(entry)
    return parts.scheme not in {"http", "https"} or not parts.netloc or bool(parts.path.strip("/"))


def _no_origin(entry: str) -> CheckMessage:
    return Error(
        f"NTC_REALTIME_ORIGINS or _ORIGIN_REGEXES has {entry!r}, which no browser sends.",
        hint="Write it as https://app.example.com, without a path; '*' is not known here.",
        id="ntc_realtime.E002",
    )


@register()
def check_sqlite(**_: Any) -> list[CheckMessage]:
    """Check that threads which write at the same time wait for each other."""
    database = settings.DATABASES.get("default", {})
    if not database.get("ENGINE", "").endswith("sqlite3"):
        return []
    if database.get("OPTIONS", {}).get("transaction_mode") in {"IMMEDIATE", "EXCLUSIVE"}:
        return []
    return [
        Warning(
            "SQLite takes its lock in the middle of a transaction: beside the jobs, sockets are "
            "refused with 503 and 'database is locked'.",
            hint="DATABASES['default']['OPTIONS'] = {'transaction_mode': 'IMMEDIATE', "
            "'timeout': 20, 'init_command': 'PRAGMA journal_mode=WAL'}",
            id="ntc_realtime.W003",
        )
    ]


@register(Tags.security, deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """Check that events of a worker arrive at once, and that strangers' pages stay outside."""
    return [*_check_layer(), *_check_strangers()]


def _check_layer() -> list[CheckMessage]:
    layers: dict[str, Any] = getattr(settings, "CHANNEL_LAYERS", {})
    backend = layers.get("default", {}).get("BACKEND", "")
    if backend and not backend.endswith("InMemoryChannelLayer"):
        return []
    return [
        Warning(
            "CHANNEL_LAYERS has no layer that processes share: events of other processes arrive "
            f"after {realtime_settings.REALTIME_WATCH_SECONDS} s.",
            hint="Set channels_redis.pubsub.RedisPubSubChannelLayer with your Redis.",
            id="ntc_realtime.W001",
        )
    ]


def _check_strangers() -> Iterator[CheckMessage]:
    for pattern in realtime_settings.REALTIME_ORIGIN_REGEXES:
        try:
            lets_everybody_in = re.fullmatch(pattern, _A_STRANGERS_ORIGIN) is not None
        except re.error:
            continue  # check_settings says so
        if lets_everybody_in:
            yield Warning(
                f"NTC_REALTIME_ORIGIN_REGEXES has {pattern!r}, which fits every origin.",
                hint="Name the front ends in NTC_REALTIME_ORIGINS.",
                id="ntc_realtime.W002",
            )
