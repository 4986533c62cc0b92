"""The runner of NTC_OUTBOX_RUNNER="celery". Imported only then; Celery is an extra.

A message carries a row's id and nothing else. Losing it costs seconds, because the tick
publishes again; receiving it twice costs one query, because the row says it is done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from celery import current_app, shared_task
from celery.signals import worker_init

from ntc_core.conf import core_settings
from ntc_core.failpoints import failpoint
from ntc_core.outbox import services
from ntc_core.outbox.jobs import queue_of
from ntc_core.prometheus.page import serve_metrics

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
    claimed = services.claim_for_publishing()
    failpoint("outbox.claimed_for_publishing")
    publish(claimed)
    failpoint("outbox.published")


@worker_init.connect
def show_metrics(**_: object) -> None:
    """Let Prometheus read what this worker's processes count: it has no HTTP of its own."""
    may_be_read = core_settings.METRICS_TOKEN or core_settings.METRICS_NETWORKS
    if not (may_be_read and core_settings.METRICS_SINK and core_settings.METRICS_PORT):
        return
    try:
        serve_metrics(port=core_settings.METRICS_PORT)
    except OSError as error:
        # Another worker of this machine shows the folder that both write to.
        log.warning("metrics.port_taken", extra={"error": error.strerror})


def publish(jobs: Iterable[tuple[int, str]]) -> None:
    """Send wake-ups, each to its job's queue.

    When the broker is away, say so and return: the tick will repeat it.
    """
    try:
        _send(jobs)
    except Exception as error:  # noqa: BLE001 - brokers raise what they like; the row is safe
        log.warning("outbox.publish_failed", extra={"error": type(error).__name__})


def _send(jobs: Iterable[tuple[int, str]]) -> None:
    # A connection of its own: the pooled ones carry the worker's patient timeouts.
    with current_app.connection_for_write() as connection:
        connection.transport_options = {**connection.transport_options, **PUBLISH_OPTIONS}
        producer = current_app.amqp.Producer(connection)
        for pk, task in jobs:
            run_job.apply_async((pk,), queue=queue_of(task), producer=producer, retry=False)
