"""The notifications as a Django app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["NotifyConfig"]


class NotifyConfig(AppConfig):
    """Registers the system checks; the jobs are found by the outbox."""

    name = "ntc_notify"
    label = "ntc_notify"
    verbose_name = "Notifications"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the checks, and learn from the outbox when a bulk's job gives up."""
        from ntc_core.outbox.signals import job_failed  # noqa: PLC0415 - apps are ready now

        from ntc_notify import checks  # noqa: F401, PLC0415 - importing registers them
        from ntc_notify.services import break_up_parked_chunk  # noqa: PLC0415 - needs the models

        job_failed.connect(break_up_parked_chunk, dispatch_uid="ntc_notify")
