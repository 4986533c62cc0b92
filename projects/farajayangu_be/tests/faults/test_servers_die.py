"""D1, D2, K8, R1, R2 and R3 of the fault matrix: servers and the relay die under a load.

Everything is a process of its own, as it is deployed: uvicorn, Celery workers, beat, a company;
and a PostgreSQL and a Redis that nobody else uses. Nothing is brought forward: the service gets
over it by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.load import Load, make_people, require_invariants
from tests.faults.servers import Postgres, Redis, own_postgres, own_redis, pause
from tests.processes import run
from tests.stack import Stack

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

KILLED = 137
_numbers = itertools.count()


@dataclass
class Scene:
    stack: Stack
    postgres: Postgres
    redis: Redis

    def load(self, count: int) -> Load:
        """Return the purchases of so many new people."""
        first = next(_numbers) * 1000
        tokens = make_people(self.stack, first=first, count=count)
        return Load(self.stack, tokens, name=f"run{first}")

    def kill_relay(self, failpoint: str) -> None:
        """Run what beat asks for each second, in a process that dies there."""
        program = "from ntc_core.outbox.celery import tick; tick()"
        command = ["manage.py", "shell", "--no-imports", "-c", program]
        env = {**self.stack.env, "NTC_FAILPOINT": failpoint}
        with run("relay", command, env=env, folder=self.stack.folder) as relay:
            assert relay.process.wait(60) == KILLED, relay.output


def sized(quick: tuple[int, int], full: tuple[int, int]) -> Any:
    """Parametrize a row with (payments, times) in its two sizes."""
    return pytest.mark.parametrize(
        ("payments", "times"),
        [
            pytest.param(*quick, id="quick"),
            pytest.param(*full, id="full", marks=pytest.mark.faults),
        ],
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The web side and the company; each row starts the workers it wants."""
    folder = tmp_path_factory.mktemp("faults")
    with own_postgres() as postgres, own_redis(folder) as redis:
        stack = Stack(database_url=postgres.url, folder=folder)
        stack.env |= {"REDIS_URL": redis.url(0), "CELERY_BROKER_URL": redis.url(1)}
        for command in (["migrate", "-v0"], ["seed"]):
            with run(command[0], ["manage.py", *command], env=stack.env, folder=folder) as running:
                assert running.process.wait(180) == 0, running.output
        with stack.simulator(), stack.web():
            yield Scene(stack=stack, postgres=postgres, redis=redis)


@sized((24, 1), (200, 5))
def test_d1_database_restarts_under_load(scene, payments, times):
    """Immediate restart: who was in a transaction is thrown out. Clients see 5xx and try again."""
    for _ in range(times):
        load = scene.load(payments)
        with scene.stack.workers(), load.going_on():
            load.wait_until_begun()
            scene.postgres.restart()
        assert set(load.answers) != {"201"}, "nobody noticed"
        require_invariants(scene.stack, load)


@sized((24, 1), (200, 5))
def test_d2_database_freezes_under_load(scene, payments, times):
    """Everybody's connection hangs for ten seconds, and nothing piles up behind it."""
    for _ in range(times):
        load = scene.load(payments)
        with scene.stack.workers(), load.going_on():
            load.wait_until_begun()
            with scene.postgres.frozen():
                pause(10 if payments > 100 else 3)
        require_invariants(scene.stack, load)
    assert len(scene.postgres.pids()) < 60, "connections did not pile up"


@pytest.mark.parametrize("failpoint", ["outbox.claimed_for_publishing", "outbox.published"])
@sized((4, 2), (20, 50))
def test_k8_relay_is_killed_as_it_publishes(scene, payments, times, failpoint):
    """Before: nobody is told, and it is told again. After: told twice, done once."""
    load = scene.load(payments)
    with load.going_on():
        load.wait_until_bought()
        for _ in range(times):
            scene.stack.query(
                "WITH forgotten AS (UPDATE ntc_outbox_outboxjob SET lease_until = NULL"
                " WHERE state = 'queued' RETURNING id) SELECT count(*) FROM forgotten"
            )
            scene.kill_relay(failpoint)
        with scene.stack.workers():
            load.wait_until_settled()
    twice = scene.stack.query(
        "SELECT count(*) FROM ntc_payments_paymentattempt WHERE sends <> 1"
        " AND payment_id IN (SELECT id FROM ntc_payments_payment WHERE uid::text = ANY(%s))",
        load.payments,
    )
    assert twice == [(0,)]
    require_invariants(scene.stack, load)


@sized((6, 1), (200, 3))
def test_r1_redis_is_away(scene, payments, times):
    """No broker, no cache, no shared limits: payments and webhooks are taken all the same."""
    for _ in range(times):
        load = scene.load(payments)
        scene.redis.kill()
        try:
            with ExitStack() as everything:
                everything.enter_context(load.going_on())
                pause(60 if payments > 100 else 3)
                assert not set(load.answers) - {"201"}, load.answers
                scene.redis.start()
                everything.enter_context(scene.stack.workers())
                load.wait_until_settled()
        finally:
            if scene.redis.process.poll() is not None:
                scene.redis.start()
        require_invariants(scene.stack, load)


@sized((6, 1), (200, 3))
def test_r2_redis_dies_with_a_full_queue(scene, payments, times):
    """Every wake-up that was published is lost; the sweep publishes what still waits."""
    for _ in range(times):
        load = scene.load(payments)
        with ExitStack() as everything:
            everything.enter_context(load.going_on())
            load.wait_until_bought()
            with scene.redis.client() as client:
                client.select(1)
                assert client.llen("farajayangu_be:companies") or client.dbsize()
            scene.redis.kill()
            scene.redis.start()
            everything.enter_context(scene.stack.workers())
            load.wait_until_settled()
        require_invariants(scene.stack, load)


@sized((6, 1), (200, 3))
def test_r3_redis_forgets_everything_again_and_again(scene, payments, times):
    """Cached sessions, counted calls and queued wake-ups are gone: slower, never wrong."""
    for _ in range(times):
        load = scene.load(payments)
        with scene.stack.workers(), load.going_on():
            for _ in range(10 if payments > 100 else 3):
                pause(0.5)
                with scene.redis.client() as client:
                    client.flushall()
        require_invariants(scene.stack, load)
