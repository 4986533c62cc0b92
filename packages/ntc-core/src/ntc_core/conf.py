"""The `NTC_*` settings of the core, read when used so that `override_settings` works.

Every package declares its own subclass of `AppSettings`: one class attribute per
setting, its type, its default and, beside it, what it does.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings

__all__ = ["AppSettings", "CoreSettings", "core_settings"]


class AppSettings:
    """Answer `self.NAME` from the Django setting `NTC_NAME`, else the class's default."""

    def __getattribute__(self, name: str) -> Any:
        default = super().__getattribute__(name)
        if not name.isupper():
            return default
        return getattr(django_settings, f"NTC_{name}", default)


class CoreSettings(AppSettings):
    """What a project may decide about ntc_core."""

    #: Shown in the health answer and the OpenAPI document.
    PROJECT_NAME: str = "NTC"
    PROJECT_VERSION: str = "0.1.0"
    #: Under these paths every response is the JSON envelope, whatever the client accepts.
    API_PREFIXES: tuple[str, ...] = ("/api/",)
    #: How a committed job is woken: "thread" (this process), "celery", or "manual" (tests).
    OUTBOX_RUNNER: str = "thread"
    #: Days a finished job is kept, for people who ask what happened.
    OUTBOX_KEEP_DAYS: int = 14
    #: Largest webhook body that is read, in bytes.
    WEBHOOK_MAX_BYTES: int = 256 * 1024
    #: Suffix of the webhook path of companies that do not sign; empty: no such path exists.
    WEBHOOK_PATH_SECRET: str = ""
    #: Number of proxies in front of the service whose X-Forwarded-For entries are believed.
    TRUSTED_PROXY_COUNT: int = 0


core_settings = CoreSettings()
