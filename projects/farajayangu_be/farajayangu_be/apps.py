"""The project itself as a Django app: what is tied together once everything is loaded."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.db import connection
from django.db.models.signals import pre_migrate

from .database import lift_limits, limit_waiting

__all__ = ["FarajaYanguConfig"]


class FarajaYanguConfig(AppConfig):
    """Introduces the packages to each other. It has no tables."""

    name = "farajayangu_be"
    verbose_name = "Faraja Yangu"

    def ready(self) -> None:
        """Connect the receivers and register the checks: importing them does it."""
        from . import checks, receivers  # noqa: F401, PLC0415 - they need the models

        if connection.vendor == "postgresql":
            limit_waiting()
            pre_migrate.connect(lift_limits, dispatch_uid="farajayangu_be.lift_limits")
        if settings.NTC_OUTBOX_RUNNER == "celery":
            # Makes it the current app, through which the web process sends its wake-ups.
            from . import celery  # noqa: F401, PLC0415 - not loaded where nothing uses it
