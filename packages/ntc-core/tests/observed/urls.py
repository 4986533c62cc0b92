"""One view that fails over a person, and the page of the metrics."""

from __future__ import annotations

import logging

from django.http import HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from ntc_core.http import HttpClient

log = logging.getLogger("tests.observed")


@csrf_exempt
def fail(request, phone):
    """Have a phone number everywhere that it can be."""
    secret_of_this_view = f"pin of {phone}"
    log.warning("Before it fails for %s", phone)
    raise ValueError(f"Nobody has the number {phone}: {len(secret_of_this_view)}")


def ask(request, phone):
    """Ask a company about somebody; it is the collector itself, which answers everything."""
    HttpClient(base_url=f"http://127.0.0.1:{request.GET['port']}").request("POST", f"/of/{phone}")
    return HttpResponse("ok")


urlpatterns = [
    path("api/v1/ask/<str:phone>/", ask),
    path("health/", include("ntc_core.health.urls")),
    path("api/v1/people/<str:phone>/", fail),
    path("", include("ntc_core.prometheus.urls")),
]
