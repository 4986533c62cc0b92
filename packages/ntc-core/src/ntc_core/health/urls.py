"""`live/` and `ready/`."""

from __future__ import annotations

from django.urls import path

from ntc_core.health.views import live, ready

__all__ = ["urlpatterns"]

urlpatterns = [
    path("live/", live, name="health-live"),
    path("ready/", ready, name="health-ready"),
]
