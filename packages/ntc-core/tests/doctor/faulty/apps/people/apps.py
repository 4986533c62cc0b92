"""Installed."""

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """People."""

    name = "apps.people"
