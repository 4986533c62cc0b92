"""`metrics`, without a slash: the path that Prometheus asks for by itself."""

from __future__ import annotations

from django.urls import path

from ntc_core.prometheus.page import metrics

__all__ = ["urlpatterns"]

urlpatterns = [path("metrics", metrics, name="metrics")]
