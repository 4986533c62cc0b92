"""URLs for companies: mount them under the API's prefix, like `ntc_notify.urls`."""

from __future__ import annotations

from django.urls import path

from ntc_notify.webhooks import NotifyWebhookView

__all__ = ["urlpatterns"]

app_name = "ntc_notify_webhooks"

urlpatterns = [
    path("webhooks/notify/<str:provider>/", NotifyWebhookView.as_view(), name="webhook"),
]
