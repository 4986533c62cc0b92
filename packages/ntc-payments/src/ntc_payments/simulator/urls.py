"""The pretend phone: mount it at `dev/phone/`. Every page is a 404 without DEBUG."""

from __future__ import annotations

from django.urls import path

from ntc_payments.simulator import views

__all__ = ["urlpatterns"]

app_name = "ntc_payments_phone"

urlpatterns = [
    path("", views.PhoneView.as_view(), name="phone"),
    path("<str:uid>/approve/", views.AnswerView.as_view(answer="approve"), name="approve"),
    path("<str:uid>/decline/", views.AnswerView.as_view(answer="decline"), name="decline"),
]
