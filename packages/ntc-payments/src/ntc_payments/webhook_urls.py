"""URLs for companies: mount them under the API's prefix, like `ntc_payments.urls`."""

from __future__ import annotations

from django.urls import path

from ntc_payments.views import PaymentActionView, PaymentWebhookView

__all__ = ["urlpatterns"]

app_name = "ntc_payments_webhooks"

urlpatterns = [
    path("webhooks/payments/<str:provider>/", PaymentWebhookView.as_view(), name="webhook"),
    # Companies that append an action of their own to a base path do it their way.
    path("webhooks/payments/<str:provider>/<slug:action>", PaymentActionView.as_view()),
    path(
        "webhooks/payments/<str:provider>/<slug:action>/",
        PaymentActionView.as_view(),
        name="webhook_action",
    ),
]
