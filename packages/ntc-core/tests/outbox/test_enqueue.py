"""Writing a job: in the caller's transaction, once per key, ids only."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone
from ntc_core.outbox import UnknownJob, enqueue, job
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.request_id import bind_request_id

from tests.outbox import sample_jobs
from tests.outbox.sample_jobs import note


@pytest.mark.django_db(transaction=True)
def test_job_exists_only_if_its_cause_is_committed():
    with transaction.atomic():
        enqueue(note, 1)
        transaction.set_rollback(True)

    assert not OutboxJob.objects.exists()


@pytest.mark.django_db
def test_job_is_enqueued_by_function_or_by_name(ran):
    enqueue(note, 1)
    enqueue("tests.note", 2)

    assert run_due_jobs() == 2
    assert [value for value, _ in ran] == [1, 2]


@pytest.mark.django_db
def test_uuid_is_passed_on_as_text(ran):
    enqueue(note, UUID(int=7))

    run_due_jobs()

    assert ran[0][0] == "00000000-0000-0000-0000-000000000007"


@pytest.mark.django_db
def test_second_job_with_the_same_key_is_the_first_one(ran):
    with transaction.atomic():
        first = enqueue(note, 1, dedupe_key="receipt:1")
        second = enqueue(note, 2, dedupe_key="receipt:1")
        Group.objects.create(name="the transaction still works")

    assert first.pk == second.pk
    assert second.arguments == [1]
    run_due_jobs()
    assert enqueue(note, 3, dedupe_key="receipt:1").state == OutboxJob.State.DONE
    assert len(ran) == 1


@pytest.mark.django_db
def test_key_belongs_to_its_task():
    first = enqueue(note, 1, dedupe_key="7")
    other = enqueue("tests.take_effect", "x", dedupe_key="7")

    assert first.pk != other.pk


@pytest.mark.django_db(transaction=True)
def test_parallel_jobs_with_the_same_key_make_one_row():
    barrier = threading.Barrier(8)
    rows: list[int] = []

    def enqueue_together() -> None:
        barrier.wait()
        rows.append(enqueue(note, 1, dedupe_key="once").pk)
        connection.close()

    threads = [threading.Thread(target=enqueue_together) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(rows) == 8
    assert len(set(rows)) == 1
    assert OutboxJob.objects.count() == 1


@pytest.mark.django_db
def test_unknown_task_is_refused_and_the_known_ones_are_named():
    with pytest.raises(UnknownJob, match=r"'tests\.nothing'.*tests\.note"):
        enqueue("tests.nothing", 1)


@pytest.mark.django_db
@pytest.mark.parametrize("value", [True, 1.5, None, {"id": 1}, [1], datetime.now(tz=None)])  # noqa: DTZ005 - any object
def test_only_ids_are_accepted(value):
    with pytest.raises(TypeError, match="ids"):
        enqueue(note, value)


@pytest.mark.django_db
def test_model_instance_is_refused():
    with pytest.raises(TypeError, match="not Group"):
        enqueue(note, Group.objects.create(name="a row"))


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["x" * 256, "a\x00b"])
def test_text_that_is_no_id_is_refused(value):
    with pytest.raises(ValueError, match="id"):
        enqueue(note, value)


@pytest.mark.django_db
@pytest.mark.parametrize("ids", [(), (1, 2)])
def test_wrong_number_of_ids_is_refused_at_once(ids):
    with pytest.raises(TypeError, match=r"'tests\.note' takes \(value"):
        enqueue(note, *ids)


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 256])
def test_key_of_the_wrong_length_is_refused(key):
    with pytest.raises(ValueError, match="dedupe_key"):
        enqueue(note, 1, dedupe_key=key)


@pytest.mark.django_db
def test_naive_time_is_refused():
    with pytest.raises(ValueError, match="aware"):
        enqueue(note, 1, run_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake in question


@pytest.mark.django_db
def test_job_for_later_waits():
    enqueue(note, 1, run_at=timezone.now() + timedelta(hours=1))
    enqueue(note, 2, run_at=timezone.now() - timedelta(hours=1))

    assert run_due_jobs() == 1
    assert sample_jobs.ran[0][0] == 2


@pytest.mark.django_db
def test_request_id_follows_the_job(ran):
    with bind_request_id("0199-the-request"):
        enqueue(note, 1)

    run_due_jobs()

    assert ran == [(1, "0199-the-request")]


def test_two_jobs_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"Two jobs are called 'tests\.note'"):

        @job("tests.note")
        def another() -> None: ...


def test_calling_a_job_calls_the_function(ran):
    note(5)

    assert ran == [(5, "")]


def test_outbox_is_importable_before_django_is_set_up():
    program = "import ntc_core.outbox as o; o.job('a.b')(lambda: None); o.celery_defaults()"

    subprocess.run([sys.executable, "-c", program], check=True, env={})


def test_queue_that_nobody_takes_from_is_refused_at_once():
    with pytest.raises(
        ValueError, match=r"'tests\.lost_queue'.*expected one of default, companies"
    ):
        job("tests.lost_queue", queue="compnies")
