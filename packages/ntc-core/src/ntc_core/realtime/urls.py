"""Paths of the live channel, relative to the API: `path("", include("ntc_core.realtime.urls"))`."""

from __future__ import annotations

from django.urls import path

from ntc_core.realtime.views import TicketView

__all__ = ["urlpatterns"]

urlpatterns = [path("realtime/tickets/", TicketView.as_view(), name="realtime-tickets")]
