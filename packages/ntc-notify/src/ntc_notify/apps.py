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
        """Import the checks."""
        from ntc_notify import checks  # noqa: F401, PLC0415 - importing registers them
