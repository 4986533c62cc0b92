"""Durable jobs: the row is the truth, a message is only a wake-up.

    @job("shop.send_parcel", atomic=True)
    def send_parcel(order_id: int) -> None: ...

    with transaction.atomic():
        order.save()
        enqueue(send_parcel, order.pk)      # exists only if this block commits

Jobs live in an app's `tasks.py`, which is imported at start-up. They are given ids,
never objects, and read the rows themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntc_core.outbox.celery_config import celery_defaults
from ntc_core.outbox.jobs import RetryLater, UnknownJob, job

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ntc_core.outbox.jobs import Job
    from ntc_core.outbox.models import OutboxJob

__all__ = ["RetryLater", "UnknownJob", "celery_defaults", "enqueue", "job"]


def enqueue(
    task: str | Job,
    *ids: int | str | UUID,
    dedupe_key: str | None = None,
    run_at: datetime | None = None,
) -> OutboxJob:
    """Write a job in the caller's transaction; see `ntc_core.outbox.services.enqueue`."""
    # The models cannot be imported before the apps are ready; this package can.
    from ntc_core.outbox import services  # noqa: PLC0415

    return services.enqueue(task, *ids, dedupe_key=dedupe_key, run_at=run_at)
