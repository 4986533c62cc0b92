"""Paths of sign-in, relative to the API's prefix."""

from __future__ import annotations

from django.urls import path

from ntc_core.auth import views

__all__ = ["urlpatterns"]

urlpatterns = [
    path("auth/login/", views.LoginView.as_view(), name="auth-login"),
    path("auth/refresh/", views.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout/", views.LogoutView.as_view(), name="auth-logout"),
    path("auth/logout-all/", views.LogoutAllView.as_view(), name="auth-logout-all"),
    path("auth/verify/", views.VerifyView.as_view(), name="auth-verify"),
]
