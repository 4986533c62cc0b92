"""`plans/` and `subscriptions/`."""

from __future__ import annotations

from django.urls import path

from .views import MySubscriptionView, PlanListView, SubscribeView

__all__ = ["urlpatterns"]

urlpatterns = [
    path("plans/", PlanListView.as_view(), name="plan-list"),
    path("subscriptions/", SubscribeView.as_view(), name="subscribe"),
    path("subscriptions/me/", MySubscriptionView.as_view(), name="my-subscription"),
]
