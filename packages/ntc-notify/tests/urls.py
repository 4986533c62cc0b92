from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("ntc_notify.urls")),
    path("api/v1/", include("ntc_notify.webhook_urls")),
    path("dev/mailbox/", include("ntc_notify.mailbox.urls")),
]
