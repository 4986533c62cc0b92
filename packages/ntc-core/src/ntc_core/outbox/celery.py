"""The runner of NTC_OUTBOX_RUNNER="celery". Imported only then; Celery is an extra.

A message carries a row's id and nothing else. Losing it costs seconds, because the tick
publishes again; receiving it twice costs one query, because the row says it is done.

    # settings, read by the project's Celery app (namespace "CELERY")
    CELERY = ntc_core.outbox.celery_settings.celery_defaults()
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from celery import shared_task

from ntc_core.outbox import services

__all__ = ["publish", "run_job", "tick"]

log = logging.getLogger(__name__)


@shared_task(name="ntc_core.outbox.run_job", ignore_result=True)
def run_job(pk: int) -> None:
    """Run one job if it still waits."""
    services.run_job(pk)


@shared_task(name="ntc_core.outbox.tick", ignore_result=True)
def tick() -> None:
    """Enqueue recurring jobs, free expired leases, publish what waits unpublished."""
    services.enqueue_recurring()
    services.requeue_expired()
    publish(services.claim_for_publishing())


def publish(ids: Iterable[int]) -> None:
    """Send wake-ups. When the broker is away, say so and return: the tick will repeat it."""
    try:
        for pk in ids:
            run_job.apply_async((pk,), retry=False)
    except Exception as error:  # noqa: BLE001 - brokers raise what they like; the row is safe
        log.warning("outbox.publish_failed", extra={"error": type(error).__name__})
