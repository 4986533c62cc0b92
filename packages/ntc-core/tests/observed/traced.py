"""A request that calls a company and enqueues a job, and a process that forks, all traced."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import django

django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - after the settings
from django.test import RequestFactory  # noqa: E402 - likewise
from ntc_core import tracing  # noqa: E402 - likewise
from ntc_core.request_id import bind_request_id  # noqa: E402 - likewise
from opentelemetry import trace  # noqa: E402 - likewise

application = get_wsgi_application()


def get(path):
    """Ask as a stranger who would like to choose the trace."""
    headers = {"X-Request-ID": "request-481516", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    request = RequestFactory().get(path, headers=headers)
    application(request.environ, lambda *_: None)


get(f"/api/v1/ask/255712345678/?token=hunter22&port={sys.argv[1]}")
get("/api/v1/people/255712345678/")
get("/nowhere/255712345678/")
get("/health/live/")
with bind_request_id("request-481516"):
    job = tracing.span("job shop.tasks.send", kind="consumer", ntc__attempt=1)
    with suppress(ValueError), job:
        int("no such number: 255712345678")

if os.fork() == 0:
    # As a worker's child: the thread that sends is not copied by a fork.
    with tracing.span("in the child"):
        pass
    trace.get_tracer_provider().force_flush()
    os._exit(0)
os.wait()
trace.get_tracer_provider().force_flush()
