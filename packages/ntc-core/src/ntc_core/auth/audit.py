"""Record what happens to people's sign-ins: a log line and a row for staff, in one call.

The events of this package; a project may record its own beside them:

    auth.login.ok          auth.login.failed      auth.logout          auth.logout_all
    auth.refresh.reuse     auth.refresh.shared    auth.keys.rotated    auth.throttled
    code.issued            code.redeemed          code.refused

A refusal is recorded outside of any transaction, or the error that follows would take the
row back: who refuses must not be inside one (system check ntc_auth.E020 for whole requests).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import Error, connections, router
from django.dispatch import receiver

from ntc_core.auth.models import AuditEvent, AuthSession
from ntc_core.auth.selectors import subject_of
from ntc_core.client import client_address, current_request, network_of, user_agent_of
from ntc_core.masking import mask_value
from ntc_core.rate_limits import Limit, take
from ntc_core.request_id import get_request_id
from ntc_core.throttling import call_refused

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest
    from rest_framework.request import Request

__all__ = ["record_event"]

log = logging.getLogger(__name__)


def record_event(
    event: str,
    *,
    user: Any = None,
    session: AuthSession | UUID | None = None,
    subject: str = "",
    request: HttpRequest | Request | None = None,
    level: int = logging.INFO,
    **details: Any,
) -> None:
    """Log the event and add its row: one INSERT.

    Args:
        user: whom it concerns; the session's, if only that is given.
        session: the session, or its uid where the row is not at hand.
        subject: the user's public id, where the user is not at hand.
        request: where it came from; the one being answered, if none is given.
        details: further fields, masked in the log and in the row.
    """
    session_uid = session.uid if isinstance(session, AuthSession) else session
    if user is None and isinstance(session, AuthSession):
        user = session.user
    if user is not None:
        subject = subject_of(user)
    known = {"user": subject, "session": str(session_uid or "")}
    fields = {name: value for name, value in known.items() if value}
    log.log(level, event, extra={**details, **fields})
    request = request or current_request()
    row = AuditEvent(
        event=event,
        user=user,
        subject=subject,
        session_uid=session_uid,
        ip_prefix="" if request is None else network_of(client_address(request)),
        user_agent="" if request is None else user_agent_of(request),
        request_id=get_request_id(),
        details={name: mask_value(name, value) for name, value in details.items()},
    )
    _insert(row)


def _insert(row: AuditEvent) -> None:
    try:
        row.save(force_insert=True)
    except Error:
        # The log line is out. Inside a transaction nothing can go on, and nobody should hide it;
        # elsewhere an answer, such as a refusal, is worth more than its row.
        if connections[router.db_for_write(AuditEvent)].in_atomic_block:
            raise
        log.exception("auth.audit.lost", extra={"event_name": row.event})


@receiver(call_refused, dispatch_uid="ntc_auth.record_refused_call")
def record_refused_call(limit: Limit, **_: Any) -> None:
    """Record the first refusal of a limit within its window; a flood must not fill the table."""
    first = Limit(name="audit", who=limit.key, count=1, seconds=limit.seconds)
    if take(first).is_allowed:
        record_event("auth.throttled", level=logging.WARNING, limit=limit.name)


@receiver(user_logged_in, dispatch_uid="ntc_auth.record_admin_login")
def record_admin_login(user: Any, request: HttpRequest | None, **_: Any) -> None:
    """Record a sign-in by Django's own session: the admin's."""
    record_event("auth.login.ok", user=user, request=request, via="django")


@receiver(user_logged_out, dispatch_uid="ntc_auth.record_admin_logout")
def record_admin_logout(user: Any, request: HttpRequest | None, **_: Any) -> None:
    """Record the end of one."""
    record_event("auth.logout", user=user, request=request, via="django")
