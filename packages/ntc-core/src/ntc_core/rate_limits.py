"""Count what happens within a window, and refuse what is too much: exactly, also in parallel.

    verdict = take(Limit(name="login", who=address, count=30, seconds=60))
    if not verdict.is_allowed:
        raise verdict.as_error()

Every limit of one call is asked and counted in one step: either all of them count it or none
does. A refused call is not counted, so who keeps knocking does not make the wait longer.

The counts live in Redis (NTC_THROTTLE_REDIS_URL, or the default cache's server), where one
script does it all, or else in this process, under a lock. On a Redis Cluster all counters are
in one slot, because a script may use the keys of one slot only. While Redis is away the process
counts for itself: the same limits hold, per process, and no call waits for Redis twice.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from django.conf import settings
from django.utils.crypto import salted_hmac

from ntc_core.conf import core_settings
from ntc_core.errors import RateLimited

__all__ = ["Limit", "LocalCounts", "RedisCounts", "Verdict", "forget_local", "give_back", "take"]

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 0.25
ANSWER_TIMEOUT_SECONDS = 0.25
#: How long Redis is left alone after it failed.
PAUSE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Limit:
    """`who` may do `name` at most `count` times in any stretch of `seconds`."""

    name: str
    who: str
    count: int
    seconds: int

    @property
    def key(self) -> str:
        """Name the counter. A keyed digest: who it is, is nobody's business."""
        message = f"{core_settings.PROJECT_NAME}\n{self.name}\n{self.who}".encode(errors="replace")
        digest = salted_hmac("ntc_core.rate_limits", message, algorithm="sha256").hexdigest()
        # A cluster hashes what is in the braces: which limits meet in one call is not known before.
        return f"{{ntc.throttle}}:{self.name}:{digest[:32]}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a call is allowed; otherwise which limit refused it, and for how long."""

    limits: tuple[Limit, ...]
    mark: str
    refused_by: Limit | None = None
    wait_seconds: float = 0.0

    @property
    def is_allowed(self) -> bool:
        return self.refused_by is None

    def as_error(self) -> RateLimited:
        """Return what to raise."""
        wait = max(1, math.ceil(self.wait_seconds))
        error = RateLimited(retry_after_seconds=wait)
        if self.refused_by is not None:
            error.headers = rate_limit_headers(self.refused_by, wait_seconds=wait)
        return error


class Counts(Protocol):
    """A place where calls are counted."""

    def take(self, limits: Sequence[tuple[str, int, int]], mark: str) -> tuple[int, float]:
        """Count one call under (key, count, seconds), all or none.

        Returns:
            The place of the refusing limit that takes longest, and the seconds to wait; -1
            and 0 where the call is allowed.
        """

    def give_back(self, keys: Sequence[str], mark: str) -> None:
        """Forget one counted call."""


def take(*limits: Limit) -> Verdict:
    """Count one call under every limit, or under none if one of them refuses it."""
    mark = secrets.token_hex(8)
    if not limits:
        return Verdict(limits=(), mark=mark)
    wanted = [(limit.key, limit.count, limit.seconds) for limit in limits]
    refused, wait = _ask(lambda counts: counts.take(wanted, mark))
    return Verdict(
        limits=limits,
        mark=mark,
        refused_by=limits[refused] if refused >= 0 else None,
        wait_seconds=wait,
    )


def give_back(verdict: Verdict) -> None:
    """Forget an allowed call, so that it does not count after all."""
    keys = [limit.key for limit in verdict.limits]
    if keys and verdict.is_allowed:
        _ask(lambda counts: counts.give_back(keys, verdict.mark))


def rate_limit_headers(limit: Limit, *, wait_seconds: int) -> dict[str, str]:
    """Return the fields of draft-ietf-httpapi-ratelimit-headers for a limit that is used up."""
    return {
        "RateLimit-Policy": f'"{limit.name}";q={limit.count};w={limit.seconds}',
        "RateLimit": f'"{limit.name}";r=0;t={wait_seconds}',
    }


class LocalCounts:
    """Counts in this process, under a lock. For development, and while Redis is away."""

    #: Counters after which those that are over are looked for.
    SWEEP_AT = 10_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, list[tuple[float, str]]] = {}
        self._over_at: dict[str, float] = {}
        self._sweep_at = self.SWEEP_AT

    def take(self, limits: Sequence[tuple[str, int, int]], mark: str) -> tuple[int, float]:
        """See `Counts`."""
        now = time.time()
        with self._lock:
            refused, longest = -1, 0.0
            for place, (key, count, seconds) in enumerate(limits):
                calls = self._recent(key, seconds, now=now)
                if len(calls) >= count:
                    wait = calls[-count][0] + seconds - now
                    if refused < 0 or wait > longest:
                        refused, longest = place, wait
            if refused >= 0:
                return refused, longest
            for key, _, seconds in limits:
                insort(self._calls.setdefault(key, []), (now, mark))
                self._over_at[key] = now + seconds
            self._sweep(now=now)
        return -1, 0.0

    def give_back(self, keys: Sequence[str], mark: str) -> None:
        """See `Counts`."""
        with self._lock:
            for key in keys:
                calls = self._calls.get(key, [])
                calls[:] = [call for call in calls if call[1] != mark]

    def forget_all(self) -> None:
        """Begin anew."""
        with self._lock:
            self._calls.clear()
            self._over_at.clear()

    def _recent(self, key: str, seconds: int, *, now: float) -> list[tuple[float, str]]:
        calls = self._calls.get(key, [])
        # A clock that was set back must not keep anybody out for longer than the window.
        if calls and calls[-1][0] > now:
            calls[:] = [(min(moment, now), mark) for moment, mark in calls]
        del calls[: bisect_left(calls, (now - seconds, "\U0010ffff"))]
        return calls

    def _sweep(self, *, now: float) -> None:
        """Drop the counters nobody used again; twice as many must come before the next look."""
        if len(self._calls) < self._sweep_at:
            return
        for key in [key for key, over_at in self._over_at.items() if over_at <= now]:
            del self._calls[key], self._over_at[key]
        self._sweep_at = max(self.SWEEP_AT, 2 * len(self._calls))


# One sorted set per counter: the member is a call's mark, the score its moment by the clock of
# the server, in microseconds. KEYS: counters. ARGV: mark, then count and microseconds of each.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local refused, longest = -1, 0
for place, key in ipairs(KEYS) do
  local count, window = tonumber(ARGV[2 * place]), tonumber(ARGV[2 * place + 1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - window))
  local used = redis.call('ZCARD', key)
  if used >= count then
    local call = redis.call('ZRANGE', key, used - count, used - count, 'WITHSCORES')
    local wait = call[2] + window - now
    if refused < 0 or wait > longest then refused, longest = place - 1, wait end
  end
end
if refused < 0 then
  for place, key in ipairs(KEYS) do
    redis.call('ZADD', key, string.format('%.0f', now), ARGV[1])
    redis.call('PEXPIRE', key, math.ceil(ARGV[2 * place + 1] / 1000))
  end
end
return {refused, string.format('%.0f', longest)}
"""


class RedisCounts:
    """Counts in Redis, shared by every process."""

    def __init__(self, url: str) -> None:
        import redis  # noqa: PLC0415 - optional: installed by who uses Redis
        from redis.backoff import NoBackoff  # noqa: PLC0415 - likewise
        from redis.retry import Retry  # noqa: PLC0415 - likewise

        self.errors: type[Exception] = redis.RedisError
        self._client: Any = redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
            socket_timeout=ANSWER_TIMEOUT_SECONDS,
            # Once more, at once: a pooled connection may have been closed while it lay idle.
            retry=Retry(NoBackoff(), 1),
        )
        # Called by its digest; the text travels only where the server does not know it yet.
        self._take: Any = self._client.register_script(_TAKE)

    def take(self, limits: Sequence[tuple[str, int, int]], mark: str) -> tuple[int, float]:
        """See `Counts`."""
        numbers = [number for _, count, seconds in limits for number in (count, seconds * 10**6)]
        refused, wait = self._take(keys=[key for key, _, _ in limits], args=[mark, *numbers])
        return int(refused), int(wait) / 10**6

    def give_back(self, keys: Sequence[str], mark: str) -> None:
        """See `Counts`."""
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.zrem(key, mark)
            pipeline.execute()


class _WithFallback:
    """Redis, and this process in its place while it is away."""

    def __init__(self, url: str) -> None:
        self._counts = RedisCounts(url)
        self._ask_again_at = 0.0
        self._is_away = False

    def ask(self, question: Any) -> Any:
        if time.monotonic() >= self._ask_again_at:
            try:
                answer = question(self._counts)
            except self._counts.errors as error:
                self._note_failure(error)
            else:
                self._note_success()
                return answer
        return question(_local)

    def _note_failure(self, error: Exception) -> None:
        self._ask_again_at = time.monotonic() + PAUSE_SECONDS
        if not self._is_away:
            self._is_away = True
            log.error("rate_limits.redis_away", extra={"error": type(error).__name__})

    def _note_success(self) -> None:
        if self._is_away:
            self._is_away = False
            log.warning("rate_limits.redis_back")


_local = LocalCounts()
_with_fallback = lru_cache(maxsize=4)(_WithFallback)


def forget_local() -> None:
    """Forget what this process has counted; for tests."""
    _local.forget_all()


def _ask(question: Any) -> Any:
    url = _redis_url()
    return _with_fallback(url).ask(question) if url else question(_local)


def _redis_url() -> str:
    """Return the server of the counts; `""` where there is none."""
    if core_settings.THROTTLE_REDIS_URL:
        return str(core_settings.THROTTLE_REDIS_URL)
    cache = settings.CACHES.get("default", {})
    if not cache.get("BACKEND", "").endswith("RedisCache"):
        return ""
    location = cache.get("LOCATION", "")
    servers = location.replace(";", ",").split(",") if isinstance(location, str) else location
    # Of several servers the first is the one that is written to.
    return str(servers[0]).strip()
