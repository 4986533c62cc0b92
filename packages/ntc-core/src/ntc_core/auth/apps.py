"""The auth app: label `ntc_auth`, because Django's own app is called `auth`."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.db.models.signals import post_save, pre_delete

__all__ = ["AuthConfig"]


class AuthConfig(AppConfig):
    name = "ntc_core.auth"
    label = "ntc_auth"
    verbose_name = "Sign-in"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks, the audit and the OpenAPI description; keep the cache true."""
        from ntc_core.auth import audit, checks, schema  # noqa: F401, PLC0415 - they register themselves
        from ntc_core.auth.services.ending import delete_sessions  # noqa: PLC0415 - needs the models
        from ntc_core.auth.session_cache import forget_user  # noqa: PLC0415 - needs the models

        user_model = get_user_model()
        post_save.connect(forget_user, sender=user_model, dispatch_uid="ntc_auth.saved")
        pre_delete.connect(delete_sessions, sender=user_model, dispatch_uid="ntc_auth.deleted")
