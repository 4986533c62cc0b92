"""The webhook inbox as a Django app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["WebhooksConfig"]


class WebhooksConfig(AppConfig):
    """Needs `ntc_core.outbox`, whose jobs act upon the events."""

    name = "ntc_core.webhooks"
    label = "ntc_webhooks"
    verbose_name = "Webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Learn from the outbox when the job of an event fails."""
        from ntc_core.outbox.signals import job_failed  # noqa: PLC0415 - apps are ready now
        from ntc_core.webhooks import services  # noqa: PLC0415 - needs the models

        job_failed.connect(services.note_failed_job, dispatch_uid="ntc_core.webhooks")
