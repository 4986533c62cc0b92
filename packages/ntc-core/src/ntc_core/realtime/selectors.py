"""What a socket asks: where its stream is, what it missed, whether it may stay open."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models.functions import Now

from ntc_core.auth.models import AuthSession
from ntc_core.auth.selectors import filter_live
from ntc_core.realtime.models import RealtimeConnection, RealtimeEvent, RealtimeStream
from ntc_core.realtime.services import UNSEEN, Event, number_events

__all__ = ["Watched", "is_live", "last_seq_of", "list_after", "watch"]


def last_seq_of(stream: str) -> int:
    """Return the number of the last event that is committed; 0: there was none."""
    number_events(stream)
    seqs = RealtimeStream.objects.filter(name=stream).values_list("last_seq", flat=True)
    return seqs.first() or 0


def list_after(stream: str, seq: int, *, limit: int) -> list[Event]:
    """Return the events after this number, oldest first, as far as they are kept."""
    rows = RealtimeEvent.objects.filter(stream=stream, seq__gt=seq).order_by("seq")
    return [Event.of(row) for row in rows[:limit]]


def is_live(session_uid: UUID) -> bool:
    """Tell whether the session goes on and its user is active."""
    return filter_live(AuthSession.objects.filter(uid=session_uid)).exists()


@dataclass(frozen=True, slots=True)
class Watched:
    """What is true now of the sockets of one process."""

    live_sessions: set[UUID]
    open_connections: set[int]
    last_seqs: dict[str, int]


def watch(
    *, sessions: Collection[UUID], connections: Collection[int], streams: Collection[str]
) -> Watched:
    """Answer for all sockets of a process at once, and say that they are open.

    Five queries, however many sockets there are, and some for a stream whose writer died.
    """
    left = RealtimeEvent.objects.filter(stream__in=streams, seq=None)
    for stream in set(left.values_list("stream", flat=True)):
        number_events(stream)
    open_rows = RealtimeConnection.objects.filter(pk__in=connections)
    # Each is a write to two indexes: a third of the time after which they do not count is enough.
    open_rows.filter(seen_at__lt=Now() - UNSEEN / 3).update(seen_at=Now())
    seqs = RealtimeStream.objects.filter(name__in=streams).values_list("name", "last_seq")
    live = filter_live(AuthSession.objects.filter(uid__in=sessions))
    return Watched(
        live_sessions=set(live.values_list("uid", flat=True)),
        open_connections=set(open_rows.values_list("pk", flat=True)),
        last_seqs=dict(seqs),
    )
