"""Sign-in and files, as a project has them."""

from __future__ import annotations

from django.urls import include, path

handler404 = "ntc_core.exceptions.handler404"

urlpatterns = [
    path("api/v1/auth/", include("ntc_core.auth.urls")),
    path("api/v1/", include("ntc_core.storage.urls")),
]
