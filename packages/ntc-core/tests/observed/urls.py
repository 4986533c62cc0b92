"""One view that fails over a person, and the page of the metrics."""

from __future__ import annotations

import logging

from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

log = logging.getLogger("tests.observed")


@csrf_exempt
def fail(request, phone):
    """Have a phone number everywhere that it can be."""
    secret_of_this_view = f"pin of {phone}"
    log.warning("Before it fails for %s", phone)
    raise ValueError(f"Nobody has the number {phone}: {len(secret_of_this_view)}")


urlpatterns = [
    path("api/v1/people/<str:phone>/", fail),
    path("", include("ntc_core.prometheus.urls")),
]
