"""Ask the parts that a request needs, all at the same time, each with its own deadline."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Lock, Thread

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.db import DEFAULT_DB_ALIAS, connections

__all__ = [
    "DEADLINE_SECONDS",
    "PartHealth",
    "ask_broker",
    "ask_cache",
    "ask_database",
    "ask_parts",
    "broker_url",
]

log = logging.getLogger("ntc_core.health")

#: A part that takes longer is as good as down: platforms give up after a few seconds.
DEADLINE_SECONDS = 2.0

Probe = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class PartHealth:
    """How one part answered."""

    name: str
    is_up: bool
    duration_ms: float


class _Asking:
    """One probe on its way, in a thread of its own."""

    def __init__(self, name: str, probe: Probe) -> None:
        self.name = name
        self.probe = probe
        self.started = time.monotonic()
        self.finished = Event()
        self.is_up = False

    def run(self) -> None:
        try:
            self.probe()
            self.is_up = True
        except Exception:
            log.exception("health.part_down", extra={"part": self.name})
        finally:
            with _lock:
                _under_way.pop(self.name, None)
            self.finished.set()


_lock = Lock()
# A part that hangs is not asked a second time before the first question ends: a platform
# that asks every few seconds would otherwise pile up threads.
_under_way: dict[str, _Asking] = {}


def ask_parts(*, deadline_seconds: float = DEADLINE_SECONDS) -> list[PartHealth]:
    """Return the health of the database, the cache and, with Celery, the broker."""
    asked = [_ask(name, probe) for name, probe in _probes().items()]
    ends_at = time.monotonic() + deadline_seconds
    return [_wait(asking, ends_at) for asking in asked]


def _ask(name: str, probe: Probe) -> _Asking:
    with _lock:
        asking = _under_way.get(name)
        if asking is None:
            asking = _under_way[name] = _Asking(name, probe)
            Thread(target=asking.run, name=f"health-{name}", daemon=True).start()
        return asking


def _wait(asking: _Asking, ends_at: float) -> PartHealth:
    if not asking.finished.wait(max(0.0, ends_at - time.monotonic())):
        log.error("health.part_too_slow", extra={"part": asking.name})
    return PartHealth(
        name=asking.name,
        is_up=asking.is_up,
        duration_ms=round((time.monotonic() - asking.started) * 1000, 1),
    )


def broker_url() -> str:
    """Return where Celery's broker is; empty: none is configured."""
    return getattr(settings, "CELERY_BROKER_URL", None) or ""


def ask_database(alias: str = DEFAULT_DB_ALIAS) -> None:
    """Have the database answer; whatever its driver raises says that it did not."""
    # The connection belongs to this thread; nobody else would close it.
    connection = connections[alias]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    finally:
        connection.close()


def ask_cache(alias: str = DEFAULT_CACHE_ALIAS) -> None:
    """Put something into the cache and look whether it is there."""
    cache = caches[alias]
    key, value = f"ntc.health:{secrets.token_hex(8)}", secrets.token_hex(8)
    cache.set(key, value, timeout=30)
    found = cache.get(key)
    cache.delete(key)
    if found != value:
        raise ValueError("The cache did not give back what was put into it.")


def ask_broker() -> None:
    """Open a connection to the broker, once."""
    from kombu.connection import Connection  # noqa: PLC0415 - comes with the extra "celery"

    with Connection(
        broker_url(),
        connect_timeout=DEADLINE_SECONDS,
        transport_options={
            **getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {}),
            "max_retries": 0,
            "socket_connect_timeout": DEADLINE_SECONDS,
            "socket_timeout": DEADLINE_SECONDS,
        },
    ) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=DEADLINE_SECONDS)


def _probes() -> Mapping[str, Probe]:
    probes: dict[str, Probe] = {"database": ask_database, "cache": ask_cache}
    if broker_url():
        probes["broker"] = ask_broker
    return probes
