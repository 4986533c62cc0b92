"""What really leaves for a collector: requests, jobs and calls, by names that are nobody's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from ntc_core import tracing
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.http_collector import run_collector

PACKAGE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def collected():
    with run_collector() as collector:
        url = f"http://127.0.0.1:{collector.port}"
        done = subprocess.run(
            [sys.executable, "-m", "tests.observed.traced", str(collector.port)],
            cwd=PACKAGE,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.observed.settings",
                "TRACES_ENDPOINT": url,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return [body for path, body in collector.received if path == "/v1/traces"]


@pytest.fixture(scope="module")
def spans(collected):
    """Return name -> span."""
    return {
        span.name: span
        for body in collected
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def told(span):
    values = {each.key: each.value for each in span.attributes}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in sorted(values.items())}


def test_requests_jobs_and_calls_are_there_and_health_is_not(spans):
    assert set(spans) == {
        "GET /api/v1/ask/<str:phone>/",
        "POST 127.0.0.1",
        "GET /api/v1/people/<str:phone>/",
        "GET",
        "job shop.tasks.send",
        "in the child",
    }


def test_a_call_is_a_part_of_its_request(spans):
    request, call = spans["GET /api/v1/ask/<str:phone>/"], spans["POST 127.0.0.1"]

    assert request.kind == Span.SPAN_KIND_SERVER
    assert told(request) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/api/v1/ask/<str:phone>/",
        "ntc.request_id": "request-481516",
    }
    assert (call.trace_id, call.parent_span_id) == (request.trace_id, request.span_id)
    assert call.kind == Span.SPAN_KIND_CLIENT
    assert told(call) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "ntc.request_id": "request-481516",
        "server.address": "127.0.0.1",
    }
    assert (
        request.start_time_unix_nano
        <= call.start_time_unix_nano
        < call.end_time_unix_nano
        <= request.end_time_unix_nano
    )


def test_what_failed_is_marked_by_a_name_without_a_text(spans):
    request, job = spans["GET /api/v1/people/<str:phone>/"], spans["job shop.tasks.send"]

    assert request.status.code == job.status.code == Status.STATUS_CODE_ERROR
    assert told(request)["error.type"] == "500"
    assert told(job) == {
        "error.type": "ValueError",
        "ntc.attempt": 1,
        "ntc.request_id": "request-481516",
    }
    assert not job.events
    assert told(spans["GET"])["http.response.status_code"] == 404


def test_a_stranger_does_not_choose_the_trace(spans):
    assert spans["GET /api/v1/ask/<str:phone>/"].trace_id != bytes.fromhex("a" * 32)
    assert spans["GET /api/v1/ask/<str:phone>/"].parent_span_id == b""


def test_nobody_and_no_secret_leaves(collected):
    for secret in (b"712345678", b"hunter22"):
        assert secret not in b"".join(collected)


def test_where_nobody_traces_a_span_does_nothing():
    with tracing.span("anything", kind="server", http__route="/") as span:
        span.rename("other")
        span.tell(x=1)
        span.fail("ValueError")

    assert tracing._tracer is None


def test_an_endpoint_that_is_none_stops_the_start_up(settings):
    settings.NTC_TRACES_ENDPOINT = "collector:4318"

    with pytest.raises(ImproperlyConfigured, match="NTC_TRACES_ENDPOINT is not a URL"):
        tracing.start()


def test_without_the_library_it_says_what_to_install(settings, monkeypatch):
    settings.NTC_TRACES_ENDPOINT = "http://collector:4318"
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(ImproperlyConfigured, match=r"pip install 'ntc-core\[otel\]'"):
        tracing.start()
