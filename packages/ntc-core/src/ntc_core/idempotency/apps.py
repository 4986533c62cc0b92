"""Idempotency keys as a Django app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["IdempotencyConfig"]


class IdempotencyConfig(AppConfig):
    """Needs `ntc_core.outbox`, whose jobs remove answers that are too old."""

    name = "ntc_core.idempotency"
    label = "ntc_idempotency"
    verbose_name = "Idempotency keys"
    default_auto_field = "django.db.models.BigAutoField"
