"""The Celery settings under which the outbox keeps its promises. Plain data."""

from __future__ import annotations

from typing import Any

from ntc_core.outbox.jobs import QUEUES

__all__ = ["TICK_SECONDS", "celery_defaults"]

#: How often beat lets a worker sweep: the longest delay when a wake-up is lost.
TICK_SECONDS = 5.0


def celery_defaults() -> dict[str, Any]:
    """Return settings for `app.conf.update()` in the project's `celery.py`.

    One beat entry drives everything that repeats: recurring jobs are rows like all others.
    """
    return {
        # One queue per kind of waiting. A worker without -Q takes from all of them; a second
        # one keeps companies that hang from delaying everything else.
        "task_queues": {name: {} for name in QUEUES},
        "task_default_queue": QUEUES[0],
        # A worker that dies gives its message back; the row decides whether there is work left.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_ignore_result": True,
        # The last guard: a job that hangs becomes a failed run instead of a lost worker.
        "task_soft_time_limit": 600,
        "task_time_limit": 660,
        # On SIGTERM the jobs in progress finish; after this long they go back to the queue.
        "worker_soft_shutdown_timeout": 30,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": 3600,
            # Without these, a broker that vanishes silently blocks a worker for ever.
            "socket_connect_timeout": 5,
            "socket_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "beat_schedule": {
            "ntc-outbox-tick": {
                "task": "ntc_core.outbox.tick",
                "schedule": TICK_SECONDS,
                # Ticks that nobody took in time must not pile up.
                "options": {"expires": TICK_SECONDS, "queue": QUEUES[0]},
            }
        },
    }
