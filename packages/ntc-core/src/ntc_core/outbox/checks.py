"""System checks of the outbox: a runner that nobody knows would silently run nothing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error

from ntc_core.conf import core_settings

__all__ = ["RUNNERS", "check_runner"]

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
