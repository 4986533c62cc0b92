"""URLs for people: mount them under the API's prefix with `include("ntc_notify.urls")`."""

from __future__ import annotations

from django.urls import path

from ntc_notify import views

__all__ = ["urlpatterns"]

app_name = "ntc_notify"

urlpatterns = [
    path("notifications/", views.InboxView.as_view(), name="inbox"),
    path("notifications/<uuid:uid>/read/", views.ReadView.as_view(), name="read"),
    path("notifications/read-all/", views.ReadAllView.as_view(), name="read_all"),
    path("notifications/preferences/", views.PreferencesView.as_view(), name="preferences"),
    path(
        "notifications/unsubscribe/<str:token>/",
        views.UnsubscribeView.as_view(),
        name="unsubscribe",
    ),
]
