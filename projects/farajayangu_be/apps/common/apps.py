"""The app that brings the development commands."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["CommonConfig"]


class CommonConfig(AppConfig):
    """It has no tables."""

    name = "apps.common"
    label = "common"
