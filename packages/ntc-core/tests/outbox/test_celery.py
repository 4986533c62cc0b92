"""The Celery runner: wake-ups carry ids only, may get lost, and never hold up a request."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.outbox import celery_defaults, enqueue
from ntc_core.outbox.clock import database_now, seconds_from_now
from ntc_core.outbox.jobs import QUEUES
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import claim_for_publishing
from ntc_core.testing.services import redis_url

from tests.outbox.processes import PACKAGE, wait_until
from tests.outbox.sample_jobs import effects, hang, take_effect_job, take_effect_slowly

celery = pytest.importorskip("celery")
redis = pytest.importorskip("redis")

pytestmark = pytest.mark.django_db(transaction=True)

#: Before every key of this run, on a broker that others use too.
PREFIX = f"ntc-core-tests-{secrets.token_hex(4)}:"


@contextmanager
def celery_app(broker: str) -> Iterator[object]:
    """Make an app with that broker the current one, as importing a project's celery.py does."""
    before = celery.current_app._get_current_object()
    app = celery.Celery("tests", broker=broker)
    app.conf.update(celery_defaults())
    app.conf.broker_transport_options["global_keyprefix"] = PREFIX
    try:
        yield app
    finally:
        app.close()
        before.set_current()


@pytest.fixture(autouse=True)
def _celery_runner(settings):
    settings.NTC_OUTBOX_RUNNER = "celery"


@pytest.fixture
def broker() -> Iterator[str]:
    """Return the URL of a real Redis whose test queues are empty, before and after."""
    url = redis_url()
    client = redis.Redis.from_url(url)
    keys = [f"{PREFIX}{queue}" for queue in QUEUES]
    client.delete(*keys)
    yield url
    client.delete(*keys)
    client.close()


def messages(broker: str, queue: str = "default") -> list[dict[str, object]]:
    """Return what waits in the queue, newest first."""
    client = redis.Redis.from_url(broker)
    found = []
    for raw in client.lrange(f"{PREFIX}{queue}", 0, -1):
        message = json.loads(raw)
        body = json.loads(base64.b64decode(message["body"]))
        found.append({"task": message["headers"]["task"], "args": body[0], "kwargs": body[1]})
    client.close()
    return found


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.redis
def test_commit_publishes_the_id_and_nothing_else(broker):
    with celery_app(broker), transaction.atomic():
        row = enqueue(take_effect_job, "a-private-word")
        assert messages(broker) == []

    assert messages(broker) == [{"task": "ntc_core.outbox.run_job", "args": [row.pk], "kwargs": {}}]


@pytest.mark.redis
def test_wake_up_goes_to_the_queue_of_its_job(broker):
    tick = import_module("ntc_core.outbox.celery").tick
    with celery_app(broker):
        row = enqueue(hang, "company", 0)
        assert [message["args"] for message in messages(broker, "companies")] == [[row.pk]]
        assert messages(broker) == []
        OutboxJob.objects.update(lease_until=Now())
        tick()

    # Beside the recurring jobs of that queue.
    wake_ups = [message["args"] for message in messages(broker, "companies")]
    assert wake_ups.count([row.pk]) == 2


@pytest.mark.redis
def test_future_job_is_not_published(broker):
    with celery_app(broker):
        enqueue(take_effect_job, "a", run_at=timezone.now() + timedelta(hours=1))

    assert messages(broker) == []


def test_request_does_not_notice_that_the_broker_is_gone(caplog):
    with celery_app(f"redis://127.0.0.1:{closed_port()}/0"):
        started = time.monotonic()
        with transaction.atomic():
            row = enqueue(take_effect_job, "job")
        seconds = time.monotonic() - started

    assert seconds < 2
    assert "outbox.publish_failed" in caplog.messages
    row.refresh_from_db()
    assert row.state == OutboxJob.State.QUEUED


def test_request_does_not_wait_for_a_broker_that_hangs(caplog):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        with celery_app(f"redis://127.0.0.1:{port}/0"):
            started = time.monotonic()
            enqueue(take_effect_job, "job")
            seconds = time.monotonic() - started

    assert seconds < 2
    assert "outbox.publish_failed" in caplog.messages


def test_wake_up_is_sent_again_only_after_it_had_its_time():
    row = enqueue_silently("job")
    assert claim_for_publishing() == []

    OutboxJob.objects.update(lease_until=Now())

    assert claim_for_publishing() == [(row.pk, "tests.take_effect")]
    assert claim_for_publishing() == []


@pytest.mark.parametrize(
    ("waited_seconds", "quiet_seconds"), [(0, 15), (29, 15), (31, 30), (125, 120), (9000, 240)]
)
def test_wake_up_of_a_job_that_waits_long_is_sent_ever_less_often(waited_seconds, quiet_seconds):
    """It lies in a long queue; a second one every few seconds would only make that longer."""
    row = enqueue_silently("job")
    OutboxJob.objects.update(lease_until=Now(), run_at=seconds_from_now(-waited_seconds))

    claim_for_publishing()

    row.refresh_from_db()
    assert (row.lease_until - database_now()).total_seconds() == pytest.approx(quiet_seconds, abs=3)


def enqueue_silently(label: str) -> OutboxJob:
    """Enqueue a job whose wake-up is lost."""
    with celery_app("memory://"):
        return enqueue(take_effect_job, label)


@pytest.mark.redis
def test_tick_publishes_what_was_lost_and_frees_what_died(broker):
    tick = import_module("ntc_core.outbox.celery").tick
    lost, dead = enqueue_silently("lost"), enqueue_silently("dead")
    OutboxJob.objects.filter(pk=lost.pk).update(lease_until=Now())
    OutboxJob.objects.filter(pk=dead.pk).update(state="running", lease_until=Now())

    with celery_app(broker):
        tick()

    published = [message["args"][0] for message in messages(broker)]
    assert {lost.pk, dead.pk} <= set(published)
    assert OutboxJob.objects.filter(task="ntc_outbox.purge").count() == 1


def test_message_for_a_done_job_changes_nothing():
    run_job = import_module("ntc_core.outbox.celery").run_job
    row = enqueue_silently("job")
    run_job(row.pk)
    run_job(row.pk)
    run_job(row.pk + 1000)

    assert effects("job") == 1


@contextmanager
def celery_worker(broker: str, folder: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real worker in a process group of its own; with nothing more said, beat inside."""
    command = [sys.executable, "-m", "celery", "-A", "tests.outbox.celery_app", "worker", *more]
    options = ["--concurrency=2", "--without-gossip", "--without-mingle", "--loglevel=WARNING"]
    if not more:
        command += ["-B", "--schedule", str(folder / "beat")]
    process = subprocess.Popen(
        [*command, *options],
        cwd=PACKAGE,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "OUTBOX_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "OUTBOX_TEST_BROKER": broker,
            "OUTBOX_TEST_PREFIX": PREFIX,
        },
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.redis
def test_real_worker_does_what_is_enqueued_lost_or_left_by_a_killed_one(broker, tmp_path):
    with celery_app(broker), celery_worker(broker, tmp_path) as victim:
        direct = enqueue(take_effect_job, "direct")
        wait_until(lambda: effects("direct") == 1, seconds=60)
        OutboxJob.objects.create(task="tests.take_effect", arguments=["lost"])
        wait_until(lambda: effects("lost") == 1)
        slow = enqueue(take_effect_slowly, "slow", 60_000)
        wait_until(lambda: OutboxJob.objects.filter(pk=slow.pk, state="running").exists())
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()

    OutboxJob.objects.filter(pk=slow.pk).update(arguments=["slow", 0])
    with celery_worker(broker, tmp_path):
        wait_until(lambda: effects("slow") == 1, seconds=60)

    direct.refresh_from_db()
    slow.refresh_from_db()
    assert (direct.state, direct.attempts) == ("done", 1)
    assert (slow.state, slow.attempts) == ("done", 2)
    assert effects("direct") == effects("lost") == 1


@pytest.mark.redis
def test_worker_for_companies_leaves_the_others_free(broker, tmp_path):
    """As many hanging calls as it has places, and more: what needs the database goes on."""
    others = celery_worker(broker, tmp_path, "-Q", "default,messages", "-n", "others@%h")
    companies = celery_worker(broker, tmp_path, "-Q", "companies", "-n", "companies@%h")
    with celery_app(broker), companies, others:
        enqueue(take_effect_job, "ready")
        wait_until(lambda: effects("ready") == 1, seconds=60)
        for _ in range(6):
            enqueue(hang, "company", 5000)
        wait_until(lambda: effects("company-began") == 2, seconds=60)

        enqueue(take_effect_job, "job")

        wait_until(lambda: effects("job") == 1, seconds=4)
