"""The public keys, relative to `.well-known/`: `include("ntc_core.auth.jwks_urls")`."""

from __future__ import annotations

from django.urls import path

from ntc_core.auth.jwks import jwks

__all__ = ["urlpatterns"]

urlpatterns = [path("jwks.json", jwks, name="auth-jwks")]
