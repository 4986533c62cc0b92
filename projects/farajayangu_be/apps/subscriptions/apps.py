"""The subscriptions as a Django app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["SubscriptionsConfig"]


class SubscriptionsConfig(AppConfig):
    """Registers the models."""

    name = "apps.subscriptions"
    label = "subscriptions"
    verbose_name = "Subscriptions"
