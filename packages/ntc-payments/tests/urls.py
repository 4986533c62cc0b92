"""URLs of the package's own tests, as a project mounts them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

handler400 = "ntc_core.exceptions.handler400"
handler403 = "ntc_core.exceptions.handler403"
handler404 = "ntc_core.exceptions.handler404"
handler500 = "ntc_core.exceptions.handler500"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("ntc_payments.urls")),
    path("api/v1/", include("ntc_payments.webhook_urls")),
    path("dev/phone/", include("ntc_payments.simulator.urls")),
]
