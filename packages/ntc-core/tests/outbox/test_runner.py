"""The thread runner: wakes after commit, sweeps, survives, stops, is reborn after a fork."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

import pytest
from django.core.signals import request_started
from django.db import connection, transaction
from django.test import Client
from ntc_core.outbox import enqueue, job, runner
from ntc_core.outbox.jobs import QUEUES
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.runner import ThreadRunner
from ntc_core.outbox.signals import job_failed

from tests.outbox.processes import wait_until
from tests.outbox.sample_jobs import effects, fail, hang, take_effect_job, take_effect_slowly

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def thread_runner(settings) -> Iterator[ThreadRunner]:
    """Return the process's runner, configured; it is stopped afterwards."""
    settings.NTC_OUTBOX_RUNNER = "thread"
    runner.runner.after_fork()  # as in a fresh process
    yield runner.runner
    runner.stop()
    assert not runner.runner.is_running


def test_job_runs_soon_after_its_commit(thread_runner):
    with transaction.atomic():
        enqueue(take_effect_job, "job")
        assert not thread_runner.is_running

    wait_until(lambda: effects("job") == 1, seconds=5)


def test_company_that_hangs_does_not_delay_the_other_queues(thread_runner):
    company = enqueue(hang, "company", 3000)
    wait_until(lambda: effects("company-began") == 1, seconds=5)

    enqueue(take_effect_job, "job")

    wait_until(lambda: effects("job") == 1, seconds=2)
    company.refresh_from_db()
    assert company.state == OutboxJob.State.RUNNING


def test_job_that_nobody_here_knows_is_the_default_queue_s(thread_runner):
    row = OutboxJob.objects.create(task="tests.of_newer_code", arguments=[])

    runner.start()

    wait_until(lambda: OutboxJob.objects.get(pk=row.pk).attempts == 1, seconds=5)


def test_rolled_back_transaction_wakes_nobody(thread_runner):
    with transaction.atomic():
        enqueue(take_effect_job, "job")
        transaction.set_rollback(True)

    assert not thread_runner.is_running


def test_job_that_an_earlier_process_left_runs_after_the_first_request(thread_runner, settings):
    settings.NTC_OUTBOX_RUNNER = "manual"
    enqueue(take_effect_job, "job")
    settings.NTC_OUTBOX_RUNNER = "thread"

    Client().get("/nowhere/")

    wait_until(lambda: effects("job") == 1, seconds=5)


def test_sweep_finds_what_nobody_announced(thread_runner):
    runner.start()
    OutboxJob.objects.create(task="tests.take_effect", arguments=["job"])

    wait_until(lambda: effects("job") == 1, seconds=5)


def test_runner_goes_on_after_a_job_that_breaks(thread_runner):
    row = enqueue(fail, "bad")
    enqueue(take_effect_job, "good")

    wait_until(lambda: effects("good") == 1, seconds=5)
    row.refresh_from_db()
    assert row.state == OutboxJob.State.QUEUED
    assert row.last_error.startswith("RuntimeError")


def test_runner_goes_on_after_a_sweep_that_breaks(thread_runner, caplog):
    """A receiver of our signal that raises must not end the thread."""
    calls: list[int] = []

    def break_once(**_: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a receiver breaks")

    job_failed.connect(break_once)
    try:
        enqueue(fail, "bad")
        wait_until(lambda: bool(calls), seconds=5)
        enqueue(take_effect_job, "good")
        wait_until(lambda: effects("good") == 1, seconds=5)
    finally:
        job_failed.disconnect(break_once)

    assert "outbox.sweep_failed" in caplog.messages


def test_runner_outlives_a_database_without_tables(thread_runner, caplog):
    """As before the first `migrate`, or while the database restarts."""
    with connection.schema_editor() as editor:
        editor.delete_model(OutboxJob)
    try:
        with caplog.at_level(logging.WARNING, logger="ntc_core.outbox"):
            runner.start()
            wait_until(lambda: "outbox.database_unavailable" in caplog.messages, seconds=5)
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(OutboxJob)

    enqueue(take_effect_job, "job")
    wait_until(lambda: effects("job") == 1, seconds=5)


@pytest.mark.postgres
def test_runner_outlives_a_dropped_connection(thread_runner):
    enqueue(take_effect_job, "before")
    wait_until(lambda: effects("before") == 1, seconds=5)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    enqueue(take_effect_job, "after")

    wait_until(lambda: effects("after") == 1, seconds=10)


def test_stopping_waits_for_the_job_in_progress(thread_runner):
    row = enqueue(take_effect_slowly, "job", 500)
    wait_until(lambda: OutboxJob.objects.filter(pk=row.pk).exclude(state="queued").exists())

    runner.stop()

    assert effects("job") == 1
    row.refresh_from_db()
    assert row.state == OutboxJob.State.DONE


def test_stopped_runner_starts_again_with_the_next_job(thread_runner):
    runner.start()
    runner.stop()

    enqueue(take_effect_job, "job")

    wait_until(lambda: effects("job") == 1, seconds=5)


def test_starting_twice_makes_one_thread_per_queue(thread_runner):
    threads = [threading.Thread(target=runner.start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    names = [thread.name for thread in threading.enumerate()]
    assert sorted(name for name in names if name.startswith("ntc-outbox")) == [
        f"ntc-outbox-{queue}" for queue in sorted(QUEUES)
    ]


@pytest.mark.parametrize("configured", ["manual", "celery"])
def test_thread_does_not_start_where_another_runner_is_configured(settings, configured):
    settings.NTC_OUTBOX_RUNNER = configured

    runner.start()
    request_started.send(sender=None, environ={})
    runner.runner.wake()

    assert not runner.runner.is_running


def test_job_can_stop_its_own_runner(thread_runner):
    """Stopping from within the thread must not wait for itself."""

    @job("tests.stop_runner")
    def stop_runner() -> None:
        runner.stop()

    enqueue(stop_runner)

    wait_until(lambda: OutboxJob.objects.filter(task="tests.stop_runner", state="done").exists())
    wait_until(lambda: not thread_runner.is_running, seconds=5)


# Python 3.12 warns of what is tested here.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("running", [True, False])
def test_forked_child_has_a_runner_of_its_own_if_the_parent_had_one(thread_runner, running):
    if running:
        runner.start()
    reader, writer = os.pipe()

    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child has no coverage
        os.write(writer, b"1" if runner.runner.is_running else b"0")
        os._exit(0)

    os.waitpid(pid, 0)
    assert os.read(reader, 1) == (b"1" if running else b"0")
    os.close(reader)
    os.close(writer)
