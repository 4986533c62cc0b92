"""13, 19, 20: no schema; a public page that crashes; a folder that can be listed."""

from django.urls import path
from django.views.static import serve


def trigger_error(request):
    """Crash, for Sentry."""
    return 1 / 0


urlpatterns = [
    path("sentry-debug/", trigger_error),
    path("media/<path:path>", serve, {"document_root": "/srv/media", "show_indexes": True}),
]
