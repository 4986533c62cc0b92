"""Sign in, refresh, sign out."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import auth as django_auth
from django.contrib.auth.models import update_last_login
from django.db import transaction
from django.utils import timezone

from ntc_core.auth.audit import record_event
from ntc_core.auth.conf import auth_settings
from ntc_core.auth.errors import CredentialsInvalid, TokenInvalid
from ntc_core.auth.guards import guard_login
from ntc_core.auth.models import AuthSession, EndReason
from ntc_core.auth.selectors import get_live_session, subject_of
from ntc_core.auth.tokens import Claims, hash_jti, mint, read
from ntc_core.models import new_uid
from ntc_core.throttling import client_address

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest
    from rest_framework.request import Request

__all__ = [
    "SignedIn",
    "authenticate",
    "end_session",
    "refresh",
    "sign_in",
    "sign_out",
    "sign_out_everywhere",
    "verify_token",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """The two tokens of a session, this once: they are stored nowhere."""

    access: str
    refresh: str
    access_expires_at: datetime
    refresh_expires_at: datetime
    session: AuthSession


def authenticate(
    *, identifier: str, password: str, request: HttpRequest | Request | None = None
) -> AbstractBaseUser:
    """Return the active user whose password this is.

    Django's `ModelBackend` hashes a password in every case, so the answer takes as long
    for unknown and inactive people.

    Raises:
        CredentialsInvalid: the same for an unknown, an inactive and a wrong-password user.
        RateLimited: too many tries have failed.
    """
    with guard_login(identifier=identifier, request=request):
        user = django_auth.authenticate(request, username=identifier, password=password)
        if user is None:
            raise CredentialsInvalid
        return user


def sign_in(*, user: Any, request: HttpRequest | Request | None = None) -> SignedIn:
    """Open a session for a user who has proven who they are.

    Raises:
        CredentialsInvalid: the user is inactive.
    """
    if not user.is_active:
        raise CredentialsInvalid
    now = timezone.now()
    session = AuthSession(
        uid=new_uid(),
        user=user,
        last_used_at=now,
        expires_at=now + timedelta(seconds=auth_settings.SESSION_SECONDS),
        **_device_of(request),
    )
    signed_in = _mint_pair(session, now=now)
    with transaction.atomic():
        session.save()
        update_last_login(sender=type(user), user=user)
    record_event("auth.login.ok", user=user, session=session, request=request)
    return signed_in


def refresh(*, refresh_token: str) -> SignedIn:
    """Spend a refresh token and return its successor.

    Raises:
        TokenInvalid: forged, expired or spent before, or the session or its user is over.
    """
    claims = read(refresh_token, token_type="refresh")  # noqa: S106 - a type, not a secret
    session = get_live_session(claims=claims)
    now = timezone.now()
    signed_in = _mint_pair(session, now=now)
    # The gate: of any number of concurrent calls with one token, one changes the row.
    spent = AuthSession.objects.filter(
        pk=session.pk,
        refresh_jti_hash=hash_jti(claims.jti),
        revoked_at__isnull=True,
        expires_at__gt=now,
    ).update(refresh_jti_hash=session.refresh_jti_hash, last_used_at=now, updated_at=now)
    if not spent:
        record_event("auth.refresh.refused", session=session, level=logging.WARNING)
        raise TokenInvalid
    log.info("auth.refresh.ok", extra={"session": str(session.uid)})
    return signed_in


def verify_token(
    text: str, *, token_types: Sequence[str] = ("access", "refresh")
) -> tuple[Claims, AuthSession]:
    """Return what a token says, and its session, if it would be accepted right now.

    Raises:
        TokenInvalid: it would be refused, or is of none of these types.
    """
    claims = _read_any(text, token_types=token_types)
    session = get_live_session(claims=claims)
    if claims.token_type == "refresh" and session.refresh_jti_hash != hash_jti(claims.jti):  # noqa: S105 - a type
        raise TokenInvalid
    return claims, session


def sign_out(*, refresh_token: str) -> None:
    """End the session of this token, spent or not; its access tokens stop working at once.

    To end a session that is over already is no error.

    Raises:
        TokenInvalid: not a refresh token of ours, or past its end.
    """
    claims = read(refresh_token, token_type="refresh")  # noqa: S106 - a type, not a secret
    _end(AuthSession.objects.filter(uid=claims.session_uid), reason=EndReason.LOGOUT)
    record_event("auth.logout", session=claims.session_uid, subject=claims.subject)


def sign_out_everywhere(
    *,
    user: Any,
    except_session: AuthSession | None = None,
    reason: EndReason = EndReason.LOGOUT_ALL,
) -> int:
    """End every session of the user, but for `except_session`; return how many ended."""
    sessions = AuthSession.objects.filter(user=user)
    if except_session is not None:
        sessions = sessions.exclude(pk=except_session.pk)
    ended = _end(sessions, reason=reason)
    record_event("auth.logout_all", user=user, sessions=ended, reason=reason.value)
    return ended


def end_session(session: AuthSession, *, reason: EndReason) -> bool:
    """End this session; return whether it was still open."""
    ended = _end(AuthSession.objects.filter(pk=session.pk), reason=reason)
    record_event("auth.logout", session=session, reason=reason.value)
    return bool(ended)


def _read_any(text: str, *, token_types: Sequence[str]) -> Claims:
    for token_type in token_types:
        try:
            return read(text, token_type=token_type)
        except TokenInvalid:
            continue
    raise TokenInvalid


def _end(sessions: Any, *, reason: EndReason) -> int:
    now = timezone.now()
    ended: int = sessions.filter(revoked_at__isnull=True).update(
        revoked_at=now, revoked_reason=reason, updated_at=now
    )
    return ended


def _mint_pair(session: AuthSession, *, now: datetime) -> SignedIn:
    """Make both tokens and note, on the unsaved instance, the refresh token's id."""
    subject = subject_of(session.user)
    access, access_claims = mint(
        token_type="access",  # noqa: S106 - a type, not a secret
        subject=subject,
        session_uid=session.uid,
        expires_at=min(
            now + timedelta(seconds=auth_settings.ACCESS_TOKEN_SECONDS), session.expires_at
        ),
    )
    refresh_token, refresh_claims = mint(
        token_type="refresh",  # noqa: S106 - a type, not a secret
        subject=subject,
        session_uid=session.uid,
        expires_at=min(
            now + timedelta(seconds=auth_settings.REFRESH_TOKEN_SECONDS), session.expires_at
        ),
    )
    session.refresh_jti_hash = hash_jti(refresh_claims.jti)
    return SignedIn(
        access=access,
        refresh=refresh_token,
        access_expires_at=access_claims.expires_at,
        refresh_expires_at=refresh_claims.expires_at,
        session=session,
    )


def _device_of(request: HttpRequest | Request | None) -> dict[str, str]:
    """Return what helps people recognise their device, and no more than that."""
    if request is None:
        return {}
    user_agent = request.META.get("HTTP_USER_AGENT", "")
    return {
        "user_agent": "".join(filter(str.isprintable, user_agent))[:200],
        "ip_prefix": _network_of(client_address(request)),
    }


def _network_of(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    bits = 24 if ip.version == 4 else 48  # noqa: PLR2004 - IPv4
    return str(ipaddress.ip_network((ip, bits), strict=False))
