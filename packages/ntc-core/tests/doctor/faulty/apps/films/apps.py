"""28: never installed."""

from django.apps import AppConfig


class FilmsConfig(AppConfig):
    """Films."""

    name = "apps.films"
