"""End sessions: sign out here, everywhere, from another device, by staff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from ntc_core.auth.audit import record_event
from ntc_core.auth.models import AuthSession, EndReason, RefreshRecord
from ntc_core.auth.session_cache import forget_sessions
from ntc_core.auth.signals import sessions_ended
from ntc_core.auth.tokens import read
from ntc_core.auth.users import end_django_sessions

if TYPE_CHECKING:
    from django.db.models import QuerySet

__all__ = ["delete_sessions", "end_session", "end_sessions", "sign_out", "sign_out_everywhere"]


def sign_out(*, refresh_token: str, reason: EndReason = EndReason.LOGOUT) -> None:
    """End the session of this token, spent or not; its access tokens stop working at once.

    To end a session that is over already is no error.

    Raises:
        TokenInvalid: not a refresh token of ours, or past its end.
    """
    claims = read(refresh_token, token_type="refresh")  # noqa: S106 - a type, not a secret
    end_sessions(AuthSession.objects.filter(uid=claims.session_uid), reason=reason)
    record_event(
        "auth.logout",
        session=claims.session_uid,
        subject=claims.subject,
        reason=reason.value,
    )


def sign_out_everywhere(
    *,
    user: Any,
    except_session: AuthSession | None = None,
    reason: EndReason = EndReason.LOGOUT_ALL,
) -> int:
    """End every session of the user, but for `except_session`; return how many ended.

    The admin's too, which is Django's and not counted, if the model has `users.SessionUserMixin`.
    """
    end_django_sessions(user)
    sessions = AuthSession.objects.filter(user=user)
    if except_session is not None:
        sessions = sessions.exclude(pk=except_session.pk)
    ended = end_sessions(sessions, reason=reason)
    record_event("auth.logout_all", user=user, sessions=ended, reason=reason.value)
    return ended


def end_session(session: AuthSession, *, reason: EndReason) -> bool:
    """End this session; return whether it was still open."""
    ended = end_sessions(AuthSession.objects.filter(pk=session.pk), reason=reason)
    record_event("auth.logout", session=session, reason=reason.value)
    return bool(ended)


def end_sessions(sessions: QuerySet[AuthSession], *, reason: EndReason) -> int:
    """End those of the sessions that are open, for every process at once; return how many."""
    now = timezone.now()
    open_sessions = sessions.filter(revoked_at=None)
    uids = list(open_sessions.values_list("uid", flat=True))
    ended = AuthSession.objects.filter(uid__in=uids, revoked_at=None).update(
        revoked_at=now, revoked_reason=reason, updated_at=now
    )
    forget_sessions(uids)
    sessions_ended.send(sender=AuthSession, uids=uids)
    return ended


def delete_sessions(sender: type[Any], instance: Any, **_: Any) -> None:
    """Delete the sessions of a user who is about to be deleted (signal receiver).

    Django would collect the rows first and delete them later; a sign-in or refresh between
    would leave one behind that refers to nobody. In the order user, session, token each of
    these either is finished before, or waits and finds nothing.
    """
    with transaction.atomic():
        people = sender._base_manager.select_for_update()  # noqa: SLF001 - Django's documented name
        people.filter(pk=instance.pk).values_list("pk").first()
        sessions = AuthSession.objects.select_for_update().filter(user_id=instance.pk)
        uids = dict(sessions.values_list("pk", "uid"))
        RefreshRecord.objects.filter(session__in=uids).delete()
        AuthSession.objects.filter(pk__in=uids).delete()
        forget_sessions(uids.values())
        sessions_ended.send(sender=AuthSession, uids=list(uids.values()))
