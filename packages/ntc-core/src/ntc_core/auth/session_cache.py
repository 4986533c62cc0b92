"""Believe a session that was checked a moment ago, and never one that has ended since.

Off unless NTC_SESSION_CACHE_SECONDS says how long. A session that ends leaves a mark in the
cache, once its transaction is committed and before the caller gets an answer. An entry is
only ever added where there is nothing, so a slow request that read the session before it
ended cannot write over the mark.

Saving a user through the ORM drops the entries of that user; `QuerySet.update()` sends no
signal, so what it changes is seen after NTC_SESSION_CACHE_SECONDS at the latest.

With the cache away every request asks the database, as if there were no cache. A mark that
cannot be written is logged as `auth.session_cache.unmarked`: entries that come back with the
cache are believed for NTC_SESSION_CACHE_SECONDS from when they were made, and no longer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.cache import BaseCache, caches
from django.db import transaction

from ntc_core.auth.conf import auth_settings
from ntc_core.auth.models import AuthSession

__all__ = ["find_cached", "forget_sessions", "forget_user", "remember"]

log = logging.getLogger(__name__)

_ASK = "ask the database"
#: A mark outlives every request that may have read the session before it ended.
_MARK_SECONDS = 300


def find_cached(uid: UUID) -> AuthSession | None:
    """Return the session, with its user, if it may be believed without a query."""
    if not auth_settings.SESSION_CACHE_SECONDS:
        return None
    try:
        entry = _cache().get(_key(uid))
    except Exception:  # every backend has exceptions of its own
        log.warning("auth.session_cache.away", exc_info=True)
        return None
    return entry if isinstance(entry, AuthSession) else None


def remember(session: AuthSession) -> None:
    """Keep a session that was just found to be live, unless it has ended since."""
    seconds = auth_settings.SESSION_CACHE_SECONDS
    if not seconds:
        return
    try:
        _cache().add(_key(session.uid), session, timeout=seconds)
    except Exception:  # every backend has exceptions of its own
        log.warning("auth.session_cache.away", exc_info=True)


def forget_sessions(uids: Iterable[UUID]) -> None:
    """Mark these sessions as ended, once the running transaction is committed."""
    if not auth_settings.SESSION_CACHE_SECONDS:
        return
    seconds = max(_MARK_SECONDS, auth_settings.SESSION_CACHE_SECONDS)
    marks = {_key(uid): _ASK for uid in uids}

    def mark() -> None:
        try:
            _cache().set_many(marks, timeout=seconds)
        except Exception:  # every backend has exceptions of its own
            log.exception("auth.session_cache.unmarked", extra={"sessions": len(marks)})

    if marks:
        transaction.on_commit(mark, robust=True)


def forget_user(sender: type[Any], instance: Any, created: bool = False, **_: Any) -> None:  # noqa: ARG001, FBT001, FBT002 - a signal's receiver
    """Drop what is cached with this user, who was just saved or deleted."""
    if created or not auth_settings.SESSION_CACHE_SECONDS:
        return
    sessions = AuthSession.objects.filter(user_id=instance.pk, revoked_at=None)
    forget_sessions(sessions.values_list("uid", flat=True))


def _cache() -> BaseCache:
    return caches[auth_settings.SESSION_CACHE]


def _key(uid: UUID) -> str:
    return f"ntc.auth.session:{uid.hex}"
