"""Write jobs, run them, look after those that wait."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, Q, QuerySet, When
from django.db.models.functions import Now
from django.utils import timezone

from ntc_core.conf import core_settings
from ntc_core.outbox import running
from ntc_core.outbox.clock import database_now, seconds_from_now
from ntc_core.outbox.jobs import QUEUES, Job, get_job, list_jobs
from ntc_core.outbox.models import OutboxJob
from ntc_core.request_id import get_request_id

__all__ = [
    "bring_forward",
    "claim_for_publishing",
    "enqueue",
    "enqueue_recurring",
    "purge_done_jobs",
    "requeue_expired",
    "retry_parked",
    "run_due_jobs",
    "run_job",
]

log = logging.getLogger(__name__)

LONGEST_ID = 255
LONGEST_DEDUPE_KEY = 255
#: A published wake-up has this long to reach a worker before it is published again.
PUBLISH_LEASE_SECONDS = 15
LONGEST_PUBLISH_LEASE_SECONDS = 240
#: Done runs of recurring jobs are kept one day; nobody asks about them later.
RECURRING_KEY_PREFIX = "slot:"
RECURRING_KEEP_DAYS = 1


def enqueue(
    task: str | Job,
    *ids: int | str | UUID,
    dedupe_key: str | None = None,
    run_at: datetime | None = None,
) -> OutboxJob:
    """Write a job in the caller's transaction; it exists only if that commits.

    Args:
        task: the decorated function, or the name it is registered under.
        ids: what the function is called with: row ids, never objects or secrets.
        dedupe_key: one job per task and key, ever; a second call returns the first job.
        run_at: not before this moment (aware); None: at once.

    Raises:
        UnknownJob: no such job; the message lists those that exist.
        TypeError: an id is not an int, str or UUID, or their number does not fit.
        ValueError: a naive `run_at`, or a key or id that is too long.
    """
    definition = task if isinstance(task, Job) else get_job(task)
    arguments = [_plain_id(value) for value in ids]
    definition.require_arguments(tuple(arguments))
    if dedupe_key is not None and not 0 < len(dedupe_key) <= LONGEST_DEDUPE_KEY:
        raise ValueError(f"A dedupe_key has 1 to {LONGEST_DEDUPE_KEY} characters.")
    row = OutboxJob(
        task=definition.name,
        arguments=arguments,
        dedupe_key=dedupe_key or "",
        request_id=get_request_id(),
    )
    if run_at is not None:
        if timezone.is_naive(run_at):
            raise ValueError("run_at must be an aware datetime.")
        row.run_at = run_at
    elif core_settings.OUTBOX_RUNNER == "celery":
        # The wake-up below is on its way; the sweep need not send a second one yet.
        row.lease_until = seconds_from_now(PUBLISH_LEASE_SECONDS)
    stored = _insert_once(row)
    if stored.uid == row.uid and run_at is None:
        transaction.on_commit(partial(_wake, stored.pk, definition), robust=True)
    return stored


def run_job(pk: int) -> bool:
    """Run one job if it is due and nobody else has it; tell whether it ran."""
    claim = running.claim(_due().filter(pk=pk))
    if claim is None:
        return False
    running.run(claim)
    return True


def run_due_jobs(
    limit: int | None = None, *, until_idle: bool = True, queue: str | None = None
) -> int:
    """Run what is due, oldest first, and return how many runs that took.

    Args:
        limit: stop after this many runs.
        until_idle: go on with the jobs that these jobs enqueue.
        queue: only the jobs of this queue.
    """
    requeue_expired()
    if not until_idle:
        due = list(_due(queue).order_by("run_at", "id").values_list("pk", flat=True)[:limit])
        return sum(map(run_job, due))
    runs = 0
    while limit is None or runs < limit:
        claim = running.claim(_due(queue).order_by("run_at", "id"))
        if claim is None:
            break
        running.run(claim)
        runs += 1
    return runs


def requeue_expired() -> int:
    """Give back the jobs whose runner died or hangs: their lease ran out."""
    expired = OutboxJob.objects.filter(state=OutboxJob.State.RUNNING, lease_until__lte=Now())
    freed = _update_unlocked(
        expired,
        state=OutboxJob.State.QUEUED,
        lease_until=None,
        lease_token=None,
        last_error="The lease ran out: the process died, or the run took too long.",
    )
    if freed:
        log.warning("job.lease_expired", extra={"count": freed})
    return freed


def enqueue_recurring() -> int:
    """Enqueue each recurring job once per time slot, however many runners call this.

    A job that is still waiting or running is not enqueued again.
    """
    recurring = [job for job in list_jobs() if job.every_seconds is not None]
    if not recurring:
        return 0
    now = database_now().timestamp()
    keys = {job.name: _slot_key(job, now) for job in recurring}
    rows = OutboxJob.objects.filter(task__in=keys)
    # The usual answer, each second: nothing new. It has to cost one look into an index.
    settled = set(rows.filter(dedupe_key__in=keys.values()).values_list("task", flat=True))
    if settled == keys.keys():
        return 0
    open_states = [OutboxJob.State.QUEUED, OutboxJob.State.RUNNING]
    settled |= set(rows.filter(state__in=open_states).values_list("task", flat=True))
    for name in keys.keys() - settled:
        enqueue(name, dedupe_key=keys[name])
    return len(keys.keys() - settled)


def claim_for_publishing(limit: int = 500) -> list[tuple[int, str]]:
    """Return id and task of due jobs whose wake-up was not sent or got lost; mark them sent.

    A wake-up that nobody took may lie in a long queue rather than be lost, so the next one
    follows only after the job has waited as long again.
    """
    silent = _due().filter(Q(lease_until=None) | Q(lease_until__lte=Now()))
    with transaction.atomic():
        found = list(
            _skip_locked(silent).order_by("run_at", "id").values_list("pk", "task")[:limit]
        )
        OutboxJob.objects.filter(
            pk__in=[pk for pk, _ in found], state=OutboxJob.State.QUEUED
        ).update(lease_until=_publish_lease())
    return found


def bring_forward(jobs: QuerySet[OutboxJob]) -> int:
    """Make the waiting jobs among these due now."""
    waiting = jobs.filter(state=OutboxJob.State.QUEUED)
    return waiting.update(run_at=Now(), lease_until=None, updated_at=Now())


def retry_parked(jobs: QuerySet[OutboxJob]) -> int:
    """Give the parked jobs among these all their attempts again, now."""
    parked = jobs.filter(state=OutboxJob.State.PARKED)
    return parked.update(
        state=OutboxJob.State.QUEUED,
        attempts=0,
        run_at=Now(),
        lease_until=None,
        lease_token=None,
        updated_at=Now(),
    )


def purge_done_jobs(batch_size: int = 1000) -> int:
    """Delete one batch of jobs that were done long ago; return its size."""
    long_ago = Now() - timedelta(days=core_settings.OUTBOX_KEEP_DAYS)
    yesterday = Now() - timedelta(days=RECURRING_KEEP_DAYS)
    old = Q(done_at__lt=long_ago) | Q(
        done_at__lt=yesterday, dedupe_key__startswith=RECURRING_KEY_PREFIX
    )
    done = OutboxJob.objects.filter(old, state=OutboxJob.State.DONE).order_by("done_at")
    ids = list(done.values_list("pk", flat=True)[:batch_size])
    return OutboxJob.objects.filter(pk__in=ids, state=OutboxJob.State.DONE).delete()[0]


def _slot_key(job: Job, now: float) -> str:
    """Return the key that all runners agree on during one period of the job."""
    period = job.every_seconds or 1
    return f"{RECURRING_KEY_PREFIX}{period}:{int(now // period)}"


def _due(queue: str | None = None) -> QuerySet[OutboxJob]:
    due = OutboxJob.objects.filter(state=OutboxJob.State.QUEUED, run_at__lte=Now())
    if queue is None:
        return due
    # The queue is the code's, not the row's: a job may be moved without touching rows.
    if queue == QUEUES[0]:
        return due.exclude(task__in=[job.name for job in list_jobs() if job.queue != queue])
    return due.filter(task__in=[job.name for job in list_jobs() if job.queue == queue])


def _publish_lease() -> Case:
    """Return how long no further wake-up is sent: about as long as the job is due already."""
    steps = []
    seconds = LONGEST_PUBLISH_LEASE_SECONDS
    while seconds > PUBLISH_LEASE_SECONDS:
        overdue = Q(run_at__lte=seconds_from_now(-seconds))
        steps.append(When(overdue, then=seconds_from_now(seconds)))
        seconds //= 2
    return Case(*steps, default=seconds_from_now(PUBLISH_LEASE_SECONDS))


def _plain_id(value: int | str | UUID) -> int | str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(
            f"A job is given ids (int, str or UUID), not {type(value).__name__}. "
            "Pass the row's pk and read the row inside the job."
        )
    if isinstance(value, str) and (len(value) > LONGEST_ID or "\x00" in value):
        raise ValueError(f"A job's id has at most {LONGEST_ID} characters and no NUL.")
    return value


def _insert_once(row: OutboxJob) -> OutboxJob:
    """INSERT … ON CONFLICT DO NOTHING: a known key must not break the transaction."""
    key = {"task": row.task, "dedupe_key": row.dedupe_key} if row.dedupe_key else {"uid": row.uid}
    while True:
        OutboxJob.objects.bulk_create([row], ignore_conflicts=True)
        stored = OutboxJob.objects.filter(**key).first()
        if stored is not None:
            return stored
        # The job of that key was purged between the two statements.


def _wake(pk: int, job: Job) -> None:
    """Tell the runner; only ever a shortcut, because every runner sweeps as well."""
    if core_settings.OUTBOX_RUNNER == "thread":
        from ntc_core.outbox import runner  # noqa: PLC0415 - the runner imports this module

        runner.wake(job.queue)
    elif core_settings.OUTBOX_RUNNER == "celery":
        from ntc_core.outbox import celery  # noqa: PLC0415 - Celery is an extra

        celery.publish([(pk, job.name)])


def _skip_locked(rows: QuerySet[OutboxJob]) -> QuerySet[OutboxJob]:
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True)
    return rows


def _update_unlocked(rows: QuerySet[OutboxJob], **changes: object) -> int:
    """UPDATE the rows nobody holds, so that two sweeps never wait for each other."""
    if not rows.exists():
        return 0
    with transaction.atomic():
        ids = list(_skip_locked(rows).values_list("pk", flat=True))
        return rows.filter(pk__in=ids).update(updated_at=Now(), **changes)
