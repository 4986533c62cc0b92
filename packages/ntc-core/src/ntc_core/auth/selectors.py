"""Reading sessions."""

from __future__ import annotations

from typing import Any

from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.models import AuthSession
from ntc_core.auth.tokens import Claims

__all__ = ["get_live_session", "subject_of"]


def subject_of(user: Any) -> str:
    """Return the `sub` claim of a user: the public `uid`, or the key of a model without one."""
    return str(getattr(user, "uid", user.pk))


def get_live_session(*, claims: Claims) -> AuthSession:
    """Return the session of a token, with its user, in one query.

    Raises:
        TokenInvalid: the session is over, or its user is gone, inactive or not the one
            the token names.
    """
    session = AuthSession.objects.select_related("user").filter(uid=claims.session_uid).first()
    if session is None or not session.is_live:
        raise TokenInvalid
    if not session.user.is_active or subject_of(session.user) != claims.subject:
        raise TokenInvalid
    return session
