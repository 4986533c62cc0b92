"""Traces by OpenTelemetry: NTC_TRACES_ENDPOINT switches them on, the extra `otel` brings them.

Three kinds of spans: a request, by its route; a job; a call to a company, by its host. Each has
the request id, so that what a request set off is found by it, also the jobs that ran later. Never
a path, a query, a body, a parameter or a user: there are the secrets and the people.

What comes in with a request (`traceparent`) is not believed, and companies are sent none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from ntc_core.conf import core_settings
from ntc_core.http.trace import TracedCall, on_call
from ntc_core.request_id import get_request_id

__all__ = ["Span", "span", "start"]

_tracer: Any = None


class Span:
    """What is being done; says nothing where nobody traces."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def tell(self, **attributes: str | int) -> None:
        """Add attributes; `http__route` is `http.route`."""
        if self._span is not None:
            self._span.set_attributes(_dotted(attributes))

    def rename(self, name: str) -> None:
        """Name it by what it turned out to be."""
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark it as failed: the name of an exception or a status, never a text."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - an extra

            self._span.set_status(StatusCode.ERROR)
            self._span.set_attribute("error.type", reason)


_NOTHING = Span()


@contextmanager
def span(name: str, *, kind: str = "internal", **attributes: str | int) -> Iterator[Span]:
    """Trace the block. Calls to companies within it become its parts.

    Args:
        kind: OpenTelemetry's: "internal", "server", "client", "producer" or "consumer".
        attributes: as for `Span.tell()`.
    """
    if _tracer is None:
        yield _NOTHING
        return
    # Its own record of an exception would have the text.
    with _tracer.start_as_current_span(
        name,
        kind=_kind(kind),
        attributes=_with_request_id(attributes),
        record_exception=False,
        set_status_on_exception=False,
    ) as started:
        traced = Span(started)
        try:
            yield traced
        except BaseException as error:
            traced.fail(type(error).__qualname__)
            raise


def start() -> None:
    """Send traces to NTC_TRACES_ENDPOINT; empty: do nothing.

    Raises:
        ImproperlyConfigured: the extra is missing, or the endpoint is no URL.
    """
    global _tracer  # noqa: PLW0603 - one per process, as the library has it
    endpoint = core_settings.TRACES_ENDPOINT.rstrip("/")
    if not endpoint or _tracer is not None:
        return
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(
            "NTC_TRACES_ENDPOINT is not a URL. Expected the address of a collector that takes "
            "OTLP over HTTP, such as http://collector:4318."
        )
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImproperlyConfigured(
            "NTC_TRACES_ENDPOINT is set, and OpenTelemetry is missing: "
            "pip install 'ntc-core[otel]'."
        ) from error
    provider = TracerProvider(
        resource=Resource.create(
            {
                "service.name": core_settings.PROJECT_NAME,
                "service.version": core_settings.PROJECT_VERSION,
            }
        )
    )
    # In a thread of its own: nobody waits for the collector.
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"))
    )
    # So that instrumentation which a project adds by itself lands in the same traces.
    trace.set_tracer_provider(provider)
    _tracer = provider.get_tracer("ntc_core")
    on_call(_trace_call)


def _trace_call(call: TracedCall) -> None:
    """Add the span of a call that has ended."""
    ended = time.time_ns()
    started = _tracer.start_span(
        f"{call.method} {call.host}",
        kind=_kind("client"),
        start_time=ended - int(call.seconds * 1e9),
        attributes=_with_request_id({"http__request__method": call.method}),
    )
    traced = Span(started)
    traced.tell(server__address=call.host)
    if call.status is not None:
        traced.tell(http__response__status_code=call.status)
    if call.error:
        traced.fail(call.error)
    started.end(end_time=ended)


def _with_request_id(attributes: dict[str, Any]) -> dict[str, Any]:
    request_id = get_request_id()
    found = {"ntc__request_id": request_id} if request_id else {}
    return _dotted({**found, **attributes})


def _dotted(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("__", "."): value for name, value in attributes.items()}


def _kind(name: str) -> Any:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra

    return SpanKind[name.upper()]
