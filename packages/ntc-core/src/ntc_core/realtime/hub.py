"""All sockets of one process: who carries what, the hints for them, and what hints forgot.

One subscription of the channel layer and one look at the database serve them all, so a socket
costs memory and nothing else while nothing happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from channels.db import DatabaseSyncToAsync
from channels.layers import get_channel_layer

from ntc_core.realtime import wakeups
from ntc_core.realtime.conf import realtime_settings
from ntc_core.realtime.selectors import Watched, watch

if TYPE_CHECKING:
    from ntc_core.realtime.connection import Socket

__all__ = ["Hub", "get_hub", "in_database_thread", "in_handler_thread"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Threads, each with a database connection of its own, that ask for all sockets.
_DATABASE_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="realtime-db")
#: Those that act upon messages: slow ones delay each other, but no handshake and no event.
_HANDLER_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="realtime-handler")
LAYER_SECONDS = 2


def in_database_thread(function: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Return the function for a coroutine: it runs in a thread that may use the ORM."""
    return _in_thread_of(_DATABASE_THREADS, function)


def in_handler_thread(function: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Return the same for an app's handler, which may take its time."""
    return _in_thread_of(_HANDLER_THREADS, function)


def _in_thread_of(
    threads: ThreadPoolExecutor, function: Callable[P, T]
) -> Callable[P, Awaitable[T]]:
    call: Callable[P, Awaitable[T]] = DatabaseSyncToAsync(
        function, thread_sensitive=False, executor=threads
    )
    return call


class Hub:
    """Belongs to one event loop, from the first socket to its end; only `watch` runs elsewhere."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self._by_topic: defaultdict[str, set[Socket]] = defaultdict(set)
        self._channel: str | None = None
        self._listening = asyncio.Event()
        #: The topics whose hints come to `_channel`; changed by one at a time.
        self._joined: set[str] = set()
        self._joining = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(self, socket: Socket) -> None:
        """See that the socket gets its hints; while the layer is away, what watching finds."""
        self.sockets.add(socket)
        for topic in socket.topics:
            self._by_topic[topic].add(socket)
        if not self._tasks:
            wakeups.serve_from(asyncio.get_running_loop())
            self._tasks = {
                asyncio.create_task(self._listen(), name="realtime-listen"),
                asyncio.create_task(self._watch(), name="realtime-watch"),
            }
        await self._subscribe()

    def leave(self, socket: Socket) -> None:
        """Forget the socket.

        The layer hears of it at the next look: thousands may leave at once, and a hint for
        nobody is dropped.
        """
        self.sockets.discard(socket)
        for topic in socket.topics:
            self._by_topic[topic].discard(socket)
            if not self._by_topic[topic]:
                del self._by_topic[topic]

    # Hints.

    async def _listen(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        while True:
            try:
                self._channel = await layer.new_channel()
                self._listening.set()
                await self._subscribe()
                while True:
                    self._pass_on(await layer.receive(self._channel))
            except Exception:  # every layer has exceptions of its own
                log.warning("realtime.layer_away", exc_info=True)
                self._unlisten()
                await asyncio.sleep(1)

    def _unlisten(self) -> None:
        self._listening.clear()
        self._channel = None
        self._joined.clear()

    def _pass_on(self, hint: dict[str, Any]) -> None:
        for socket in tuple(self._by_topic.get(hint["topic"], ())):
            socket.notify(hint)

    async def _subscribe(self) -> None:
        """Join the topics of all sockets and leave the others; `look` tries again what fails."""
        layer = get_channel_layer()
        if layer is None:
            return
        try:
            async with asyncio.timeout(LAYER_SECONDS), self._joining:
                await self._listening.wait()
                for topic in self._joined - self._by_topic.keys():
                    self._joined.discard(topic)
                    await layer.group_discard(topic, self._channel)
                for topic in self._by_topic.keys() - self._joined:
                    await layer.group_add(topic, self._channel)
                    self._joined.add(topic)
        except Exception:  # every layer has exceptions of its own
            log.warning("realtime.layer_away", exc_info=True)

    # What hints forgot.

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(realtime_settings.REALTIME_WATCH_SECONDS)
            try:
                await self.look()
            except Exception:  # the next round is another try
                log.exception("realtime.watch_failed")

    async def look(self) -> None:
        """Ask the database what is true, and tell every socket to which that is news."""
        await self._subscribe()
        sockets = tuple(self.sockets)
        if not sockets:
            return
        answer: Watched = await in_database_thread(watch)(
            sessions={socket.session_uid for socket in sockets},
            connections={socket.pk for socket in sockets},
            streams={socket.stream for socket in sockets},
        )
        for socket in sockets:
            socket.compare(answer)


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def get_hub() -> Hub:
    """Return the hub of the running loop."""
    loop = asyncio.get_running_loop()
    for closed in [known for known in _hubs if known.is_closed()]:
        del _hubs[closed]
    return _hubs.setdefault(loop, Hub())
