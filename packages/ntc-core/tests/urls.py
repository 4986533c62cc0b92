"""URLs of the package's own tests."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from ntc_core.schema import schema_urls

from tests.shop_views import plain_view

handler400 = "ntc_core.exceptions.handler400"
handler403 = "ntc_core.exceptions.handler403"
handler404 = "ntc_core.exceptions.handler404"
handler500 = "ntc_core.exceptions.handler500"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/", include("ntc_core.health.urls")),
    *schema_urls,
    path("pages/<str:kind>/", plain_view),
    path("api/v1/", include("tests.shop_urls")),
]
