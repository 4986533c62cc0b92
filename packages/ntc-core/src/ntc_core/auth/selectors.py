"""Reading sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from ntc_core.auth.conf import auth_settings
from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.models import AuthSession, RefreshRecord
from ntc_core.auth.session_cache import find_cached, remember
from ntc_core.auth.tokens import Claims, hash_jti

__all__ = [
    "filter_live",
    "find_live_session",
    "find_record",
    "get_live_session",
    "list_live_sessions",
    "require_live",
    "subject_of",
]


def subject_of(user: Any) -> str:
    """Return the `sub` claim of a user: the public `uid`, or the key of a model without one."""
    return str(getattr(user, "uid", user.pk))


def get_live_session(*, claims: Claims) -> AuthSession:
    """Return the session of a token, with its user, in at most one query.

    Raises:
        TokenInvalid: the session is over, or its user is gone, inactive or not the one
            the token names.
    """
    cached = find_cached(claims.session_uid)
    if cached is not None:
        require_live(cached, claims=claims)
        return cached
    # The hash of the password is nobody's business here, and must not get into a cache.
    sessions = AuthSession.objects.select_related("user").defer("user__password")
    session = sessions.filter(uid=claims.session_uid).first()
    if session is None:
        raise TokenInvalid
    require_live(session, claims=claims)
    remember(session)
    return session


def require_live(session: AuthSession, *, claims: Claims) -> None:
    """Refuse a token whose session is over.

    Raises:
        TokenInvalid: it is, or its user is inactive or not the one the token names.
    """
    if not session.is_live or not session.user.is_active:
        raise TokenInvalid
    if session.uid != claims.session_uid or subject_of(session.user) != claims.subject:
        raise TokenInvalid


def filter_live(sessions: QuerySet[AuthSession]) -> QuerySet[AuthSession]:
    """Return those that go on and whose user is active, as `require_live` judges one."""
    return sessions.filter(revoked_at=None, expires_at__gt=timezone.now(), user__is_active=True)


def find_record(*, jti: str) -> RefreshRecord | None:
    """Return the record of a refresh token with its session and user, in one query."""
    records = RefreshRecord.objects.select_related("session__user")
    return records.filter(jti_hash=hash_jti(jti)).first()


def list_live_sessions(*, user: Any) -> QuerySet[AuthSession]:
    """Return the signed-in devices of a user, the one that was used last first."""
    now = timezone.now()
    idle_since = now - timedelta(seconds=auth_settings.REFRESH_TOKEN_SECONDS)
    return AuthSession.objects.filter(
        user=user, revoked_at=None, expires_at__gt=now, last_used_at__gt=idle_since
    ).order_by("-last_used_at", "-pk")


def find_live_session(*, user: Any, uid: UUID) -> AuthSession | None:
    """Return this session if it is one of the user's signed-in devices."""
    return list_live_sessions(user=user).filter(uid=uid).first()
