"""Where everything is. The API lives under `/api/v1/`; a new version would live beside it."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import TemplateView
from ntc_core.schema import schema_urls

api_v1 = [
    path("auth/", include("ntc_core.auth.urls")),
    path("", include("ntc_core.realtime.urls")),
    path("", include("ntc_core.storage.urls")),
    path("accounts/", include("apps.accounts.urls")),
    path("", include("apps.subscriptions.urls")),
    path("", include("ntc_payments.urls")),
    path("", include("ntc_payments.webhook_urls")),
    path("", include("ntc_notify.urls")),
    path("", include("ntc_notify.webhook_urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include(api_v1)),
    path(".well-known/", include("ntc_core.auth.jwks_urls")),
    path("health/", include("ntc_core.health.urls")),
    path("admin/", admin.site.urls),
    path("", include("ntc_core.prometheus.urls")),
    *schema_urls,
]

if settings.DEBUG:
    index = TemplateView.as_view(template_name="farajayangu_be/index.html")
    pay = TemplateView.as_view(template_name="farajayangu_be/pay.html")
    urlpatterns += [
        path("", index, name="index"),
        path("dev/pay/", pay, name="pay"),
        path("dev/phone/", include("ntc_payments.simulator.urls")),
        path("dev/mailbox/", include("ntc_notify.mailbox.urls")),
    ]

else:
    # There is no page at `/`, so none to lead to from the admin.
    admin.site.site_url = None

handler400 = "ntc_core.exceptions.handler400"
handler403 = "ntc_core.exceptions.handler403"
handler404 = "ntc_core.exceptions.handler404"
handler500 = "ntc_core.exceptions.handler500"
