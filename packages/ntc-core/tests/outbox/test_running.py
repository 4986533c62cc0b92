"""How a run ends: done, again later, or parked; and what an overtaken run may not do."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.dispatch import receiver
from ntc_core.outbox import enqueue, running
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import (
    bring_forward,
    requeue_expired,
    retry_parked,
    run_due_jobs,
    run_job,
)
from ntc_core.outbox.signals import job_failed
from ntc_core.outbox.tasks import purge

from tests.outbox.sample_jobs import (
    call_company,
    chain,
    effects,
    fail,
    note,
    take_effect_job,
    take_effect_slowly,
    wait,
)

pytestmark = pytest.mark.django_db

Q, R, D, P = (
    OutboxJob.State.QUEUED,
    OutboxJob.State.RUNNING,
    OutboxJob.State.DONE,
    OutboxJob.State.PARKED,
)


def seconds_until(row: OutboxJob) -> float:
    """Tell by the database's clock how far away the job's time is."""
    now = OutboxJob.objects.filter(pk=row.pk).values_list(Now(), flat=True).get()
    return (row.run_at - now).total_seconds()


def test_done_job_is_marked_and_not_run_again():
    row = enqueue(take_effect_job, "a")

    assert run_due_jobs() == 1

    row.refresh_from_db()
    assert (row.state, row.attempts, row.lease_until, row.last_error) == (D, 1, None, "")
    assert row.done_at is not None
    assert run_due_jobs() == 0
    assert run_job(row.pk) is False
    assert effects("a") == 1


def test_done_job_is_logged_with_its_fields(caplog):
    row = enqueue(take_effect_job, "a")

    with caplog.at_level(logging.INFO, logger="ntc_core.outbox"):
        run_due_jobs()

    (record,) = [record for record in caplog.records if record.message == "job.done"]
    assert record.job == "tests.take_effect"
    assert record.job_uid == str(row.uid)
    assert record.attempt == 1
    assert record.duration_ms >= 0


def test_failed_atomic_job_leaves_no_effect_and_comes_back():
    row = enqueue(fail, "a")

    assert run_due_jobs() == 1

    row.refresh_from_db()
    assert effects("a") == 0
    assert (row.state, row.attempts, row.lease_token) == (Q, 1, None)
    assert 0 < seconds_until(row) <= 4


def test_job_that_keeps_failing_is_parked_with_a_masked_error(caplog):
    row = enqueue(fail, "a")
    run_due_jobs()
    bring_forward(OutboxJob.objects.all())

    run_due_jobs()

    row.refresh_from_db()
    assert (row.state, row.attempts) == (P, 2)
    assert row.last_error == "RuntimeError: no answer from +2557****678 for a"
    (record,) = [record for record in caplog.records if record.message == "job.parked"]
    assert record.levelno == logging.ERROR
    assert "+255712345678" not in record.error
    bring_forward(OutboxJob.objects.all())
    assert run_due_jobs() == 0


def test_parked_job_gets_all_its_attempts_again():
    row = enqueue(fail, "a")
    OutboxJob.objects.update(state=P, attempts=2)

    assert retry_parked(OutboxJob.objects.all()) == 1
    run_due_jobs()

    row.refresh_from_db()
    assert (row.state, row.attempts) == (Q, 1)


def test_backoff_grows_and_has_a_ceiling():
    row = enqueue(fail, "a")
    delays = {}
    for attempt in (1, 4, 30):
        claim = running.Claim(row=OutboxJob(attempts=attempt), token=uuid.uuid4(), job=fail)
        delays[attempt] = [running._backoff_seconds(claim) for _ in range(300)]

    assert row.attempts == 0
    assert max(delays[1]) <= 4
    assert 16 < max(delays[4]) <= 32
    assert 600 < max(delays[30]) <= 900
    assert min(map(min, delays.values())) >= 1
    # Full jitter: early retries happen too, so that a herd spreads out.
    assert min(delays[30]) < 200


def test_retry_of_a_recurring_job_does_not_wait_longer_than_its_period():
    claim = running.Claim(row=OutboxJob(attempts=9), token=uuid.uuid4(), job=purge)
    short = running.Claim(
        row=OutboxJob(attempts=9),
        token=uuid.uuid4(),
        job=type(purge)(**{**vars(purge), "every_seconds": 5}),
    )

    assert max(running._backoff_seconds(claim) for _ in range(50)) > 5
    assert max(running._backoff_seconds(short) for _ in range(50)) <= 5


def test_asking_for_later_undoes_the_run_and_is_no_attempt():
    row = enqueue(wait, "a", 0)
    for _ in range(5):
        bring_forward(OutboxJob.objects.all())
        assert run_due_jobs() == 1

    row.refresh_from_db()
    assert effects("a") == 0
    assert (row.state, row.attempts, row.last_error) == (Q, 0, "RetryLater: not yet")
    assert 28 < seconds_until(row) <= 30


def test_counted_asking_for_later_ends_in_parking():
    row = enqueue(wait, "a", 1)
    for _ in range(3):
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()

    row.refresh_from_db()
    assert (row.state, row.attempts) == (P, 2)


def test_job_without_transaction_keeps_its_effect_when_it_breaks():
    row = enqueue(call_company, "broken")

    run_due_jobs()

    row.refresh_from_db()
    assert effects("broken") == 1
    assert (row.state, row.attempts) == (Q, 1)


def test_job_without_transaction_is_done_when_it_returns():
    row = enqueue(call_company, "fine")

    run_due_jobs()

    row.refresh_from_db()
    assert (row.state, effects("fine")) == (D, 1)


def test_row_of_a_job_that_no_longer_exists_waits_and_is_then_parked():
    row = OutboxJob.objects.create(task="gone.job", arguments=[1])

    for _ in range(running.UNKNOWN_JOB_ATTEMPTS):
        assert row.state == Q
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()
        row.refresh_from_db()

    assert row.state == P
    assert "No job is called 'gone.job'. Registered: " in row.last_error


def test_job_whose_runner_died_is_given_back_when_the_lease_runs_out():
    row = enqueue(take_effect_job, "a")
    claim = running.claim(OutboxJob.objects.filter(pk=row.pk))
    assert claim is not None
    assert run_due_jobs() == 0

    OutboxJob.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert run_due_jobs() == 1

    row.refresh_from_db()
    assert (row.state, row.attempts) == (D, 2)


def test_lease_lasts_as_long_as_the_job_says():
    row = enqueue(take_effect_slowly, "a", 0)

    running.claim(OutboxJob.objects.filter(pk=row.pk))

    row.refresh_from_db()
    assert row.state == R
    assert 1 < (row.lease_until - row.updated_at).total_seconds() <= 2.1


def test_overtaken_run_has_no_effect(caplog):
    row = enqueue(take_effect_job, "a")
    slow = running.claim(OutboxJob.objects.filter(pk=row.pk))
    OutboxJob.objects.update(lease_until=Now() - timedelta(seconds=1))
    requeue_expired()
    other = running.claim(OutboxJob.objects.filter(pk=row.pk))

    running.run(slow)

    assert effects("a") == 0
    assert "job.overtaken" in caplog.messages
    running.run(other)
    row.refresh_from_db()
    assert (row.state, effects("a")) == (D, 1)


def test_overtaken_run_that_fails_does_not_disturb_the_other(caplog):
    row = enqueue(fail, "a")
    slow = running.claim(OutboxJob.objects.filter(pk=row.pk))
    OutboxJob.objects.update(lease_token=uuid.uuid4(), attempts=2)

    running.run(slow)

    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_error) == (R, 2, "")
    assert "job.overtaken" in caplog.messages
    assert "job.retry" not in caplog.messages


def test_overtaken_run_that_gives_up_does_not_park_the_job(caplog):
    row = enqueue(fail, "a")
    OutboxJob.objects.update(attempts=1)
    slow = running.claim(OutboxJob.objects.filter(pk=row.pk))
    OutboxJob.objects.update(lease_token=uuid.uuid4())

    running.run(slow)

    row.refresh_from_db()
    assert row.state == R
    assert "job.parked" not in caplog.messages


def test_job_that_always_takes_its_process_down_is_parked():
    row = enqueue(fail, "a")
    for _ in range(2):
        running.claim(OutboxJob.objects.filter(pk=row.pk))
        OutboxJob.objects.update(lease_until=Now() - timedelta(seconds=1))
        requeue_expired()

    assert run_due_jobs() == 1

    row.refresh_from_db()
    assert row.state == P
    assert "The lease ran out" in row.last_error


def test_claim_does_not_take_what_another_claim_took():
    row = enqueue(take_effect_job, "a")
    stale = list(OutboxJob.objects.filter(pk=row.pk))

    assert running.claim(OutboxJob.objects.filter(pk=row.pk)) is not None
    assert stale[0].state == Q
    assert running.claim(OutboxJob.objects.filter(pk=row.pk, state=Q)) is None


def test_jobs_run_oldest_first(ran):
    for value in (1, 2, 3):
        enqueue(note, value)

    run_due_jobs()

    assert [value for value, _ in ran] == [1, 2, 3]


def test_running_until_idle_follows_the_chain(ran):
    enqueue(chain, 3)

    assert run_due_jobs() == 3
    assert ran == [3, 2, 1]


def test_running_once_leaves_what_the_jobs_enqueued(ran):
    enqueue(chain, 3)

    assert run_due_jobs(until_idle=False) == 1
    assert ran == [3]


@pytest.mark.parametrize("until_idle", [True, False])
def test_running_stops_at_the_limit(ran, until_idle):
    for value in range(5):
        enqueue(note, value)

    assert run_due_jobs(limit=2, until_idle=until_idle) == 2
    assert len(ran) == 2


def test_failures_are_told_to_whom_it_may_concern():
    told: list[tuple[str, bool]] = []

    @receiver(job_failed)
    def listen(job: OutboxJob, *, parked: bool, **_: object) -> None:
        told.append((job.last_error, parked))

    try:
        enqueue(fail, "a")
        run_due_jobs()
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()
    finally:
        job_failed.disconnect(listen)

    assert [parked for _, parked in told] == [False, True]
    assert told[0][0].startswith("RuntimeError")
