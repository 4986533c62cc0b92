"""ntc_payments as a Django app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["PaymentsConfig"]


class PaymentsConfig(AppConfig):
    """Registers the system checks."""

    name = "ntc_payments"
    label = "ntc_payments"
    verbose_name = "Payments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from ntc_payments import checks  # noqa: F401, PLC0415 - importing registers them
