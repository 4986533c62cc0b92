"""Stored files as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.db.models.signals import pre_delete

__all__ = ["StorageConfig"]


class StorageConfig(AppConfig):
    """Needs `ntc_core.outbox`, which removes what is left over."""

    name = "ntc_core.storage"
    label = "ntc_storage"
    verbose_name = "Files"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks, and remove the files of people who are deleted."""
        from ntc_core.storage import checks, services  # noqa: F401, PLC0415 - needs the models

        pre_delete.connect(
            services.discard_uploads_of, sender=get_user_model(), dispatch_uid="ntc_storage.user"
        )
