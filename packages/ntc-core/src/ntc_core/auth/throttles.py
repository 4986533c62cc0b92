"""The limit of refreshing: per address, and per session wherever its token comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ntc_core.auth.cookies import refresh_cookie
from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.tokens import read
from ntc_core.throttling import ScopedRateThrottle, limit_of

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

    from ntc_core.rate_limits import Limit

__all__ = ["RefreshRateThrottle"]


class RefreshRateThrottle(ScopedRateThrottle):
    """Count per caller, and per session the token belongs to, under `<scope>_account`.

    Only a token of ours names a session: nobody uses up the limit of a session by guessing.
    """

    def limits_of(self, request: Request, view: APIView) -> list[Limit | None]:
        """Return the limit of the caller, and of the session."""
        limits = super().limits_of(request, view)
        try:
            claims = read(_token_of(request), token_type="refresh")  # noqa: S106 - a type
        except TokenInvalid:
            return limits
        who = f"session:{claims.session_uid}"
        return [*limits, limit_of(f"{self.scope}_account", who=who)]


def _token_of(request: Request) -> str:
    body = request.data
    token = body.get("refresh") if isinstance(body, Mapping) else None
    return token if isinstance(token, str) else refresh_cookie(request)
