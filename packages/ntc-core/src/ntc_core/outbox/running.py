"""Claim a job, run it, write down how it ended. The only module that changes a claimed row.

Claims are conditional UPDATEs by the database's clock. Every later change filters on the
claim's own token: a run that was overtaken changes nothing, and an atomic one rolls back.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from ntc_core.masking import mask_text
from ntc_core.outbox.clock import seconds_from_now
from ntc_core.outbox.jobs import Job, RetryLater, UnknownJob, get_job
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.signals import job_failed
from ntc_core.request_id import bind_request_id
from ntc_core.tracing import span

__all__ = ["Claim", "claim", "run"]

log = logging.getLogger(__name__)

# For a row whose job this process does not know: an older process during a deployment
# meets jobs of the newer code, so it backs off and leaves them time before parking.
UNKNOWN_JOB_ATTEMPTS = 10
UNKNOWN_JOB_LEASE_SECONDS = 60

BACKOFF_BASE_SECONDS = 2.0
BACKOFF_CAP_SECONDS = 15 * 60.0
LEAST_DELAY_SECONDS = 1.0
LONGEST_ERROR = 1000

_random = random.SystemRandom()


class LeaseLost(Exception):
    """Another runner took the job over while this one was still at it."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to run one job until the lease runs out."""

    row: OutboxJob
    token: uuid.UUID
    job: Job | None

    @property
    def max_attempts(self) -> int:
        """How many counted runs the job has."""
        return self.job.max_attempts if self.job else UNKNOWN_JOB_ATTEMPTS

    def held(self) -> QuerySet[OutboxJob]:
        """Return the row as long as this claim holds it."""
        return OutboxJob.objects.filter(
            pk=self.row.pk, state=OutboxJob.State.RUNNING, lease_token=self.token
        )


def claim(candidates: QuerySet[OutboxJob]) -> Claim | None:
    """Take the first of these due jobs that nobody else is taking, or None."""
    if not connection.features.has_select_for_update_skip_locked:
        # SQLite: no transaction around read and write, because upgrading a read lock
        # fails at once when another process writes. The condition suffices.
        return _claim_first(candidates)
    with transaction.atomic():
        return _claim_first(candidates.select_for_update(skip_locked=True))


def _claim_first(candidates: QuerySet[OutboxJob]) -> Claim | None:
    while (row := candidates.first()) is not None:
        job = _find_job(row.task)
        token = uuid.uuid4()
        lease = job.lease_seconds if job else UNKNOWN_JOB_LEASE_SECONDS
        claimed = OutboxJob.objects.filter(
            pk=row.pk, state=OutboxJob.State.QUEUED, attempts=row.attempts
        ).update(
            state=OutboxJob.State.RUNNING,
            attempts=F("attempts") + 1,
            lease_token=token,
            lease_until=seconds_from_now(lease),
            updated_at=Now(),
        )
        if claimed:
            row.attempts += 1
            return Claim(row=row, token=token, job=job)
    return None


def run(claim: Claim) -> None:
    """Run a claimed job to its end: done, queued again, or parked."""
    fields = {
        "job": claim.row.task,
        "job_uid": str(claim.row.uid),
        "attempt": claim.row.attempts,
    }
    started = time.monotonic()
    with bind_request_id(claim.row.request_id):
        try:
            _run_traced(claim)
        except LeaseLost:
            log.warning("job.overtaken", extra=fields)
        except RetryLater as request:
            _come_back(claim, request, fields)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is the row's news
            _fail(claim, error, fields)
        else:
            duration_ms = round((time.monotonic() - started) * 1000)
            # What repeats by itself every few seconds would drown all other lines.
            repeats = claim.job is not None and claim.job.every_seconds is not None
            log.log(
                logging.DEBUG if repeats else logging.INFO,
                "job.done",
                extra={**fields, "duration_ms": duration_ms},
            )


def _run_traced(claim: Claim) -> None:
    if claim.job is not None and claim.job.every_seconds is not None:
        _run_function(claim)
        return
    with span(f"job {claim.row.task}", kind="consumer", ntc__attempt=claim.row.attempts):
        _run_function(claim)


def _run_function(claim: Claim) -> None:
    if claim.row.attempts > claim.max_attempts:
        raise TooManyAttempts(claim.row.last_error)
    job = claim.job or get_job(claim.row.task)
    if not job.atomic:
        job.function(*claim.row.arguments)
        _mark_done(claim)
        return
    with transaction.atomic():
        job.function(*claim.row.arguments)
        _mark_done(claim)


class TooManyAttempts(Exception):
    """Every run ended with its process; another one would most likely too."""


def _mark_done(claim: Claim) -> None:
    marked = claim.held().update(
        state=OutboxJob.State.DONE,
        done_at=Now(),
        lease_until=None,
        lease_token=None,
        last_error="",
        updated_at=Now(),
    )
    if not marked:
        raise LeaseLost


def _come_back(claim: Claim, request: RetryLater, fields: dict[str, object]) -> None:
    if request.count and claim.row.attempts >= claim.max_attempts:
        _park(claim, request, fields)
        return
    delay = max(request.delay_seconds, LEAST_DELAY_SECONDS)
    _release(
        claim,
        request,
        state=OutboxJob.State.QUEUED,
        run_at=seconds_from_now(delay),
        attempts=claim.row.attempts - (not request.count),
    )
    log.info("job.later", extra={**fields, "delay_seconds": delay})


def _fail(claim: Claim, error: Exception, fields: dict[str, object]) -> None:
    if claim.row.attempts >= claim.max_attempts:
        _park(claim, error, fields)
        return
    delay = _backoff_seconds(claim)
    if _give_back(
        claim,
        error,
        fields,
        parked=False,
        state=OutboxJob.State.QUEUED,
        run_at=seconds_from_now(delay),
    ):
        log.warning(
            "job.retry",
            extra={**fields, "delay_seconds": round(delay, 1), "error": claim.row.last_error},
            exc_info=error,
        )


def _park(claim: Claim, error: Exception, fields: dict[str, object]) -> None:
    if _give_back(claim, error, fields, parked=True, state=OutboxJob.State.PARKED):
        log.error("job.parked", extra={**fields, "error": claim.row.last_error}, exc_info=error)


def _give_back(
    claim: Claim,
    error: Exception,
    fields: dict[str, object],
    *,
    parked: bool,
    **changes: object,
) -> bool:
    """Write down a failed run and tell the others, unless the run was overtaken meanwhile."""
    with transaction.atomic():
        released = _release(claim, error, **changes)
        if released:
            job_failed.send(OutboxJob, job=claim.row, parked=parked)
    if not released:
        log.warning("job.overtaken", extra={**fields, "error": claim.row.last_error})
    return released


def _release(claim: Claim, error: Exception, **changes: object) -> bool:
    """Give the lease back with these changes; tell whether it was still ours to give."""
    claim.row.last_error = _describe(error)
    released = claim.held().update(
        lease_until=None,
        lease_token=None,
        last_error=claim.row.last_error,
        updated_at=Now(),
        **changes,
    )
    return bool(released)


def _backoff_seconds(claim: Claim) -> float:
    """Full jitter: anything up to a ceiling that doubles, so that failures spread out."""
    ceiling = min(BACKOFF_BASE_SECONDS * 2 ** min(claim.row.attempts, 20), BACKOFF_CAP_SECONDS)
    if claim.job and claim.job.every_seconds:
        ceiling = min(ceiling, claim.job.every_seconds)
    return _random.uniform(LEAST_DELAY_SECONDS, max(ceiling, LEAST_DELAY_SECONDS))


def _describe(error: Exception) -> str:
    """Return class and text for the row and the log, without people and secrets."""
    return mask_text(f"{type(error).__qualname__}: {error}", longest=LONGEST_ERROR)


def _find_job(name: str) -> Job | None:
    try:
        return get_job(name)
    except UnknownJob:
        return None
