"""The runner of NTC_OUTBOX_RUNNER="celery". Imported only then; Celery is an extra.

A message carries a row's id and nothing else. Losing it costs seconds, because the tick
publishes again; receiving it twice costs one query, because the row says it is done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from celery import current_app, shared_task

from ntc_core.outbox import services

__all__ = ["publish", "run_job", "tick"]

log = logging.getLogger(__name__)

# A request waits for this, so it is short: what is not published now is so at the next tick.
# Redis-specific, like the extra `ntc-core[celery]`.
PUBLISH_OPTIONS = {
    "socket_connect_timeout": 0.5,
    "socket_timeout": 0.5,
    "retry_on_timeout": False,
    "max_retries": 0,
}


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
        _send(ids)
    except Exception as error:  # noqa: BLE001 - brokers raise what they like; the row is safe
        log.warning("outbox.publish_failed", extra={"error": type(error).__name__})


def _send(ids: Iterable[int]) -> None:
    # A connection of its own: the pooled ones carry the worker's patient timeouts.
    with current_app.connection_for_write() as connection:
        connection.transport_options = {**connection.transport_options, **PUBLISH_OPTIONS}
        producer = current_app.amqp.Producer(connection)
        for pk in ids:
            run_job.apply_async((pk,), producer=producer, retry=False)
