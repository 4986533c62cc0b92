"""Hints to the processes that hold sockets, over the channel layer; what is true is in the rows.

A hint that is lost costs REALTIME_WATCH_SECONDS, nothing else. That is why a layer that is away
is a line in the log and no error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import async_to_sync

if TYPE_CHECKING:
    from ntc_core.realtime.services import Event

__all__ = [
    "close_connections",
    "close_sessions",
    "connection_topic",
    "serve_from",
    "session_topic",
    "stream_topic",
    "wake_stream",
]

log = logging.getLogger(__name__)

#: As long as a caller waits for a layer that does not answer.
SEND_SECONDS = 2
#: After that nobody else waits for a while: a transaction may tell a thousand people.
PAUSE_SECONDS = 5
#: When the layer is tried again, by the clock of `time.monotonic()`.
_paused_until = [0.0]

#: The loop that serves this process's sockets. The channel layer in memory only works from there.
_serving: list[asyncio.AbstractEventLoop] = []


def serve_from(loop: asyncio.AbstractEventLoop) -> None:
    """Send from this loop for as long as it runs."""
    _serving[:] = [loop]


def stream_topic(stream: str) -> str:
    return f"ntc.s.{stream}"


def session_topic(uid: UUID) -> str:
    return f"ntc.a.{uid.hex}"


def connection_topic(pk: int) -> str:
    return f"ntc.c.{pk}"


def wake_stream(stream: str, events: list[Event]) -> None:
    """Hand events to the sockets of a stream; none: there are new ones, look for them."""
    payload = [asdict(event) for event in events]
    _send([(stream_topic(stream), {"type": "ntc.events", "events": payload})])


def close_sessions(uids: Iterable[UUID]) -> None:
    """Close the sockets of these sessions."""
    _send([(session_topic(uid), {"type": "ntc.ended"}) for uid in uids])


def close_connections(pks: Iterable[int]) -> None:
    """Close these sockets, because their user opened too many."""
    _send([(connection_topic(pk), {"type": "ntc.replaced"}) for pk in pks])


def _send(hints: list[tuple[str, dict[str, Any]]]) -> None:
    if time.monotonic() < _paused_until[0]:
        return
    try:
        from channels.layers import get_channel_layer  # noqa: PLC0415 - an extra
    except ImportError:
        return  # this installation serves no sockets
    if get_channel_layer() is None:
        return
    serving = next((loop for loop in _serving if loop.is_running()), None)
    if serving is not None:
        asyncio.run_coroutine_threadsafe(_send_all(hints), serving)
    else:
        async_to_sync(_send_all)(hints)


async def _send_all(hints: list[tuple[str, dict[str, Any]]]) -> None:
    from channels.layers import get_channel_layer  # noqa: PLC0415 - an extra

    layer = get_channel_layer()
    began = time.monotonic()
    try:
        async with asyncio.timeout(SEND_SECONDS):
            for topic, hint in hints:
                await layer.group_send(topic, {**hint, "topic": topic})
    except Exception:  # every layer has exceptions of its own
        log.warning("realtime.not_woken", exc_info=True, extra={"hints": len(hints)})
        # It hangs. One that refuses at once, such as a Redis that restarts, costs nothing.
        if time.monotonic() - began > SEND_SECONDS / 2:
            _paused_until[0] = time.monotonic() + PAUSE_SECONDS
