"""The Django app of the core: it has no tables; it brings the system checks."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["CoreConfig"]


class CoreConfig(AppConfig):
    """Put `"ntc_core"` into INSTALLED_APPS, before the sub-apps."""

    name = "ntc_core"
    label = "ntc_core"
    verbose_name = "NTC core"

    def ready(self) -> None:
        """Register the checks, let structlog speak through stdlib logging, start what watches."""
        from ntc_core import checks, sentry, tracing  # noqa: F401, PLC0415 - importing registers the checks
        from ntc_core.logging import configure_structlog  # noqa: PLC0415 - needs the settings

        configure_structlog()
        sentry.start()
        tracing.start()
