"""The inbox's own job."""

from __future__ import annotations

from ntc_core.outbox import job
from ntc_core.webhooks import services

__all__ = ["purge_bodies"]

BATCH_SIZE = 1000


@job("ntc_webhooks.purge_bodies", atomic=False, every_seconds=3600)
def purge_bodies() -> None:
    """Remove old bodies batch by batch, so that no statement runs long."""
    while services.purge_bodies(BATCH_SIZE) == BATCH_SIZE:
        pass
