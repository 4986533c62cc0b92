"""The outbox as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_started
from django.utils.module_loading import autodiscover_modules

from ntc_core.conf import core_settings
from ntc_core.outbox.checks import check_beat, check_runner

__all__ = ["OutboxConfig"]


class OutboxConfig(AppConfig):
    """Finds the jobs of all apps and ties the outbox to its runner."""

    name = "ntc_core.outbox"
    label = "ntc_outbox"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import every app's `tasks.py` and `metrics.py`; let a server's first request start it."""
        autodiscover_modules("tasks", "metrics")
        if core_settings.OUTBOX_RUNNER == "celery":
            # Registers the shared tasks with the project's Celery app.
            from ntc_core.outbox import celery  # noqa: F401, PLC0415
        checks.register(check_runner)
        checks.register(check_beat, deploy=True)
        request_started.connect(_start_runner, dispatch_uid="ntc_core.outbox.start_runner")


def _start_runner(**_: object) -> None:
    """Pick up what an earlier process left, without waiting for the first new job."""
    from ntc_core.outbox import runner  # noqa: PLC0415 - it needs the models

    runner.start()
