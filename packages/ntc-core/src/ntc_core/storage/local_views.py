"""The local folder over HTTP: what S3 and Azure do themselves.

Whoever has an address that is signed and not over may do what it says; nobody else exists here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import UnreadablePostError
from django.views.generic import View

from ntc_core.errors import InvalidInput, NotFound
from ntc_core.exceptions import json_error
from ntc_core.storage.providers.local import CHUNK_BYTES, LocalProvider
from ntc_core.storage.registry import PROVIDERS

__all__ = ["LocalFileView"]


class LocalFileView(View):
    """Take the bytes of an upload (PUT), show a file (GET)."""

    http_method_names = ["get", "head", "put", "options"]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """Return the view without CSRF check: the address is the proof, and no cookie is read."""
        view = super().as_view(**initkwargs)
        view.csrf_exempt = True  # type: ignore[attr-defined]  # Django's own protocol
        return transaction.non_atomic_requests(view)

    def http_method_not_allowed(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        *_args: Any,
        **_kwargs: Any,
    ) -> HttpResponse:
        """Answer 405 in the common shape."""
        response = json_error(HTTPStatus.METHOD_NOT_ALLOWED)
        response["Allow"] = "GET, HEAD, PUT, OPTIONS"
        return response

    def put(self, request: HttpRequest, key: str) -> HttpResponse:
        provider, said = _read_address(request, key, method="PUT")
        if request.headers.get("Content-Type", "") != said["type"]:
            raise InvalidInput(f"Expected the header Content-Type: {said['type']}.")
        if request.headers.get("Content-Length", "") != said["size"]:
            raise InvalidInput(f"Expected {said['size']} bytes, as the header Content-Length.")
        provider.receive(key, _read_exactly(request, int(said["size"])))
        return HttpResponse(status=HTTPStatus.CREATED)

    def get(self, request: HttpRequest, key: str) -> HttpResponseBase:
        provider, said = _read_address(request, key, method="GET")
        try:
            file = provider.open(key)
        except FileNotFoundError:
            raise NotFound from None
        response = FileResponse(file, content_type=said["type"])
        response["Content-Disposition"] = said["disposition"]
        # Also in a project without our middleware: what people upload must not run on our host.
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return response


def _read_address(
    request: HttpRequest, key: str, *, method: str
) -> tuple[LocalProvider, dict[str, str]]:
    if "local" not in PROVIDERS.names():
        raise NotFound
    provider = PROVIDERS.get("local")
    if not isinstance(provider, LocalProvider):
        raise NotFound
    query = request.META.get("QUERY_STRING", "")
    return provider, provider.read_address(method=method, key=key, query=query)


def _read_exactly(request: HttpRequest, size: int) -> Iterator[bytes]:
    """Return the body piece by piece, and stop if it ends early."""
    left = size
    while left:
        try:
            chunk = request.read(min(CHUNK_BYTES, left))
        except (UnreadablePostError, OSError) as error:
            raise _cut_off() from error
        if not chunk:
            raise _cut_off()
        left -= len(chunk)
        yield chunk


def _cut_off() -> InvalidInput:
    return InvalidInput("The body was cut off. Send it again.")
