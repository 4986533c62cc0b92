"""Middleware of every NTC project, in this order and before all others:

    MIDDLEWARE = [
        "ntc_core.middleware.RequestIdMiddleware",
        "ntc_core.middleware.RequestLogMiddleware",
        "ntc_core.middleware.EnvelopeErrorsMiddleware",
        …
    ]

All three work under WSGI and ASGI without a thread hop.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import is_valid_path
from django.utils.functional import LazyObject, empty
from django.utils.log import log_response
from rest_framework.views import APIView

from ntc_core.client import bind_request
from ntc_core.conf import core_settings
from ntc_core.errors import NtcError
from ntc_core.exceptions import (
    database_unavailable,
    is_database_unavailable,
    json_error,
    json_error_of,
    wants_envelope,
)
from ntc_core.masking import mask_text
from ntc_core.request_id import bind_request_id, new_request_id
from ntc_core.tracing import Span, span

__all__ = [
    "REQUEST_ID_HEADER",
    "EnvelopeErrorsMiddleware",
    "RequestIdMiddleware",
    "RequestLogMiddleware",
]

REQUEST_ID_HEADER = "X-Request-ID"

_ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# Asked every few seconds by the platform: their lines would drown all others.
_QUIET_PATHS = ("/health/",)
# Longer ones are no URLs of ours, and the caller chooses what they cost.
LONGEST_PATH = 300
_UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_METHODS = _UNSAFE_METHODS | {"GET", "HEAD", "OPTIONS"}
# What Django's error pages come as; everything else is an answer somebody meant.
_PAGE_TYPES = frozenset({"text/html", "text/plain"})

_PROXY_HINT = (
    "X-Forwarded-Proto came in, but NTC_TRUSTED_PROXY_COUNT is 0: set it to the number of "
    "proxies in front, or https is taken for http and all callers for one."
)

log = logging.getLogger("ntc_core.request")

GetResponse = Callable[[HttpRequest], Any]


class _Middleware:
    """Call `handle` around the next layer, whether that is a function or a coroutine."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self.answer_async(request) if self.is_async else self.answer(request)

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        raise NotImplementedError

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        raise NotImplementedError


class RequestIdMiddleware(_Middleware):
    """Give the request an id and put it into the response, logs, jobs and error bodies.

    An `X-Request-ID` that comes in is kept if it is 8 to 64 letters, digits, dots, underscores
    or hyphens; anything else is replaced by a new UUIDv7, because the id is written to logs.

    Outermost, it also sees every response: each tells browsers to guess no content type and
    (NTC_CONTENT_SECURITY_POLICY) to load nothing from elsewhere, and those under NTC_API_PREFIXES
    to keep no copy, unless a view says otherwise by `Cache-Control`. And it sees every request
    before anybody reads its cookies: those whose names are not plain ASCII are dropped.
    """

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Bind the id for the time of the request."""
        _drop_disguised_cookies(request)
        request_id = _request_id_of(request)
        with bind_request_id(request_id), bind_request(request), _span_of(request) as traced:
            response = cast("HttpResponseBase", self.get_response(request))
            _tell_end(traced, request, response)
        return _finished(request, response, request_id)

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same under ASGI."""
        _drop_disguised_cookies(request)
        request_id = _request_id_of(request)
        with bind_request_id(request_id), bind_request(request), _span_of(request) as traced:
            response = cast("HttpResponseBase", await self.get_response(request))
            _tell_end(traced, request, response)
        return _finished(request, response, request_id)


class RequestLogMiddleware(_Middleware):
    """Write one line per request: method, path without the query, status, time, user.

    And one error per process where a proxy that NTC_TRUSTED_PROXY_COUNT does not know of stands
    in front: its https is not believed, so SECURE_SSL_REDIRECT redirects for ever.
    """

    has_told_of_proxy = False

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Log after the response is made."""
        started = time.perf_counter()
        response = cast("HttpResponseBase", self.get_response(request))
        self._log(request, response, started)
        return response

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same under ASGI."""
        started = time.perf_counter()
        response = cast("HttpResponseBase", await self.get_response(request))
        self._log(request, response, started)
        return response

    def _log(self, request: HttpRequest, response: HttpResponseBase, started: float) -> None:
        _log_request(request, response, started)
        is_proxied = "X-Forwarded-Proto" in request.headers
        if is_proxied and core_settings.TRUSTED_PROXY_COUNT < 1 and not self.has_told_of_proxy:
            self.has_told_of_proxy = True
            log.error("request.proxy_not_trusted", extra={"hint": _PROXY_HINT})


class EnvelopeErrorsMiddleware(_Middleware):
    """Replace Django's HTML error pages by the envelope, its DEBUG pages included.

    Under NTC_API_PREFIXES always, elsewhere unless the client asks for HTML, so that a browser
    on /admin/ still gets pages. Logging and `got_request_exception` have happened by then.
    Domain errors of plain Django views become what they are in REST framework's. And it refuses,
    with a sentence that helps, what would end badly further in: a NUL character in the URL, a
    body without a length, a POST to a URL without its last slash.
    """

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        """Refuse a body that REST framework would silently ignore, having no length."""
        has_length = bool(request.META.get("CONTENT_LENGTH"))
        if "Transfer-Encoding" not in request.headers or has_length:
            return None
        is_rest_view = issubclass(getattr(view, "cls", object), APIView)
        return json_error(HTTPStatus.LENGTH_REQUIRED) if is_rest_view else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer a domain error of a view outside REST framework, and a database that is away.

        The latter before Django does: with DEBUG its page would ask the database for the
        contents of every queryset in the traceback.
        """
        if not wants_envelope(request):
            return None
        if isinstance(error, NtcError):
            return json_error_of(error)
        if not is_database_unavailable(error):
            return None
        response = database_unavailable()
        log_response(
            "%s: %s",
            response.reason_phrase,
            request.path,
            response=response,
            request=request,
            exception=error,
        )
        return response

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Turn an error page into JSON."""
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        return _as_envelope(request, cast("HttpResponseBase", self.get_response(request)))

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same under ASGI."""
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        return _as_envelope(request, cast("HttpResponseBase", await self.get_response(request)))


def _drop_disguised_cookies(request: HttpRequest) -> None:
    """Take out of the Cookie header what a sub-domain could pass off as a `__Host-` cookie.

    A browser takes the name "U+2000 __Host-…" from any sub-domain, for to it that is not the
    prefix. Django applies `str.strip()` to names, which removes U+2000, U+00A0, U+0085 and some
    control characters, and then it is. RFC 6265, 4.1.1: a name is a token, plain ASCII.
    """
    parts = request.META.get("HTTP_COOKIE", "").split(";")
    plain = [part for part in parts if _has_plain_name(part)]
    if len(plain) < len(parts):
        request.META["HTTP_COOKIE"] = ";".join(plain)


def _has_plain_name(part: str) -> bool:
    name, equals, _ = part.partition("=")
    # Without "=" it is a value that has no name, to browsers and to Django.
    bare = name.strip(" \t")
    return not equals or (bare.isascii() and bare.isprintable())


def _request_id_of(request: HttpRequest) -> str:
    given = request.headers.get(REQUEST_ID_HEADER, "")
    return given if _ACCEPTED_REQUEST_ID.fullmatch(given) else new_request_id()


def _span_of(request: HttpRequest) -> AbstractContextManager[Span]:
    """Trace the request, unless it is one of those that come every few seconds."""
    if request.path.startswith(_QUIET_PATHS):
        return nullcontext(Span())
    return span(_method_of(request), kind="server", http__request__method=_method_of(request))


def _tell_end(traced: Span, request: HttpRequest, response: HttpResponseBase) -> None:
    """Name the span by the route: the path is somebody's."""
    match = request.resolver_match
    if match is not None:
        traced.rename(f"{_method_of(request)} /{match.route}")
        traced.tell(http__route=f"/{match.route}")
    traced.tell(http__response__status_code=response.status_code)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        traced.fail(str(response.status_code))


def _method_of(request: HttpRequest) -> str:
    # The caller writes it.
    return request.method if request.method in _METHODS else "_OTHER"


def _finished(
    request: HttpRequest, response: HttpResponseBase, request_id: str
) -> HttpResponseBase:
    response.headers[REQUEST_ID_HEADER] = request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if policy := core_settings.CONTENT_SECURITY_POLICY:
        response.headers.setdefault("Content-Security-Policy", policy)
    if request.path.startswith(tuple(core_settings.API_PREFIXES)):
        # With cookies nothing else tells a shared cache that an answer is one person's, nor a
        # browser that the next one at the machine must not go back to it.
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _log_request(request: HttpRequest, response: HttpResponseBase, started: float) -> None:
    quiet = request.path.startswith(_QUIET_PATHS) and response.status_code < HTTPStatus.BAD_REQUEST
    log.log(
        logging.DEBUG if quiet else logging.INFO,
        "request.finished",
        extra={
            "method": request.method,
            "path": mask_text(request.path, longest=LONGEST_PATH),
            "status": response.status_code,
            "duration_ms": round((time.perf_counter() - started) * 1000, 1),
            "user": _known_user(request),
        },
    )


def _known_user(request: HttpRequest) -> str | None:
    """Return the public id of the user, without asking the database for it."""
    user = getattr(request, "user", None)
    if isinstance(user, LazyObject) and user._wrapped is empty:  # noqa: SLF001 - looking must not load it
        return None
    if user is None or not user.is_authenticated:
        return None
    return str(getattr(user, "uid", None) or user.pk)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a request that must not go further in, else None."""
    if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        # PostgreSQL refuses NUL with an exception.
        return json_error(HTTPStatus.BAD_REQUEST, message="The URL has a NUL character.")
    if request.method in _UNSAFE_METHODS and not request.path_info.endswith("/"):
        return _refusal_of_missing_slash(request)
    return None


def _refusal_of_missing_slash(request: HttpRequest) -> HttpResponse | None:
    """Return a 404 that names the right URL.

    CommonMiddleware would redirect, which turns a POST into a GET; with DEBUG it raises.
    """
    with_slash = f"{request.path_info}/"
    if (
        not settings.APPEND_SLASH
        or is_valid_path(request.path_info)
        or not is_valid_path(with_slash)
    ):
        return None
    return json_error(HTTPStatus.NOT_FOUND, message="Not found: the URL must end with a slash.")


def _as_envelope(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code < HTTPStatus.BAD_REQUEST or response.streaming:
        return response
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if content_type not in _PAGE_TYPES or not wants_envelope(request):
        return response
    replaced = json_error(response.status_code)
    for name, value in response.headers.items():
        if not name.lower().startswith("content-"):
            replaced.headers[name] = value
    replaced.cookies = cast("HttpResponse", response).cookies
    # Django's own mark: the traceback is in the log, a second line would say less.
    replaced._has_been_logged = getattr(response, "_has_been_logged", False)  # type: ignore[attr-defined]  # noqa: SLF001
    return replaced
