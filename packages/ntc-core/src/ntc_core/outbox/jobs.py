"""What a job is: a function under a stable name. Plain Python, no database.

The name is written into rows and outlives the code that wrote it: renaming a function
is free, renaming a job strands the rows that wait under the old name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["QUEUES", "Job", "RetryLater", "UnknownJob", "get_job", "job", "list_jobs", "queue_of"]

#: What a job waits for decides its queue, so that one kind of waiting does not delay the others:
#: "default": only the database. "companies": somebody else's server. "messages": deliveries.
#: "bulk": deliveries to thousands, which must not stand in front of somebody's code.
QUEUES = ("default", "companies", "messages", "bulk")

JobFunction = Callable[..., None]


class UnknownJob(LookupError):
    """No job of that name is registered in this process."""


class RetryLater(Exception):
    """Raised inside a job: undo what an atomic job did and run it again later.

    Args:
        delay_seconds: not before this many seconds from now (one second at least).
        count: whether this run counts as one of the job's `max_attempts`.
    """

    def __init__(self, reason: str = "", *, delay_seconds: float, count: bool = False) -> None:
        super().__init__(reason or f"again in {delay_seconds} s")
        self.delay_seconds = delay_seconds
        self.count = count


@dataclass(frozen=True, eq=False)
class Job:
    """A registered job. Calling it calls the function, here and now."""

    name: str
    function: JobFunction
    atomic: bool
    max_attempts: int
    lease_seconds: float
    every_seconds: int | None
    queue: str
    signature: inspect.Signature = field(repr=False)

    def __call__(self, *ids: Any) -> None:
        self.function(*ids)

    def require_arguments(self, ids: tuple[int | str, ...]) -> None:
        """Refuse at once what the function could not be called with later.

        Raises:
            TypeError: the number of ids does not fit the function.
        """
        try:
            self.signature.bind(*ids)
        except TypeError as error:
            raise TypeError(f"Job {self.name!r} takes {self.signature}: {error}.") from error


_jobs: dict[str, Job] = {}


def job(
    name: str,
    *,
    atomic: bool = True,
    max_attempts: int = 10,
    lease_seconds: float = 60,
    every_seconds: int | None = None,
    queue: str = "default",
) -> Callable[[JobFunction], Job]:
    """Register a function as the job `name` (by convention `<app>.<verb>`).

    Args:
        atomic: True: the function and the mark that it is done share one transaction, so
            the effect happens exactly once. False, for jobs that talk to other companies:
            no transaction is open, the function may run more than once and has to be
            idempotent by itself.
        max_attempts: failed runs before the job is parked for a person to look at.
        lease_seconds: how long a run may take before another runner may start over. An
            atomic job that is overtaken is rolled back.
        every_seconds: run without being enqueued, once per this many seconds.
        queue: "companies" for what calls somebody else's server and may hang there,
            "messages" for deliveries, "bulk" for those to many at once, "default" for what needs
            the database only.

    Raises:
        ValueError: the name is taken, or there is no such queue.
    """
    if queue not in QUEUES:
        raise ValueError(f"Job {name!r}: queue is {queue!r}; expected one of {', '.join(QUEUES)}.")

    def register(function: JobFunction) -> Job:
        known = _jobs.get(name)
        if known is not None and not _is_reloaded(known.function, function):
            raise ValueError(
                f"Two jobs are called {name!r}: {_origin(known.function)} and {_origin(function)}."
            )
        _jobs[name] = Job(
            name=name,
            function=function,
            atomic=atomic,
            max_attempts=max_attempts,
            lease_seconds=lease_seconds,
            every_seconds=every_seconds,
            queue=queue,
            signature=inspect.signature(function),
        )
        return _jobs[name]

    return register


def get_job(name: str) -> Job:
    """Return the job registered as `name`.

    Raises:
        UnknownJob: the message lists the names that are registered.
    """
    try:
        return _jobs[name]
    except KeyError:
        raise UnknownJob(
            f"No job is called {name!r}. Registered: {', '.join(sorted(_jobs)) or 'none'}. "
            "Jobs are found in the tasks.py of the apps in INSTALLED_APPS."
        ) from None


def list_jobs() -> list[Job]:
    """Return every registered job, by name."""
    return [_jobs[name] for name in sorted(_jobs)]


def queue_of(name: str) -> str:
    """Return the queue of a job; of one that this process does not know, the default."""
    known = _jobs.get(name)
    return known.queue if known else QUEUES[0]


def _is_reloaded(known: JobFunction, new: JobFunction) -> bool:
    return _origin(known) == _origin(new)


def _origin(function: JobFunction) -> str:
    return f"{function.__module__}.{function.__qualname__}"
