"""`/metrics`: open to whoever has the token or calls from one of the networks, else not there."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import os
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ntc_core.client import client_address
from ntc_core.conf import core_settings
from ntc_core.prometheus.sink import FOLDER_VARIABLE, require_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["metrics", "serve_metrics"]

log = logging.getLogger(__name__)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return every metric of this machine's processes, or 404 to strangers."""
    if not _may_read(request):
        return HttpResponseNotFound("Not found.", content_type="text/plain")
    require_library()
    from prometheus_client import REGISTRY, CollectorRegistry, multiprocess  # noqa: PLC0415
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - an extra

    registry = REGISTRY
    if os.environ.get(FOLDER_VARIABLE):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def serve_metrics(*, port: int, host: str = "") -> int:
    """Show the same page on a port of its own, for processes without HTTP; return the port.

    It runs in a thread until the process ends. `port` 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    server = make_server(host, port, _application, server_class=_Server, handler_class=_Handler)
    Thread(target=server.serve_forever, name="ntc-metrics", daemon=True).start()
    log.info("metrics.served", extra={"port": server.server_port})
    return server.server_port


def _may_read(request: HttpRequest) -> bool:
    return _has_token(request) or _is_near(request)


def _has_token(request: HttpRequest) -> bool:
    expected = core_settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(expected) and hmac.compare_digest(
        given.encode(errors="replace"), expected.encode(errors="replace")
    )


def _is_near(request: HttpRequest) -> bool:
    """Tell whether the caller is in NTC_METRICS_NETWORKS.

    Through a proxy that nobody told us of everybody seems to call from its address.
    """
    if core_settings.TRUSTED_PROXY_COUNT < 1 and "X-Forwarded-For" in request.headers:
        return False
    try:
        address = ipaddress.ip_address(client_address(request))
    except ValueError:
        return False
    networks = (ipaddress.ip_network(each) for each in core_settings.METRICS_NETWORKS)
    return any(address in network for network in networks)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    #: Seconds within which a caller has to say what it wants.
    timeout = 10

    def log_message(self, *_: object) -> None:
        """Say nothing: a line every few seconds would drown all others."""


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    request = WSGIRequest(environ)
    is_here = request.path_info == "/metrics"
    response = metrics(request) if is_here else HttpResponseNotFound("Not found.")
    status = HTTPStatus(response.status_code)
    start_response(f"{status.value} {status.phrase}", list(response.items()))
    return [response.content]
