"""The sockets as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.db.models.signals import post_save
from django.utils.module_loading import autodiscover_modules

__all__ = ["RealtimeConfig"]


class RealtimeConfig(AppConfig):
    """Needs `ntc_core.auth`, whose sessions open sockets, and `ntc_core.outbox` for its upkeep."""

    name = "ntc_core.realtime"
    label = "ntc_realtime"
    verbose_name = "Live channel"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Find every app's `sockets.py`, and hear of sessions that end."""
        from ntc_core.auth.signals import sessions_ended  # noqa: PLC0415 - apps are ready now
        from ntc_core.realtime import checks, services  # noqa: F401, PLC0415 - needs the models

        autodiscover_modules("sockets")
        sessions_ended.connect(services.close_sessions, dispatch_uid="ntc_realtime.ended")
        post_save.connect(
            services.close_inactive, sender=get_user_model(), dispatch_uid="ntc_realtime.user"
        )
