"""The auth app: label `ntc_auth`, because Django's own app is called `auth`."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["AuthConfig"]


class AuthConfig(AppConfig):
    name = "ntc_core.auth"
    label = "ntc_auth"
    verbose_name = "Sign-in"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, the audit and the OpenAPI description of the token."""
        from ntc_core.auth import audit, checks, schema  # noqa: F401, PLC0415 - they register themselves
