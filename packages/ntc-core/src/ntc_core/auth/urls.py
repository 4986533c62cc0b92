"""Paths of sign-in, relative to `auth/`."""

from __future__ import annotations

from django.urls import path

from ntc_core.auth import views

__all__ = ["urlpatterns"]

urlpatterns = [
    path("login/", views.LoginView.as_view(), name="auth-login"),
    path("refresh/", views.RefreshView.as_view(), name="auth-refresh"),
    path("logout/", views.LogoutView.as_view(), name="auth-logout"),
    path("logout-all/", views.LogoutAllView.as_view(), name="auth-logout-all"),
    path("verify/", views.VerifyView.as_view(), name="auth-verify"),
    path("csrf/", views.CsrfView.as_view(), name="auth-csrf"),
    path("sessions/", views.SessionListView.as_view(), name="auth-sessions"),
    path("sessions/<uuid:uid>/", views.SessionView.as_view(), name="auth-session"),
]
