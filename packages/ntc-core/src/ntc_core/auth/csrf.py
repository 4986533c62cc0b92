"""Is it our own front end that sends these cookies?

A browser attaches cookies to calls that any page makes, so a call with cookies that changes
something has to show more than them (docs/decisions/0007-cookies-and-csrf.md):

1. Where it comes from: `Sec-Fetch-Site`, else `Origin`. Our own origin and those in
   CSRF_TRUSTED_ORIGINS may; a sub-domain of the same site that is not listed may not.
2. A header of its own, `X-CSRF-Token`, which no other origin can send without our leave.
   It holds the token of the session, equal to the cookie that only our host can set.
3. JSON, which no HTML form can send.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from django.conf import settings
from django.http.request import split_domain_port
from django.utils.crypto import salted_hmac
from django.utils.http import is_same_domain

from ntc_core.auth.errors import CsrfFailed

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

__all__ = [
    "HEADER",
    "is_csrf_token",
    "new_csrf_token",
    "require_csrf_token",
    "require_header",
    "require_our_page",
]

HEADER = "X-CSRF-Token"
_JSON = "application/json"
_SHAPE = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{64}", re.ASCII)


def new_csrf_token(session_uid: UUID) -> str:
    """Return a token that is good for this session only. It is no secret to our own pages."""
    nonce = secrets.token_hex(16)
    return f"{nonce}.{_mac(session_uid, nonce, key=settings.SECRET_KEY)}"


def is_csrf_token(token: str, *, session_uid: UUID) -> bool:
    """Tell whether we made this token, for this session."""
    if not _SHAPE.fullmatch(token):
        return False
    nonce, _, mac = token.partition(".")
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(
        [hmac.compare_digest(mac, _mac(session_uid, nonce, key=key)) for key in keys]  # noqa: C419 - all of them, in like time
    )


def require_csrf_token(request: HttpRequest | Request, *, session_uid: UUID, cookie: str) -> str:
    """Return the token in the header, if it is this session's and the cookie has the same.

    Raises:
        CsrfFailed: it is missing, another session's, or not what the cookie says.
    """
    token = request.headers.get(HEADER, "")
    if not is_csrf_token(token, session_uid=session_uid):
        raise CsrfFailed
    if not hmac.compare_digest(token.encode(), cookie.encode()):
        raise CsrfFailed
    return token


def require_header(request: HttpRequest | Request) -> None:
    """Demand the header with any value at all: before the sign-in there is no session to name.

    Raises:
        CsrfFailed: there is none.
    """
    if not request.headers.get(HEADER):
        raise CsrfFailed(f"Send the header {HEADER}; before the sign-in any value will do.")


def require_our_page(request: HttpRequest | Request, *, strict: bool) -> None:
    """Refuse what a browser says another site's page sends, and bodies a form could send.

    Args:
        strict: also refuse callers that say nothing of where they come from.

    Raises:
        CsrfFailed: one of that.
    """
    has_body = request.META.get("CONTENT_LENGTH") not in (None, "", "0")
    if has_body and request.META.get("CONTENT_TYPE", "").split(";")[0].strip() != _JSON:
        raise CsrfFailed("With cookies only application/json is accepted.")
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site == "same-origin":
        return
    if site == "cross-site":
        # Our cookies are SameSite, so they could not come along; nobody is let in without them.
        raise CsrfFailed("Cookies are for pages of the same site. Use tokens elsewhere.")
    if origin is not None:
        if not _is_ours(origin, request):
            raise CsrfFailed("This origin is not in CSRF_TRUSTED_ORIGINS.")
        return
    if site == "same-site" or strict:
        raise CsrfFailed("Neither Sec-Fetch-Site nor Origin says where this comes from.")


def _is_ours(origin: str, request: HttpRequest | Request) -> bool:
    """Tell whether this is our own origin or a listed one."""
    if origin == f"{request.scheme}://{request.get_host()}":
        return True
    try:
        parts = urlsplit(origin)
        host = parts.hostname
    except ValueError:
        return False
    if settings.DEBUG and host == split_domain_port(request.get_host())[0]:
        # A developer's front end is served from another port of the same machine.
        return True
    return any(_matches(parts, trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS)


def _matches(origin: SplitResult, trusted: str) -> bool:
    """Compare with an entry: an origin, or Django's `https://*.example.com`."""
    scheme, star, domain = trusted.partition("://*")
    if not star:
        return origin.geturl() == trusted
    return origin.scheme == scheme and is_same_domain(origin.netloc, domain)


def _mac(session_uid: UUID, nonce: str, *, key: Any) -> str:
    message = f"{session_uid.hex}.{nonce}"
    return salted_hmac("ntc_core.auth.csrf", message, secret=key, algorithm="sha256").hexdigest()
