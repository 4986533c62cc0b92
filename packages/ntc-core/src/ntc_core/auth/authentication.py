"""Authenticate API requests by the access token in the Authorization header."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.models import AuthSession
from ntc_core.auth.selectors import get_live_session
from ntc_core.auth.tokens import read

__all__ = ["JWTAuthentication"]

KEYWORD = b"bearer"


class JWTAuthentication(BaseAuthentication):
    """Set `request.user` and, as `request.auth`, the session; one query in all.

    The session is asked every time, so signing out, deactivating and deleting work at once.
    """

    def authenticate(self, request: Request) -> tuple[Any, AuthSession] | None:
        """Return None when there is no bearer token: somebody else may know the caller."""
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != KEYWORD:
            return None
        if len(parts) != 2:  # noqa: PLR2004 - the keyword and the token
            raise AuthenticationFailed(
                "The Authorization header must be 'Bearer' and one token.", code=TokenInvalid.code
            )
        try:
            claims = read(parts[1].decode("latin-1"), token_type="access")  # noqa: S106 - a type
            session = get_live_session(claims=claims)
        except TokenInvalid as error:
            raise AuthenticationFailed(error.message, code=error.code) from error
        return session.user, session

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        """Return the WWW-Authenticate header, without which DRF would answer 403."""
        return "Bearer"
