"""Never loaded."""

from __future__ import annotations

from django.apps import AppConfig


class UnlistedConfig(AppConfig):
    """Not in INSTALLED_APPS."""

    name = "tests.unlisted"
