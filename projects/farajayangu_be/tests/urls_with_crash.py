"""The project's urls and one view that has a bug, for tests of what a bug looks like."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from farajayangu_be.urls import (  # noqa: F401 - Django looks the handlers up here
    handler400,
    handler403,
    handler404,
    handler500,
    urlpatterns,
)


def crash(request: HttpRequest) -> HttpResponse:
    """Fail as a bug does, with something in the message that is nobody's business."""
    raise RuntimeError("siri: the-database-password")


urlpatterns = [path("api/v1/crash/", crash), *urlpatterns]
