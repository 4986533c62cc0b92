"""Many runners, real processes, kill -9: every job takes effect exactly once."""

from __future__ import annotations

import signal
import threading

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction
from django.db.models import Count
from django.db.models.functions import Now
from ntc_core.outbox import enqueue, running
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import enqueue_recurring, requeue_expired, run_due_jobs, run_job

from tests.outbox.processes import start_worker, wait_until, workers
from tests.outbox.sample_jobs import die, effects, take_effect_job, take_effect_slowly

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(count: int, work: object) -> None:
    """Run `work` in that many threads at once, each with its own connection."""
    barrier = threading.Barrier(count)

    def run() -> None:
        try:
            barrier.wait()
            work()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def counts_by_state() -> dict[str, int]:
    rows = OutboxJob.objects.order_by().values_list("state").annotate(Count("id"))
    return dict(rows)


@pytest.mark.postgres
def test_runners_in_threads_share_the_jobs_without_a_double():
    for number in range(60):
        enqueue(take_effect_job, f"job-{number}")

    in_threads(6, run_due_jobs)

    assert counts_by_state() == {"done": 60}
    assert [effects(f"job-{number}") for number in range(60)] == [1] * 60


@pytest.mark.postgres
def test_one_job_woken_many_times_at_once_takes_effect_once():
    row = enqueue(take_effect_slowly, "job", 100)
    ran: list[bool] = []

    in_threads(8, lambda: ran.append(run_job(row.pk)))

    assert sorted(ran) == [False] * 7 + [True]
    assert effects("job") == 1


@pytest.mark.postgres
def test_recurring_jobs_are_enqueued_once_by_many_runners():
    in_threads(8, enqueue_recurring)

    assert OutboxJob.objects.filter(task="ntc_outbox.purge").count() == 1


@pytest.mark.postgres
def test_sweeper_frees_what_nobody_holds_and_does_not_wait_for_the_rest():
    for number in range(5):
        enqueue(take_effect_job, f"job-{number}")
    OutboxJob.objects.update(state="running", lease_until=Now())
    freed: list[int] = []

    with transaction.atomic():
        held = OutboxJob.objects.select_for_update().last()
        in_threads(2, lambda: freed.append(requeue_expired()))
        assert sum(freed) == 4

    held.refresh_from_db()
    assert held.state == "running"
    assert requeue_expired() == 1


@pytest.mark.postgres
def test_run_that_outlives_its_lease_does_not_take_effect_twice():
    """Two real transactions at once: the slow one ends last and is rolled back."""
    row = enqueue(take_effect_slowly, "job", 500)
    slow = running.claim(OutboxJob.objects.filter(pk=row.pk))

    def overtake() -> None:
        wait_until(lambda: OutboxJob.objects.filter(pk=row.pk, state="running").exists())
        OutboxJob.objects.filter(pk=row.pk).update(lease_until=Now())
        requeue_expired()
        OutboxJob.objects.filter(pk=row.pk).update(arguments=["job", 0])
        run_due_jobs()
        connections.close_all()

    thread = threading.Thread(target=overtake)
    thread.start()
    running.run(slow)
    thread.join()

    row.refresh_from_db()
    assert (row.state, row.attempts, effects("job")) == ("done", 2, 1)


def test_workers_in_processes_share_the_jobs_without_a_double():
    for number in range(60):
        enqueue(take_effect_job, f"job-{number}")

    with workers(3, "run_jobs", "--forever"):
        wait_until(
            lambda: OutboxJob.objects.filter(state="done", task__startswith="tests.").count() == 60
        )

    assert [effects(f"job-{number}") for number in range(60)] == [1] * 60


def test_job_of_a_killed_worker_is_done_by_another_one():
    row = enqueue(take_effect_slowly, "job", 60_000)
    victim = start_worker("run_jobs", "--forever")
    wait_until(lambda: OutboxJob.objects.filter(pk=row.pk, state="running").exists())

    victim.kill()
    victim.wait()
    # The next run shall not dawdle; the lease of two seconds has to run out all the same.
    OutboxJob.objects.filter(pk=row.pk).update(arguments=["job", 0])
    with workers(2, "run_jobs", "--forever"):
        wait_until(lambda: OutboxJob.objects.filter(pk=row.pk, state="done").exists())

    row.refresh_from_db()
    assert (row.attempts, effects("job")) == (2, 1)


def test_job_that_kills_every_worker_is_parked_in_the_end():
    row = enqueue(die, "job")

    def parked() -> bool:
        process = start_worker("run_jobs")
        process.wait(timeout=60)
        return OutboxJob.objects.filter(pk=row.pk, state="parked").exists()

    wait_until(parked, seconds=60)

    row.refresh_from_db()
    assert row.attempts == 4
    assert effects("job") == 0


def test_worker_that_is_asked_to_stop_finishes_the_job_in_progress():
    row = enqueue(take_effect_slowly, "job", 1500)
    enqueue(take_effect_job, "next")
    worker = start_worker("run_jobs", "--forever")
    wait_until(lambda: OutboxJob.objects.filter(pk=row.pk, state="running").exists())

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(timeout=30) == 0
    assert effects("job") == 1
    assert effects("next") == 0


def test_worker_that_runs_once_drains_the_queue_and_ends(capfd):
    for number in range(3):
        enqueue(take_effect_job, f"job-{number}")

    assert start_worker("run_jobs").wait(timeout=60) == 0

    assert "job(s) run" in capfd.readouterr().out
    assert Group.objects.count() == 3


@pytest.mark.postgres
def test_worker_survives_that_the_database_drops_its_connection():
    with workers(1, "run_jobs", "--forever"):
        for round_ in range(3):
            label = f"round-{round_}"
            enqueue(take_effect_job, label)
            wait_until(lambda label=label: effects(label) == 1)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


@pytest.mark.postgres
def test_job_is_not_seen_before_its_transaction_commits():
    with transaction.atomic():
        enqueue(take_effect_job, "job")
        in_threads(1, run_due_jobs)
        assert effects("job") == 0

    run_due_jobs()
    assert effects("job") == 1
