"""Write events, give them their numbers, wake the sockets; issue and redeem tickets."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models.functions import Now

from ntc_core.auth.models import AuthSession
from ntc_core.auth.selectors import filter_live
from ntc_core.realtime import wakeups
from ntc_core.realtime.conf import KIB, realtime_settings
from ntc_core.realtime.errors import TicketInvalid
from ntc_core.realtime.models import (
    RealtimeConnection,
    RealtimeEvent,
    RealtimeStream,
    RealtimeTicket,
)
from ntc_core.realtime.streams import require_name

if TYPE_CHECKING:
    from django.db.models import QuerySet

__all__ = [
    "LARGEST_EVENT",
    "Event",
    "close_connection",
    "close_inactive",
    "close_sessions",
    "issue_ticket",
    "number_events",
    "open_connection",
    "publish",
    "redeem_ticket",
    "spend_ticket",
]

log = logging.getLogger(__name__)

LARGEST_EVENT = 16 * KIB
#: More than these the sockets read from the rows: the channel layer is no place for megabytes.
MOST_IN_A_HINT = 20
#: A connection whose process has not said for so long that it is open, is not.
UNSEEN = timedelta(seconds=60)
#: 256 bits: nobody guesses one within its 30 seconds.
_TICKET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Event:
    """A numbered event, as clients get it."""

    seq: int
    event: str
    data: Any
    at: str

    @classmethod
    def of(cls, row: RealtimeEvent) -> Event:
        """Return a row's event; the row has its number."""
        at = row.created_at.isoformat().replace("+00:00", "Z")
        return cls(seq=row.seq or 0, event=row.event, data=row.data, at=at)


def publish(stream: str, event: str, data: Mapping[str, Any]) -> None:
    """Write an event in the caller's transaction; sockets of the stream get it after the commit.

    Args:
        stream: its name; `stream_of(user)` for all sockets of a user.
        event: what happened, such as "payment.updated".
        data: plain values that JSON has, and dates, decimals and UUIDs. Clients may get it up to
            REALTIME_KEEP_HOURS later: prefer ids and states to texts about people.

    Raises:
        ValueError: no name, values that JSON does not have, or more than 16 KiB.
    """
    require_name(stream, what="a stream")
    require_name(event, what="an event")
    RealtimeEvent.objects.create(stream=stream, event=event, data=_plain(data))
    transaction.on_commit(partial(send_out, stream), robust=True)


def send_out(stream: str) -> None:
    """Number the committed events of a stream and hand them to its sockets."""
    events = number_events(stream)
    if len(events) > MOST_IN_A_HINT:
        wakeups.wake_stream(stream, [])
    elif events:
        wakeups.wake_stream(stream, events)


def number_events(stream: str) -> list[Event]:
    """Give committed events without a number theirs; return these events, in order.

    Whoever comes first does it: who wrote them, another who wrote to the stream, or a socket
    that looks what it missed because the process of the first died.
    """
    waiting = RealtimeEvent.objects.filter(stream=stream, seq=None)
    if not waiting.exists():
        return []
    with transaction.atomic():
        RealtimeStream.objects.get_or_create(name=stream)
        counter = RealtimeStream.objects.select_for_update().get(name=stream)
        rows = list(waiting.order_by("id"))
        for row in rows:
            counter.last_seq += 1
            row.seq = counter.last_seq
        RealtimeEvent.objects.bulk_update(rows, ["seq"])
        counter.save(update_fields=["last_seq", "updated_at"])
    return [Event.of(row) for row in rows]


def _plain(data: Mapping[str, Any]) -> Any:
    """Return the data as JSON has it, the same for who is there and for who comes back."""
    try:
        text = json.dumps(data, cls=DjangoJSONEncoder, allow_nan=False)
        plain = json.loads(text)
        # What takes less than JSON: whole numbers of 64 bits, 254 levels, no half characters. A
        # row that cannot be sent would end every socket that comes to it.
        orjson.dumps({"data": plain})
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The data of an event must be plain JSON values: {error}.") from error
    if len(text) > LARGEST_EVENT:
        raise ValueError(
            f"An event of {len(text)} bytes is larger than {LARGEST_EVENT}. Send the id of what "
            "changed; the client fetches it."
        )
    if "\\u0000" in text:
        raise ValueError("The data of an event must not contain NUL characters.")
    return plain


# Tickets.


def issue_ticket(*, session: AuthSession) -> str:
    """Return a new ticket that opens one socket for this session within 30 seconds."""
    ticket = secrets.token_urlsafe(_TICKET_BYTES)
    lifetime = timedelta(seconds=realtime_settings.REALTIME_TICKET_SECONDS)
    # The clock of the database: the machine that redeems it may have another than ours.
    RealtimeTicket.objects.create(
        session=session, token_hash=_hash(ticket), expires_at=Now() + lifetime
    )
    return ticket


def redeem_ticket(ticket: str) -> AuthSession:
    """Spend a ticket and return its session, with the user.

    Raises:
        TicketInvalid: unknown, spent, too old, or its session is over: which of these is for
            the log. It is spent in any case.
    """
    row = RealtimeTicket.objects.filter(token_hash=_hash(ticket)).only("session_id").first()
    if row is None or not spend_ticket(ticket):
        raise TicketInvalid
    sessions = filter_live(AuthSession.objects.filter(pk=row.session_id))
    session = sessions.select_related("user").defer("user__password").first()
    if session is None:
        raise TicketInvalid
    return session


def spend_ticket(ticket: str) -> bool:
    """Make a ticket useless; return whether it would have opened a socket."""
    fresh = RealtimeTicket.objects.filter(token_hash=_hash(ticket), used_at=None)
    return bool(fresh.filter(expires_at__gt=Now()).update(used_at=Now()))


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


# Open sockets.


def open_connection(*, session: AuthSession, path: str) -> RealtimeConnection:
    """Note an open socket. If the user has too many, the oldest are closed.

    A phone whose network drops leaves sockets behind that look open for a while: refusing
    the new one would lock out exactly who is there.
    """
    with transaction.atomic():
        people = type(session.user)._base_manager.select_for_update(no_key=True)  # noqa: SLF001 - Django's name
        people.filter(pk=session.user_id).values_list("pk").first()
        seen = _list_open().filter(user_id=session.user_id).order_by("-id")
        spare = realtime_settings.REALTIME_SOCKETS_PER_USER - 1
        oldest = list(seen.values_list("pk", flat=True)[max(spare, 0) :])
        RealtimeConnection.objects.filter(pk__in=oldest).delete()
        connection = RealtimeConnection.objects.create(
            user_id=session.user_id, session=session, path=path, seen_at=Now()
        )
        if oldest:
            transaction.on_commit(partial(wakeups.close_connections, oldest), robust=True)
    return connection


def close_connection(pk: int) -> None:
    """Forget a socket that is closed."""
    RealtimeConnection.objects.filter(pk=pk).delete()


def _list_open() -> QuerySet[RealtimeConnection]:
    return RealtimeConnection.objects.filter(seen_at__gt=Now() - UNSEEN)


def close_sessions(sender: type[Any], uids: Iterable[UUID], **_: Any) -> None:  # noqa: ARG001 - a signal's receiver
    """Close the sockets of sessions that end, once that is committed (signal receiver)."""
    ended = list(uids)
    if ended:
        transaction.on_commit(partial(wakeups.close_sessions, ended), robust=True)


def close_inactive(sender: type[Any], instance: Any, created: bool = False, **_: Any) -> None:  # noqa: ARG001, FBT001, FBT002 - a signal's receiver
    """Close the sockets of a user who was just deactivated (signal receiver)."""
    if created or instance.is_active:
        return
    sessions = AuthSession.objects.filter(user_id=instance.pk, revoked_at=None)
    close_sessions(AuthSession, sessions.values_list("uid", flat=True))
