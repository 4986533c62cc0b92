"""URLs for people: mount them under the API's prefix with `include("ntc_payments.urls")`."""

from __future__ import annotations

from django.urls import path

from ntc_payments import money_views, views

__all__ = ["urlpatterns"]

app_name = "ntc_payments"

urlpatterns = [
    path("payments/", views.PaymentListView.as_view(), name="list"),
    path("payments/providers/", views.PaymentProviderListView.as_view(), name="providers"),
    path("payments/<uuid:uid>/", views.PaymentDetailView.as_view(), name="detail"),
    path("payments/<uuid:uid>/cancel/", views.PaymentCancelView.as_view(), name="cancel"),
    path("payments/<uuid:uid>/retry/", views.PaymentRetryView.as_view(), name="retry"),
    path("payments/<uuid:uid>/timeline/", views.PaymentTimelineView.as_view(), name="timeline"),
    path("payments/<uuid:uid>/refunds/", money_views.RefundListView.as_view(), name="refunds"),
    path("payouts/", money_views.PayoutCreateView.as_view(), name="payouts"),
    path("payouts/preview/", money_views.PayoutPreviewView.as_view(), name="payout_preview"),
    path("payouts/<uuid:uid>/", money_views.PayoutDetailView.as_view(), name="payout"),
]
