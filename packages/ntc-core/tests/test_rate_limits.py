"""Exact counts: in one process, in many over Redis, and when Redis goes away."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Thread

import pytest
import redis
import time_machine
from ntc_core import rate_limits
from ntc_core.rate_limits import Limit, LocalCounts, give_back, take
from ntc_core.testing.services import redis_url
from redis.crc import key_slot

REDIS_DATABASE = 11


@pytest.fixture
def limit() -> Callable[..., Limit]:
    """Return a maker of limits nobody else counts under."""
    mark = os.urandom(6).hex()

    def make(**values: object) -> Limit:
        return Limit(**{"name": "test", "who": mark, "count": 3, "seconds": 60, **values})

    return make


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
def place(request, settings) -> str:
    """Count in this process, then in Redis."""
    if request.param == "redis":
        settings.NTC_THROTTLE_REDIS_URL = redis_url(database=REDIS_DATABASE)
    return request.param


def test_as_many_as_allowed_get_through(place, limit):
    verdicts = [take(limit()) for _ in range(5)]

    assert [verdict.is_allowed for verdict in verdicts] == [True] * 3 + [False] * 2
    assert 59 < verdicts[-1].wait_seconds <= 60


def test_callers_and_names_are_counted_apart(place, limit):
    assert take(limit(count=1)).is_allowed
    assert take(limit(count=1, name="other")).is_allowed
    assert take(limit(count=1, who=os.urandom(6).hex())).is_allowed
    assert not take(limit(count=1)).is_allowed


def test_the_window_slides(place, limit):
    narrow = limit(count=2, seconds=1)
    take(narrow)
    time.sleep(0.6)
    take(narrow)

    refused = take(narrow)
    time.sleep(refused.wait_seconds + 0.02)

    assert not refused.is_allowed
    assert refused.wait_seconds < 0.45
    assert take(narrow).is_allowed
    assert not take(narrow).is_allowed


def test_all_limits_count_or_none(place, limit):
    tight, wide = limit(count=1), limit(name="wide", count=2)
    take(tight, wide)
    for _ in range(5):
        refused = take(tight, wide)
        assert refused.refused_by == tight

    assert take(wide).is_allowed
    assert not take(wide).is_allowed


def test_the_longest_wait_is_told(place, limit):
    short, long = limit(count=1, seconds=5), limit(name="long", count=1, seconds=500)
    take(short, long)

    verdict = take(short, long)

    assert verdict.refused_by == long
    assert verdict.as_error().retry_after_seconds == 500
    assert verdict.as_error().headers == {
        "RateLimit-Policy": '"long";q=1;w=500',
        "RateLimit": '"long";r=0;t=500',
    }


def test_what_is_given_back_does_not_count(place, limit):
    kept = take(limit(count=2))
    for _ in range(4):
        give_back(take(limit(count=2)))

    give_back(take())  # of nothing

    assert kept.is_allowed
    assert take(limit(count=2)).is_allowed
    assert not take(limit(count=2)).is_allowed


def test_a_refused_call_has_nothing_to_give_back(place, limit):
    take(limit(count=1))

    give_back(take(limit(count=1)))

    assert not take(limit(count=1)).is_allowed


def test_a_lowered_limit_holds_at_once(place, limit):
    for _ in range(3):
        take(limit(count=3))

    refused = take(limit(count=1))

    assert not refused.is_allowed
    assert refused.wait_seconds > 59


def test_a_thousand_threads_get_exactly_the_limit(place, limit):
    barrier = Barrier(50)

    def twenty_calls(_: int) -> int:
        barrier.wait(timeout=20)
        return sum(take(limit(count=7)).is_allowed for _ in range(20))

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(twenty_calls, range(50))) == 7


WORKER = """
import sys
from django.conf import settings
url, who = sys.argv[1:]
settings.configure(SECRET_KEY=who, NTC_THROTTLE_REDIS_URL=url)
from ntc_core.rate_limits import Limit, take
take(Limit(name="warm", who=who, count=100, seconds=60))
print("ready", flush=True)
sys.stdin.readline()
limit = Limit(name="test", who=who, count=9, seconds=60)
print(sum(take(limit).is_allowed for _ in range(250)), flush=True)
"""


@pytest.mark.redis
def test_four_processes_get_exactly_the_limit_together():
    who = os.urandom(6).hex()
    arguments = [sys.executable, "-c", WORKER, redis_url(database=REDIS_DATABASE), who]
    workers = [
        subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        passed = [int(worker.stdout.readline()) for worker in workers]
    finally:
        for worker in workers:
            worker.communicate(timeout=20)

    assert sum(passed) == 9


@pytest.mark.redis
def test_counters_vanish_and_name_nobody(settings, limit):
    settings.NTC_THROTTLE_REDIS_URL = redis_url(database=REDIS_DATABASE)
    wanted = limit(who="address:41.59.0.1")

    take(wanted)

    client = redis.Redis.from_url(settings.NTC_THROTTLE_REDIS_URL)
    assert 0 < client.pttl(wanted.key) <= 60_000
    assert "41.59" not in wanted.key
    client.delete(wanted.key)


def test_all_counters_of_a_call_are_in_one_slot_of_a_cluster(limit):
    """Whoever calls, under whatever limits: which ones meet is not known before."""
    names = ["login_failed", "login_failed_device", "login_failed_account", "codes_country", "x"]
    keys = {limit(name=name, who=f"{name} {os.urandom(6).hex()}").key for name in names}

    assert len(keys) == len(names)
    assert len({key_slot(key.encode()) for key in keys}) == 1


@pytest.fixture
def cluster(tmp_path, settings) -> Iterator[redis.Redis]:
    """Count in a Redis that is a cluster of one, and refuses what a larger one would."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server to start as a cluster")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"port": port, "cluster-port": port - 20_000 if port > 30_000 else port + 20_000}
    options |= {"bind": "127.0.0.1", "cluster-enabled": "yes", "save": "", "dir": tmp_path}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    server = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port)
    try:
        until(client.ping)
        client.execute_command("CLUSTER ADDSLOTSRANGE 0 16383")
        until(lambda: client.cluster("INFO")["cluster_state"] == "ok")
        settings.NTC_THROTTLE_REDIS_URL = f"redis://127.0.0.1:{port}/0"
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait(timeout=20)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for it, ten seconds at most."""
    for _ in range(200):
        with suppress(redis.ConnectionError):
            if is_so():
                return
        time.sleep(0.05)
    raise AssertionError("it did not come to be")


@pytest.mark.redis
def test_a_call_under_several_limits_is_counted_in_a_cluster(cluster, limit, caplog):
    wanted = [limit(name=f"limit-{number}", count=2) for number in range(5)]

    verdicts = [take(*wanted) for _ in range(3)]
    give_back(verdicts[0])

    assert [verdict.is_allowed for verdict in verdicts] == [True, True, False]
    assert take(*wanted).is_allowed
    assert cluster.dbsize() == 5
    assert "rate_limits.redis_away" not in caplog.text


def test_the_counters_are_in_the_redis_of_the_default_cache(settings):
    backend = "django.core.cache.backends.redis.RedisCache"
    url = "redis://127.0.0.1:6379/3"

    for location in (url, f"{url},redis://replica:6379/3", [url, "redis://replica:6379/3"]):
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location}}
        assert rate_limits._redis_url() == url

    settings.NTC_THROTTLE_REDIS_URL = "redis://127.0.0.1:6379/4"
    assert rate_limits._redis_url() == "redis://127.0.0.1:6379/4"


class FlakyServer:
    """A TCP server in front of Redis that can be away, or silent."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mode = "pass"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/{REDIS_DATABASE}"
        self._open: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def switch(self, mode: str) -> None:
        """Be "pass", "closed" or "silent" from now on, to those connected as well."""
        self.mode = mode
        while self._open:
            end = self._open.pop()
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self.switch("closed")
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == "closed":
                client.close()
                continue
            self._open.append(client)
            if self.mode == "pass":
                server = socket.create_connection(("127.0.0.1", self.port))
                self._open.append(server)
                for source, target in ((client, server), (server, client)):
                    Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def flaky(settings) -> Iterator[FlakyServer]:
    """Count in a Redis that goes away when told."""
    rate_limits._with_fallback.cache_clear()
    server = FlakyServer(6379)
    settings.NTC_THROTTLE_REDIS_URL = server.url
    yield server
    server.close()
    rate_limits._with_fallback.cache_clear()


@pytest.mark.redis
@pytest.mark.parametrize("mode", ["closed", "silent"])
def test_the_limit_holds_in_the_process_while_redis_is_away(flaky, limit, caplog, mode):
    assert take(limit()).is_allowed
    flaky.switch(mode)

    started = time.perf_counter()
    verdicts = [take(limit()).is_allowed for _ in range(50)]
    took_seconds = time.perf_counter() - started

    assert verdicts == [True] * 3 + [False] * 47
    assert took_seconds < 2
    events = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert events == ["rate_limits.redis_away"]


@pytest.mark.redis
def test_redis_is_asked_again_after_a_pause(flaky, limit, caplog):
    flaky.switch("closed")
    for _ in range(4):
        take(limit())
    flaky.switch("pass")
    rate_limits._with_fallback(flaky.url)._ask_again_at = 0

    assert take(limit()).is_allowed
    assert [record.message for record in caplog.records if "rate_limits" in record.message] == [
        "rate_limits.redis_away",
        "rate_limits.redis_back",
    ]


@pytest.mark.redis
def test_a_connection_that_was_closed_meanwhile_is_opened_anew(flaky, limit, caplog):
    take(limit())
    flaky.switch("pass")

    assert [take(limit()).is_allowed for _ in range(3)] == [True, True, False]
    assert "rate_limits.redis_away" not in caplog.text


def test_a_clock_set_back_keeps_nobody_out_for_longer_than_the_window(limit):
    with time_machine.travel("2026-01-01T08:00:00Z", tick=False) as clock:
        for _ in range(3):
            take(limit())
        clock.shift(-3600)
        assert take(limit()).wait_seconds <= 60
        clock.shift(61)
        assert take(limit()).is_allowed


def test_counters_that_are_over_are_dropped():
    counts = LocalCounts()
    counts.SWEEP_AT = counts._sweep_at = 100
    with time_machine.travel("2026-01-01T08:00:00Z", tick=False) as clock:
        for number in range(99):
            counts.take([(f"key-{number}", 1, 60)], "mark")
        clock.shift(61)
        counts.take([("last", 1, 60)], "mark")

    assert list(counts._calls) == ["last"]
    assert list(counts._over_at) == ["last"]
