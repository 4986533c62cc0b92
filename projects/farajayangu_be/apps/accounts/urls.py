"""Paths of accounts, relative to `accounts/`."""

from __future__ import annotations

from django.urls import path

from . import views

__all__ = ["urlpatterns"]

urlpatterns = [
    path("register/", views.RegisterView.as_view(), name="accounts-register"),
    path("verify/", views.VerifyView.as_view(), name="accounts-verify"),
    path("verify/resend/", views.ResendView.as_view(), name="accounts-resend"),
    path("me/", views.MeView.as_view(), name="accounts-me"),
    path("password/change/", views.PasswordChangeView.as_view(), name="accounts-password-change"),
    path("password/reset/", views.PasswordResetView.as_view(), name="accounts-password-reset"),
    path(
        "password/reset/confirm/",
        views.PasswordResetConfirmView.as_view(),
        name="accounts-password-reset-confirm",
    ),
]
