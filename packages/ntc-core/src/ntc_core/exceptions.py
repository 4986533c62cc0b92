"""Turn everything that can go wrong with a request into the error envelope.

`exception_handler` is DRF's, `handler400` … `handler500` and `csrf_failure` are Django's.
A bug stays a bug: database errors and the like are not swallowed; Django logs them and
answers through `handler500`: 500, or 503 when it was the database that could not serve us.

No import of `rest_framework.views` at the top: it may be what is importing this module.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import csrf as django_csrf
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.fields import get_error_detail
from rest_framework.response import Response

from ntc_core.conf import core_settings
from ntc_core.envelope import (
    INVALID_MESSAGE,
    Envelope,
    ErrorItem,
    code_for_status,
    error_envelope,
    flatten_errors,
    message_for_status,
)
from ntc_core.errors import NtcError, RateLimited
from ntc_core.renderers import encode_json

__all__ = [
    "csrf_failure",
    "database_unavailable",
    "exception_handler",
    "handler400",
    "handler403",
    "handler404",
    "handler500",
    "is_database_unavailable",
    "json_error",
    "json_error_of",
    "wants_envelope",
]


#: When a caller may try again after the database was away.
RETRY_AFTER_SECONDS = 5

# SQLite says "no such table" by the class that elsewhere means "try again": what may pass by
# itself is BUSY, LOCKED, IOERR and CANTOPEN.
_PASSING_SQLITE_CODES = frozenset({5, 6, 10, 14})
_SQLITE_PRIMARY_CODE = 0xFF


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the envelope of what a DRF view raised, or None for a bug.

    The transaction of ATOMIC_REQUESTS is rolled back, as DRF does it.
    """
    if isinstance(exc, NtcError):
        status = exc.http_status
        body = _single_error(exc.code, exc.message, exc.attr)
        headers = _headers_of(exc, authenticate=_authenticate_header(context))
    else:
        translated = _as_api_exception(exc)
        if translated is None:
            return None
        status = translated.status_code
        body = _api_exception_envelope(translated)
        headers = {}
        if header := getattr(translated, "auth_header", None):
            headers["WWW-Authenticate"] = header
        if wait := getattr(translated, "wait", None):
            refusal = getattr(context.get("request"), "rate_limit_error", None)
            headers |= refusal.headers if refusal is not None else {}
            headers["Retry-After"] = str(max(1, math.ceil(wait)))

    from rest_framework.views import set_rollback  # noqa: PLC0415 - see above

    set_rollback()
    return Response(body, status=status, headers=headers)


def wants_envelope(request: HttpRequest) -> bool:
    """Tell whether an error page must be JSON: an API path, or a client that is no browser."""
    if request.path.startswith(tuple(core_settings.API_PREFIXES)):
        return True
    accept = request.headers.get("Accept", "")
    return "text/html" not in accept and "application/xhtml+xml" not in accept


def is_database_unavailable(error: BaseException | None) -> bool:
    """Tell a database that cannot serve us now from one that we asked nonsense."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return code is None or code & _SQLITE_PRIMARY_CODE in _PASSING_SQLITE_CODES


def database_unavailable() -> HttpResponse:
    """Return the 503 that says when to come back."""
    response = json_error(HTTPStatus.SERVICE_UNAVAILABLE)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def json_error(status: int, *, code: str | None = None, message: str | None = None) -> HttpResponse:
    """Return the error envelope as a plain Django response, for code outside DRF."""
    code = code or code_for_status(status)
    return _as_http_response(_single_error(code, message or message_for_status(status)), status)


def json_error_of(error: NtcError) -> HttpResponse:
    """Return a domain error as a plain Django response, for views outside DRF."""
    response = _as_http_response(
        _single_error(error.code, error.message, error.attr), error.http_status
    )
    for name, value in _headers_of(error, authenticate="Bearer").items():
        response.headers[name] = value
    return response


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request Django itself refused: bad host, broken multipart, too many fields."""
    if not wants_envelope(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent):
        return json_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return json_error(HTTPStatus.BAD_REQUEST)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a `PermissionDenied` from outside DRF."""
    if not wants_envelope(request):
        return defaults.permission_denied(request, exception)
    return json_error(HTTPStatus.FORBIDDEN)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown URL."""
    if not wants_envelope(request):
        return defaults.page_not_found(request, exception)
    return json_error(HTTPStatus.NOT_FOUND)


def handler500(request: HttpRequest) -> HttpResponse:
    """Answer an unhandled exception; its traceback is in the log under the request id.

    503 when the database is away, full, or had us wait too long: the same may work shortly.
    """
    if not wants_envelope(request):
        return defaults.server_error(request)
    if is_database_unavailable(sys.exception()):
        return database_unavailable()
    return json_error(HTTPStatus.INTERNAL_SERVER_ERROR)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a failed CSRF check; set it as CSRF_FAILURE_VIEW."""
    if not wants_envelope(request):
        return django_csrf.csrf_failure(request, reason)
    return json_error(
        HTTPStatus.FORBIDDEN,
        code="csrf_failed",
        message="The CSRF token is missing or wrong. Reload the page and try again.",
    )


def _as_api_exception(exc: Exception) -> drf.APIException | None:
    if isinstance(exc, drf.APIException):
        return exc
    if isinstance(exc, Http404):
        # Its text names the model ("No Plan matches the given query."): not for callers.
        return drf.NotFound()
    if isinstance(exc, PermissionDenied):
        return drf.PermissionDenied(*exc.args)
    if isinstance(exc, DjangoValidationError):
        return drf.ValidationError(get_error_detail(exc))
    if isinstance(exc, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent):
        return _TooLarge()
    return None


class _TooLarge(drf.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = message_for_status(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    default_code = code_for_status(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _api_exception_envelope(exc: drf.APIException) -> Envelope:
    detail = exc.detail
    if (
        isinstance(detail, Mapping)
        and isinstance(detail.get("detail"), str)
        and not isinstance(exc, drf.ValidationError)
    ):
        # simplejwt: {"detail": "Token is expired", "code": "token_not_valid", "messages": […]}
        text: Any = detail["detail"]
        code = detail.get("code") or getattr(text, "code", None) or exc.default_code
        return _single_error(str(code), str(text))
    if isinstance(detail, Mapping | list | tuple):
        errors = flatten_errors(detail, default_code=exc.default_code)
        if not errors:
            return _single_error(str(exc.default_code), INVALID_MESSAGE)
        return error_envelope(_message_of(errors), errors)
    return _single_error(str(detail.code or exc.default_code), str(detail))


def _message_of(errors: list[ErrorItem]) -> str:
    """Return the first error that concerns the whole input, else a general sentence."""
    for error in errors:
        if error["attr"] is None:
            return error["detail"]
    return INVALID_MESSAGE


def _single_error(code: str, message: str, attr: str | None = None) -> Envelope:
    return error_envelope(message, [ErrorItem(code=code, detail=message, attr=attr)])


def _as_http_response(envelope: Envelope, status: int) -> HttpResponse:
    body = encode_json(envelope)
    response = HttpResponse(body, status=status, content_type="application/json")
    # The middleware that would add it may be further in than our caller.
    response.headers["Content-Length"] = str(len(body))
    return response


def _headers_of(error: NtcError, *, authenticate: str) -> dict[str, str]:
    if isinstance(error, RateLimited):
        return {**error.headers, "Retry-After": str(max(1, math.ceil(error.retry_after_seconds)))}
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": authenticate}
    return {}


def _authenticate_header(context: Mapping[str, Any]) -> str:
    view, request = context.get("view"), context.get("request")
    header = view.get_authenticate_header(request) if view is not None else None
    return header or "Bearer"
