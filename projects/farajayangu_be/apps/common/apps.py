"""The app that ties the project together at start-up."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["CommonConfig"]


class CommonConfig(AppConfig):
    """Connects the packages to each other once all of them are loaded."""

    name = "apps.common"
    label = "common"

    def ready(self) -> None:
        """Connect the receivers and register the checks: importing them does it."""
        from farajayangu_be import receivers  # noqa: F401, PLC0415

        from apps.common import checks  # noqa: F401, PLC0415
