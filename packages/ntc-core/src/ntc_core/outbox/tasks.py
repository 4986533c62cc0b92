"""The outbox's own jobs."""

from __future__ import annotations

from ntc_core.metrics import collect_gauges
from ntc_core.outbox.jobs import job
from ntc_core.outbox.services import purge_done_jobs

__all__ = ["purge", "tell_gauges"]

BATCH_SIZE = 1000


@job("ntc_outbox.purge", atomic=False, every_seconds=3600)
def purge() -> None:
    """Delete old done jobs batch by batch, so that no statement runs long."""
    while purge_done_jobs(BATCH_SIZE) == BATCH_SIZE:
        pass


@job("ntc_outbox.tell_gauges", atomic=False, every_seconds=60)
def tell_gauges() -> None:
    """Have every collector of `ntc_core.metrics` look and tell."""
    collect_gauges()
