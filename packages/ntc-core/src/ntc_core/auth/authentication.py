"""Authenticate API requests: by the access token in the Authorization header, else by cookie.

The header wins, and the two are never mixed: a request with any Authorization header is
not looked at for cookies, whatever the header is worth. A browser sends cookies by itself,
so with them an unsafe request has to pass `csrf` as well.
"""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from ntc_core.auth.cookies import access_cookie, csrf_cookie, has_header
from ntc_core.auth.csrf import require_csrf_token, require_our_page
from ntc_core.auth.errors import CsrfFailed, TokenInvalid
from ntc_core.auth.models import AuthSession
from ntc_core.auth.selectors import get_live_session
from ntc_core.auth.tokens import read

__all__ = ["JWTAuthentication"]

KEYWORD = b"bearer"


class JWTAuthentication(BaseAuthentication):
    """Set `request.user` and, as `request.auth`, the session; at most one query in all.

    The session is asked every time, so signing out, deactivating and deleting work at once.
    """

    #: Read by `ntc_core.schema`: an operation may answer 403 for want of a CSRF token.
    enforces_csrf = True

    def authenticate(self, request: Request) -> tuple[Any, AuthSession] | None:
        """Return None when there is no token of ours: somebody else may know the caller."""
        if has_header(request):
            return self._by_header(get_authorization_header(request))
        return self._by_cookie(request)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        """Return the WWW-Authenticate header, without which DRF would answer 403."""
        return "Bearer"

    def _by_header(self, header: bytes) -> tuple[Any, AuthSession] | None:
        parts = header.split()
        if not parts or parts[0].lower() != KEYWORD:
            return None
        if len(parts) != 2:  # noqa: PLR2004 - the keyword and the token
            raise AuthenticationFailed(
                "The Authorization header must be 'Bearer' and one token.", code=TokenInvalid.code
            )
        try:
            session = _session_of(parts[1].decode("latin-1"))
        except TokenInvalid as error:
            raise AuthenticationFailed(error.message, code=error.code) from error
        return session.user, session

    def _by_cookie(self, request: Request) -> tuple[Any, AuthSession] | None:
        token = access_cookie(request)
        if not token:
            return None
        try:
            session = _session_of(token)
        except TokenInvalid:
            # The browser sends it by itself, wherever it is from: that must not close what is
            # open to everybody. Elsewhere the answer is 401, "sign in first".
            return None
        if request.method not in SAFE_METHODS:
            try:
                require_our_page(request, strict=False)
                require_csrf_token(request, session_uid=session.uid, cookie=csrf_cookie(request))
            except CsrfFailed as error:
                raise PermissionDenied(error.message, code=error.code) from error
        return session.user, session


def _session_of(token: str) -> AuthSession:
    claims = read(token, token_type="access")  # noqa: S106 - a type, not a secret
    return get_live_session(claims=claims)
