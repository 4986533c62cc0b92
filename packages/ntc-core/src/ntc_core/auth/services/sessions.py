"""Sign in, and ask what a token is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import auth as django_auth
from django.contrib.auth.models import update_last_login
from django.db import transaction
from django.utils import timezone

from ntc_core.auth.audit import record_event
from ntc_core.auth.conf import auth_settings
from ntc_core.auth.errors import CredentialsInvalid, TokenInvalid
from ntc_core.auth.guards import guard_login
from ntc_core.auth.models import AuthSession
from ntc_core.auth.selectors import find_record, get_live_session, require_live
from ntc_core.auth.services.refreshing import SignedIn, new_record, tokens_of
from ntc_core.auth.tokens import Claims, new_jti, read
from ntc_core.client import client_address, network_of, user_agent_of
from ntc_core.models import new_uid

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest
    from rest_framework.request import Request

__all__ = ["authenticate", "get_owner", "sign_in", "verify_token"]


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
        CredentialsInvalid: the user is inactive or gone, or the password was changed since
            it was compared.
    """
    if not user.is_active:
        raise CredentialsInvalid
    now = timezone.now()
    session = AuthSession(
        uid=new_uid(),
        user=user,
        authenticated_at=now,
        last_used_at=now,
        expires_at=now + timedelta(seconds=auth_settings.SESSION_SECONDS),
        **_device_of(request),
    )
    jti = new_jti()
    record = new_record(session, jti=jti, now=now)
    signed_in = tokens_of(session, jti=jti, record=record)
    with transaction.atomic():
        _require_unchanged(user)
        session.save(force_insert=True)
        record.session = session
        record.save(force_insert=True)
        update_last_login(sender=type(user), user=user)
    record_event("auth.login.ok", user=user, session=session, request=request)
    return signed_in


def _require_unchanged(user: Any) -> None:
    """Lock the user, who must be as they were when the password was compared.

    Comparing takes a good part of a second. Without this, somebody who knows the old password
    and keeps signing in would get a session that outlives its change: opened after the
    change ended all the others.
    """
    people = type(user)._base_manager.select_for_update(no_key=True)  # noqa: SLF001 - Django's name
    current = people.filter(pk=user.pk, is_active=True).values_list("password", flat=True).first()
    if current is None or current != user.password:
        raise CredentialsInvalid


def verify_token(
    text: str, *, token_types: Sequence[str] = ("access", "refresh")
) -> tuple[Claims, AuthSession]:
    """Return what a token says, and its session, if that goes on.

    A refresh token is judged by its session too, spent or not: to whom has stolen one, "spent"
    would say that the owner has refreshed, and that to use it now would give the theft away.

    Raises:
        TokenInvalid: forged, past its end, of none of these types, or the session is over.
    """
    claims = _read_any(text, token_types=token_types)
    return claims, get_live_session(claims=claims)


def get_owner(*, refresh_token: str) -> AbstractBaseUser:
    """Return the user whom a refresh token stands for, if it could still be spent.

    Raises:
        TokenInvalid: it could not: what an old log holds must not sign its owner out.
    """
    claims = read(refresh_token, token_type="refresh")  # noqa: S106 - a type, not a secret
    record = find_record(jti=claims.jti)
    if record is None or record.used_at is not None:
        raise TokenInvalid
    require_live(record.session, claims=claims)
    return record.session.user


def _read_any(text: str, *, token_types: Sequence[str]) -> Claims:
    for token_type in token_types:
        try:
            return read(text, token_type=token_type)
        except TokenInvalid:
            continue
    raise TokenInvalid


def _device_of(request: HttpRequest | Request | None) -> dict[str, str]:
    """Return what helps people recognise their device, and no more than that."""
    if request is None:
        return {}
    return {
        "user_agent": user_agent_of(request),
        "ip_prefix": network_of(client_address(request)),
    }
