"""Jobs that nobody enqueues: once per time slot; and the one that deletes old rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import enqueue_recurring, purge_done_jobs, run_due_jobs
from ntc_core.outbox.tasks import purge

pytestmark = pytest.mark.django_db

Q, D, P = OutboxJob.State.QUEUED, OutboxJob.State.DONE, OutboxJob.State.PARKED


def purges() -> list[str]:
    """List the states of the recurring job that the outbox itself brings."""
    return list(OutboxJob.objects.filter(task="ntc_outbox.purge").values_list("state", flat=True))


def test_recurring_job_is_enqueued_once_per_slot():
    enqueue_recurring()
    assert enqueue_recurring() == 0
    assert purges() == [Q]

    run_due_jobs()

    assert enqueue_recurring() == 0
    assert purges() == [D]
    assert OutboxJob.objects.filter(dedupe_key__startswith="slot:3600:").exists()


def test_recurring_job_of_an_older_slot_that_still_waits_is_enough():
    OutboxJob.objects.create(task="ntc_outbox.purge", dedupe_key="slot:3600:1")

    enqueue_recurring()

    assert purges() == [Q]


def test_recurring_job_comes_back_in_the_next_slot():
    OutboxJob.objects.create(task="ntc_outbox.purge", dedupe_key="slot:3600:1", state=D)

    enqueue_recurring()

    assert purges() == [Q, D]


def test_old_done_jobs_are_purged_in_batches(settings):
    settings.NTC_OUTBOX_KEEP_DAYS = 14
    ages = {"old-1": 20, "old-2": 15, "young": 13}
    for key, days in ages.items():
        OutboxJob.objects.create(
            task="tests.note", dedupe_key=key, state=D, done_at=Now() - timedelta(days=days)
        )
    OutboxJob.objects.create(
        task="x", dedupe_key="slot:5:1", state=D, done_at=Now() - timedelta(days=2)
    )
    OutboxJob.objects.create(task="tests.note", dedupe_key="parked", state=P)

    assert purge_done_jobs(batch_size=2) == 2
    assert purge_done_jobs(batch_size=2) == 1
    assert purge_done_jobs(batch_size=2) == 0

    left = set(OutboxJob.objects.values_list("dedupe_key", flat=True))
    assert left == {"young", "parked"}


def test_purge_job_deletes_everything_old(monkeypatch):
    monkeypatch.setattr("ntc_core.outbox.tasks.BATCH_SIZE", 2)
    for number in range(4):
        OutboxJob.objects.create(
            task="tests.note",
            dedupe_key=f"old-{number}",
            state=D,
            done_at=Now() - timedelta(days=99),
        )

    purge()

    assert not OutboxJob.objects.exists()
