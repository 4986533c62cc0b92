"""URLs as a hurried project has them: no schema, a listed folder, a page that crashes."""

from __future__ import annotations

from django.urls import include, path
from django.views.static import serve


def crash(request):
    """Divide by zero, as Sentry's documentation shows it."""
    return 1 / 0


urlpatterns = [
    path("api/v1/", include([path("sentry-debug/", crash)])),
    path("media/<path:path>", serve, {"document_root": "/srv/media", "show_indexes": True}),
    path("files/<path:path>", serve, {"document_root": "/srv/files"}),
]
