"""The three cookies of a session in a browser.

    __Host-ntc_access      HttpOnly, SameSite=Lax      the access token
    __Secure-ntc_refresh   HttpOnly, SameSite=Strict   the refresh token, for auth/ only
    __Host-ntc_csrf        readable by our own pages   what X-CSRF-Token repeats

A prefix is a browser's promise: `__Host-` is only accepted from this very host, for all its
paths; the refresh cookie has a path and therefore cannot have it. With DEBUG, on plain http,
both the prefixes and `Secure` are left out.

A name that comes twice was set by somebody else as well, a sub-domain for its parent; which
of the two is ours the header does not say, so neither is read. `middleware` has dropped names
that only look like ours.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase
    from rest_framework.request import Request

    from ntc_core.auth.services import SignedIn

__all__ = [
    "access_cookie",
    "clear_cookies",
    "cookie_name",
    "csrf_cookie",
    "has_header",
    "refresh_cookie",
    "set_cookies",
    "set_csrf_cookie",
]

_PREFIX = {"access": "__Host-", "refresh": "__Secure-", "csrf": "__Host-"}
_SAME_SITE = {"access": "Lax", "refresh": "Strict", "csrf": "Strict"}


def cookie_name(kind: str) -> str:
    """Return the name of the cookie "access", "refresh" or "csrf"."""
    return f"{'' if settings.DEBUG else _PREFIX[kind]}ntc_{kind}"


def has_header(request: HttpRequest | Request) -> bool:
    """Tell whether there is an Authorization header: then no cookie of ours is looked at."""
    return "HTTP_AUTHORIZATION" in request.META


def access_cookie(request: HttpRequest | Request) -> str:
    """Return the access token of the browser, or ""; always "" beside an Authorization header."""
    return _read(request, "access")


def refresh_cookie(request: HttpRequest | Request) -> str:
    """Return the refresh token of the browser, or ""; always "" beside an Authorization header."""
    return _read(request, "refresh")


def csrf_cookie(request: HttpRequest | Request) -> str:
    """Return the CSRF token of the browser, or ""; always "" beside an Authorization header."""
    return _read(request, "csrf")


def set_cookies(response: HttpResponseBase, signed_in: SignedIn, *, csrf_token: str) -> None:
    """Put both tokens, and the CSRF token of their session, into the browser."""
    _set(response, "access", signed_in.access, expires_at=signed_in.access_expires_at)
    _set(response, "refresh", signed_in.refresh, expires_at=signed_in.refresh_expires_at)
    set_csrf_cookie(response, csrf_token, expires_at=signed_in.refresh_expires_at)


def set_csrf_cookie(response: HttpResponseBase, token: str, *, expires_at: datetime) -> None:
    """Put the CSRF token of a session into the browser."""
    _set(response, "csrf", token, expires_at=expires_at)


def clear_cookies(response: HttpResponseBase) -> None:
    """Take all three out of the browser."""
    for kind in _PREFIX:
        _set(response, kind, "", expires_at=None)


def _read(request: HttpRequest | Request, kind: str) -> str:
    if has_header(request):
        return ""
    name = cookie_name(kind)
    parts = request.META.get("HTTP_COOKIE", "").split(";")
    if [part.partition("=")[0].strip() for part in parts if "=" in part].count(name) > 1:
        return ""
    value: str = request.COOKIES.get(name, "")
    return value


def _set(response: HttpResponseBase, kind: str, value: str, *, expires_at: datetime | None) -> None:
    """Set it, or with `expires_at` None delete it: a browser wants the same attributes for that."""
    options: dict[str, Any] = {
        "max_age": max(0, int((expires_at - timezone.now()).total_seconds())) if expires_at else 0,
        "path": _auth_path() if kind == "refresh" else "/",
        "secure": not settings.DEBUG,
        "httponly": kind != "csrf",
        "samesite": _SAME_SITE[kind],
    }
    response.set_cookie(cookie_name(kind), value, **options)


def _auth_path() -> str:
    """Return where auth.urls is mounted: `/api/v1/auth/` in most projects."""
    return reverse("auth-refresh").removesuffix("refresh/")
