"""Fixtures of the webhook tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from tests.webhooks.company import sign

URL = "/api/v1/webhooks/payments/acme/"


@pytest.fixture(autouse=True)
def _webhook_urls(settings):
    settings.ROOT_URLCONF = "tests.webhooks.urls"


@pytest.fixture
def deliver() -> Callable[..., HttpResponse]:
    """Return a function that posts a signed body as the company does."""

    def post(body: bytes, *, url: str = URL, **headers: Any) -> HttpResponse:
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        signed = sign(body) | headers
        return client.post(url, body, content_type="application/json", headers=signed)

    return post
