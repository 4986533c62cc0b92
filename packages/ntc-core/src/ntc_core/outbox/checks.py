"""System checks of the outbox: jobs that nobody runs are stored without a word.

E001  NTC_OUTBOX_RUNNER names no runner          E002  Celery is not installed
W001  no beat entry runs the outbox (--deploy)   W002  beat entries were replaced (--deploy)
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name

from ntc_core.conf import core_settings

__all__ = ["RUNNERS", "check_beat", "check_runner"]

_TICK = "ntc_core.outbox.tick"
RUNNERS = ("thread", "celery", "manual")


def check_runner(**_: Any) -> list[CheckMessage]:
    """Check that NTC_OUTBOX_RUNNER names a runner that can run."""
    runner = core_settings.OUTBOX_RUNNER
    if runner not in RUNNERS:
        return [
            Error(
                f"NTC_OUTBOX_RUNNER is {runner!r}; it has to be one of {', '.join(RUNNERS)}.",
                hint="Jobs would be stored and never run.",
                id="ntc_outbox.E001",
            )
        ]
    if runner == "celery" and find_spec("celery") is None:
        return [
            Error(
                "NTC_OUTBOX_RUNNER is 'celery', but Celery is not installed.",
                hint="Install ntc-core[celery].",
                id="ntc_outbox.E002",
            )
        ]
    return []


def check_beat(**_: Any) -> list[CheckMessage]:
    """Check that the project's Celery app, as loaded here, carries wake-ups and has the tick."""
    if core_settings.OUTBOX_RUNNER != "celery" or find_spec("celery") is None:
        return []
    from celery import current_app  # noqa: PLC0415 - an extra

    scheduled = current_app.conf.beat_schedule or {}
    found: list[CheckMessage] = []
    if not any(entry.get("task") == _TICK for entry in scheduled.values()):
        found.append(
            Warning(
                f"The Celery app {current_app.main or 'that is loaded'!r} has no beat entry for "
                f"{_TICK}: recurring jobs never run, and a lost wake-up stays lost.",
                hint="Call app.conf.update(celery_defaults()) in the project's celery.py, and "
                "import that module in an AppConfig.ready().",
                id="ntc_outbox.W001",
            )
        )
    lost = sorted({*getattr(settings, "CELERY_BEAT_SCHEDULE", {})} - {*scheduled})
    if lost:
        found.append(
            Warning(
                f"CELERY_BEAT_SCHEDULE has {', '.join(lost)}, which the Celery app does not: "
                "something replaced its schedule.",
                hint="Declare jobs with ntc_core.outbox.job(every_seconds=…), or add them to "
                "app.conf.beat_schedule after celery_defaults().",
                id="ntc_outbox.W002",
            )
        )
    return found
