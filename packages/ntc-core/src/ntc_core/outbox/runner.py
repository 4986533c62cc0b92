"""The runner of NTC_OUTBOX_RUNNER="thread": daemon threads in this process.

For development and for small installations without Celery. Several processes may run one
each on the same database. The threads start with the first request or the first job.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time

from django.db import DatabaseError, InterfaceError, connections

from ntc_core.conf import core_settings
from ntc_core.outbox import services
from ntc_core.outbox.jobs import QUEUES

__all__ = ["ThreadRunner", "run_until", "runner", "start", "stop", "wake"]

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
#: Recurring jobs get their turn after this many others, however long the queue is.
JOBS_PER_SWEEP = 50
#: At exit the job in progress gets this long; after that its lease has to run out.
EXIT_SECONDS = 5.0


class ThreadRunner:
    """Runs due jobs when woken after a commit, and sweeps every second besides.

    Each queue has a thread, so that a company that hangs delays the calls to companies only.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._woken = {queue: threading.Event() for queue in QUEUES}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def is_running(self) -> bool:
        """Tell whether a thread is alive."""
        return any(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Start the threads unless they run, or another runner is configured."""
        if core_settings.OUTBOX_RUNNER != "thread" or self.is_running:
            return
        with self._lock:
            if self.is_running:
                return
            self._stopping = threading.Event()
            self._threads = [
                threading.Thread(
                    target=self._loop,
                    args=(queue, self._stopping),
                    name=f"ntc-outbox-{queue}",
                    daemon=True,
                )
                for queue in QUEUES
            ]
            for thread in self._threads:
                thread.start()

    def wake(self, queue: str = QUEUES[0]) -> None:
        """Run due jobs of the queue now rather than at the next sweep."""
        self._woken[queue].set()
        self.start()

    def stop(self, timeout_seconds: float | None = None) -> None:
        """Let the jobs in progress finish, then end the threads."""
        self._stopping.set()
        for woken in self._woken.values():
            woken.set()
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(None if deadline is None else max(deadline - time.monotonic(), 0))

    def after_fork(self) -> None:
        """Begin anew in a forked child, where the parent's threads do not exist."""
        was_running = bool(self._threads) and not self._stopping.is_set()
        self.__init__()  # type: ignore[misc]  # locks and events of the parent are useless here
        if was_running:
            self.start()

    def _loop(self, queue: str, stopping: threading.Event) -> None:
        try:
            run_until(stopping, woken=self._woken[queue], queue=queue)
        finally:
            connections.close_all()


def run_until(
    stopping: threading.Event, *, woken: threading.Event | None = None, queue: str | None = None
) -> None:
    """Run due jobs in this thread until `stopping` is set; a job in progress finishes.

    Args:
        woken: set it to look for jobs at once instead of at the next sweep.
        queue: only the jobs of this queue.
    """
    woken = woken or stopping
    while not stopping.is_set():
        if _sweep(stopping, queue):
            continue
        woken.wait(SWEEP_SECONDS)
        if woken is not stopping:
            woken.clear()


def _sweep(stopping: threading.Event, queue: str | None) -> bool:
    """Look after everything once; tell whether more jobs may be due already."""
    try:
        if queue in {None, QUEUES[0]}:
            services.enqueue_recurring()
        for _ in range(JOBS_PER_SWEEP):
            if stopping.is_set() or not services.run_due_jobs(limit=1, queue=queue):
                return False
    except (DatabaseError, InterfaceError) as error:
        # Restarting, locked (SQLite), or not migrated yet: the next sweep tries again,
        # with a connection of its own, because this one may be dead.
        connections.close_all()
        log.warning("outbox.database_unavailable", extra={"error": type(error).__name__})
    except Exception:
        log.exception("outbox.sweep_failed")
    else:
        return True
    return False


runner = ThreadRunner()
start = runner.start
stop = runner.stop
wake = runner.wake

os.register_at_fork(after_in_child=runner.after_fork)
atexit.register(runner.stop, EXIT_SECONDS)
