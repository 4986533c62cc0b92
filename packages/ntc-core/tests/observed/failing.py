"""Fail in a request and in a log line, with a person in every corner."""

from __future__ import annotations

import logging

import django

django.setup()

import sentry_sdk  # noqa: E402 - as a project has it
from django.core.wsgi import get_wsgi_application  # noqa: E402 - after the settings
from django.test import RequestFactory  # noqa: E402 - likewise

logging.getLogger("tests.observed").error(
    "A company said no to %s", "+255712345678", extra={"password": "hunter22", "amount": 5000}
)
request = RequestFactory().post(
    "/api/v1/people/255712345678/?token=hunter22",
    {"password": "hunter22"},
    headers={"Authorization": "Bearer hunter22hunter22", "X-Request-ID": "request-481516"},
)
# As a server does: what Sentry knows of a request it takes from there.
get_wsgi_application()(request.environ, lambda *_: None)
sentry_sdk.flush(10)
