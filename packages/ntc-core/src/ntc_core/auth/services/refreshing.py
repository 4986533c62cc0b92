"""Refresh: one token, one successor, however many ask at the same moment.

A client that sends a token twice by accident (two tabs, a retry after a lost answer) gets
the successor of the first call again. A token that comes back later was copied: RFC 9700,
4.14.2 has the session ended, for the thief and the owner alike.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from ntc_core.auth.audit import record_event
from ntc_core.auth.conf import auth_settings
from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.models import AuthSession, EndReason, RefreshRecord
from ntc_core.auth.selectors import find_record, require_live, subject_of
from ntc_core.auth.services.ending import end_sessions
from ntc_core.auth.signals import refresh_reused
from ntc_core.auth.tokens import Claims, access_jti, hash_jti, mint, next_jti, read
from ntc_core.client import current_request, user_agent_of

__all__ = ["SignedIn", "new_record", "refresh", "tokens_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """The two tokens of a session. They are stored nowhere."""

    access: str
    refresh: str
    access_expires_at: datetime
    refresh_expires_at: datetime
    session: AuthSession


def refresh(*, refresh_token: str) -> SignedIn:
    """Spend a refresh token and return its successor.

    Must not run inside the caller's transaction: a rollback there would undo the end of a
    stolen session.

    Raises:
        TokenInvalid: forged, expired, spent before the grace window, or the session or its
            user is over.
        RuntimeError: called inside a transaction.
    """
    # A loser may wait long for the winner; how late it is counts from here.
    arrived_at = timezone.now()
    claims = read(refresh_token, token_type="refresh")  # noqa: S106 - a type, not a secret
    record = find_record(jti=claims.jti)
    if record is None:
        raise TokenInvalid
    require_live(record.session, claims=claims)
    if record.used_at is None:
        now = timezone.now()
        successor = new_record(record.session, jti=next_jti(claims.jti), now=now)
        if _spend(record, successor=successor, now=now):
            log.info("auth.refresh.ok", extra={"session": str(record.session.uid)})
            return tokens_of(record.session, jti=next_jti(claims.jti), record=successor)
        # Somebody was first, and has committed: the row lock made us wait for that.
        record = find_record(jti=claims.jti)
        if record is None:
            raise TokenInvalid
        require_live(record.session, claims=claims)
    return _again(record, claims=claims, arrived_at=arrived_at)


def new_record(session: AuthSession, *, jti: str, now: datetime) -> RefreshRecord:
    """Return the unsaved record of a refresh token that is made now."""
    expires_at = min(
        now + timedelta(seconds=auth_settings.REFRESH_TOKEN_SECONDS), session.expires_at
    )
    return RefreshRecord(
        session=session, jti_hash=hash_jti(jti), issued_at=now, expires_at=expires_at
    )


def tokens_of(session: AuthSession, *, jti: str, record: RefreshRecord) -> SignedIn:
    """Return the pair of tokens of a record; the same arguments give the same tokens."""
    common: dict[str, Any] = {
        "subject": subject_of(session.user),
        "session_uid": session.uid,
        "issued_at": record.issued_at,
        "auth_time": session.authenticated_at,
    }
    access_lifetime = timedelta(seconds=auth_settings.ACCESS_TOKEN_SECONDS)
    access, access_claims = mint(
        token_type="access",  # noqa: S106 - a type, not a secret
        jti=access_jti(jti),
        expires_at=min(record.issued_at + access_lifetime, session.expires_at),
        **common,
    )
    refresh_token, refresh_claims = mint(
        token_type="refresh",  # noqa: S106 - a type, not a secret
        jti=jti,
        expires_at=record.expires_at,
        session_expires_at=session.expires_at,
        **common,
    )
    return SignedIn(
        access=access,
        refresh=refresh_token,
        access_expires_at=access_claims.expires_at,
        refresh_expires_at=refresh_claims.expires_at,
        session=session,
    )


def _spend(record: RefreshRecord, *, successor: RefreshRecord, now: datetime) -> bool:
    """Exchange the record for its successor; return whether we were the one who did.

    Raises:
        TokenInvalid: the session ended meanwhile.
    """
    with transaction.atomic(durable=True):
        # The session before its tokens: everybody locks in this order, who deletes them too.
        live = AuthSession.objects.filter(
            pk=record.session_id, revoked_at=None, expires_at__gt=now
        ).update(last_used_at=now, updated_at=now)
        if not live:
            raise TokenInvalid
        # The gate: of any number of concurrent calls with one token, one changes the row.
        spent = RefreshRecord.objects.filter(pk=record.pk, used_at=None).update(used_at=now)
        if not spent:
            transaction.set_rollback(True)
            return False
        successor.save(force_insert=True)
    return True


def _again(record: RefreshRecord, *, claims: Claims, arrived_at: datetime) -> SignedIn:
    """Return the successor that this spent token already has, or end its session.

    The successor is the same even if it is spent itself by now: then it is within its own
    grace window, and leads on to the token that is current.

    Raises:
        TokenInvalid: it comes too late.
    """
    session = record.session
    age = arrived_at - (record.used_at or record.issued_at)
    grace = timedelta(seconds=auth_settings.REFRESH_GRACE_SECONDS)
    if not grace or age >= grace:
        _end_stolen(session)
        raise TokenInvalid
    jti = next_jti(claims.jti)
    successor = find_record(jti=jti)
    if successor is None:
        raise TokenInvalid
    log.info("auth.refresh.again", extra={"session": str(session.uid)})
    if _comes_from_elsewhere(session):
        # A thief within the window cannot be told from a second tab, but staff may see it.
        record_event("auth.refresh.shared", session=session, level=logging.WARNING)
    return tokens_of(session, jti=jti, record=successor)


def _comes_from_elsewhere(session: AuthSession) -> bool:
    """Tell whether another program is asking than the one that signed in."""
    request = current_request()
    return request is not None and user_agent_of(request) != session.user_agent


def _end_stolen(session: AuthSession) -> None:
    """End the session and tell of it, once."""
    with transaction.atomic(durable=True):
        if not end_sessions(AuthSession.objects.filter(pk=session.pk), reason=EndReason.REUSE):
            return
        record_event("auth.refresh.reuse", session=session, level=logging.WARNING)
        try:
            with transaction.atomic():
                refresh_reused.send(sender=AuthSession, session=session)
        except Exception:  # whatever a receiver does, the session must end
            log.exception("auth.refresh.reuse_untold", extra={"session": str(session.uid)})
