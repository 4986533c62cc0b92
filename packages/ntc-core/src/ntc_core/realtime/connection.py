"""One open socket: what goes out, what comes in, and why it ends.

The messages are JSON texts; docs/guides/realtime.md describes them for those who write clients.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    MutableMapping,
)
from contextlib import asynccontextmanager
from dataclasses import asdict
from enum import Enum
from typing import Any, ParamSpec, TypeVar

import orjson
from django.db import Error as DatabaseError

from ntc_core.errors import NtcError, Unavailable
from ntc_core.realtime import services
from ntc_core.realtime.conf import realtime_settings
from ntc_core.realtime.errors import TicketInvalid
from ntc_core.realtime.handshake import SUBPROTOCOL, Admitted, admit, read_opening, refuse
from ntc_core.realtime.hub import Hub, get_hub, in_database_thread, in_handler_thread
from ntc_core.realtime.selectors import Watched, is_live, last_seq_of, list_after
from ntc_core.realtime.services import Event
from ntc_core.realtime.wakeups import connection_topic, session_topic, stream_topic

__all__ = ["Close", "Socket", "serve_socket"]

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
P = ParamSpec("P")
T = TypeVar("T")

#: Messages that wait for a slow client. Events beyond are read from the rows once it takes more.
_OUTBOX_SIZE = 100
_RATE_SECONDS = 10
_PAGE = 100


class Close(Enum):
    """Why we close a socket: code and reason of RFC 6455, 4000 to 4999 are ours.

    After `ENDED` its user has to sign in; after the others a client comes back with a new
    ticket, and later each time.
    """

    RENEW = 4001, "The socket has lived its time. Open another one with a new ticket."
    ENDED = 4401, "The session is over. Sign in again."
    SLOW = 4408, "The client took no data."
    REPLACED = 4409, "Its user opened too many sockets; this was the oldest."
    RATE = 4429, "Too many messages."
    BINARY = 1003, "Messages are texts."
    TOO_BIG = 1009, "The message is too long."
    FAILED = 1011, "Something went wrong on our side."


async def serve_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket from its handshake to its end (an ASGI application)."""
    if (await receive())["type"] != "websocket.connect":
        return
    try:
        async with _open(scope, receive, send) as socket:
            await socket.run()
    except NtcError as error:
        log.info("realtime.refused", extra={"error": error.code})
        await refuse(scope, send, error)
    except OSError:
        log.debug("realtime.gone_already", exc_info=True)  # before it was accepted


@asynccontextmanager
async def _open(scope: Scope, receive: Receive, send: Send) -> AsyncIterator[Socket]:
    """Admit the client, have the hub know its socket, and forget both in the end.

    Raises:
        NtcError: it is not admitted.
    """
    hub = get_hub()
    if len(hub.sockets) >= realtime_settings.REALTIME_SOCKETS_PER_PROCESS:
        raise Unavailable("Too many sockets are open here. Try again in a moment.")
    admitted = await _ask(admit, read_opening(scope))
    socket = Socket(admitted, receive=receive, send=send)
    try:
        await hub.join(socket)
        # Only now: what happens from here on, the hub tells us.
        await socket.look_where_it_is()
        yield socket
    finally:
        # The server may cancel us at any point; the row and the hub are to be right after it.
        await asyncio.shield(_forget(hub, socket))


async def _ask(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what asks the database, before there is a socket that could be closed.

    Raises:
        NtcError: its own, or what a client may know of another error.
    """
    try:
        return await in_database_thread(function)(*args, **kwargs)
    except NtcError:
        raise
    except DatabaseError as error:
        log.exception("realtime.handshake_failed")
        raise Unavailable from error
    except Exception as error:  # of a handler of an app
        log.exception("realtime.handshake_failed")
        raise _Failed from error


async def _forget(hub: Hub, socket: Socket) -> None:
    hub.leave(socket)
    try:
        await in_database_thread(services.close_connection)(socket.pk)
    except DatabaseError:
        log.warning("realtime.connection_left", exc_info=True)  # it soon does not count


class _Failed(NtcError):
    code = "server_error"
    http_status = 500
    message = Close.FAILED.value[1]


class Socket:
    """An accepted connection. Everything but the handler's methods runs in the event loop."""

    def __init__(self, admitted: Admitted, *, receive: Receive, send: Send) -> None:
        self.handler = admitted.handler
        self.stream = admitted.stream
        self.pk = admitted.connection.pk
        self.session_uid = admitted.handler.session.uid
        self.topics = (
            stream_topic(self.stream),
            session_topic(self.session_uid),
            connection_topic(self.pk),
        )
        self._receive = receive
        self._send = send
        self._after = admitted.after
        #: The number of the last event that was sent, and of the last there was when it began.
        self._seq = self._seq_at_start = 0
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_OUTBOX_SIZE)
        #: Events are in the rows that are not in `_outbox`.
        self._behind = False
        self._closing: asyncio.Future[Close] = asyncio.get_running_loop().create_future()
        self._received_at: list[float] = []

    # What the hub says; never waits.

    def notify(self, hint: Mapping[str, Any]) -> None:
        """Act upon a hint of the channel layer."""
        match hint["type"]:
            case "ntc.events":
                for event in hint["events"]:
                    self._offer(event)
                if not hint["events"]:
                    self._look_again()
            case "ntc.ended":
                self.close(Close.ENDED)
            case "ntc.replaced":
                self.close(Close.REPLACED)

    def compare(self, truth: Watched) -> None:
        """Act upon what the database says."""
        if self.session_uid not in truth.live_sessions:
            self.close(Close.ENDED)
        elif self.pk not in truth.open_connections:
            self.close(Close.REPLACED)
        elif truth.last_seqs.get(self.stream, 0) > self._seq:
            self._look_again()

    def close(self, why: Close) -> None:
        """End the socket; the first reason counts."""
        if not self._closing.done():
            self._closing.set_result(why)

    def _offer(self, event: dict[str, Any]) -> None:
        try:
            self._outbox.put_nowait({"type": "event", **event})
        except asyncio.QueueFull:
            self._behind = True

    def _look_again(self) -> None:
        self._behind = True
        if self._outbox.empty():
            self._outbox.put_nowait({})  # wakes the writer

    # Its life.

    async def look_where_it_is(self) -> None:
        """Read where the stream is; for a session that ended in the meantime, nowhere.

        Raises:
            TicketInvalid: it ended before the hub would have told us.
            Unavailable: the database does not answer.
        """
        self._seq_at_start = await _ask(last_seq_of, self.stream)
        self._seq = self._seq_at_start if self._after is None else self._after
        if not await _ask(is_live, self.session_uid):
            raise TicketInvalid

    async def run(self) -> None:
        """Accept, say hello, send what was missed, then pass on until somebody has enough."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        log.info("realtime.opened", extra=self._whose())
        renewal = loop.call_later(realtime_settings.socket_seconds, self.close, Close.RENEW)
        tasks = [self._spawn(self._write()), self._spawn(self._read())]
        try:
            ends: list[asyncio.Future[Any]] = [*tasks, self._closing]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            renewal.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            why = await self._say_why()
            seconds = round(loop.time() - began)
            log.info("realtime.closed", extra={**self._whose(), "why": why, "seconds": seconds})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except OSError:
                log.debug("realtime.gone_already", exc_info=True)  # as ASGI says it
            except Exception:
                log.exception("realtime.socket_failed", extra=self._whose())
                self.close(Close.FAILED)

        return asyncio.create_task(guarded())

    async def _say_why(self) -> str:
        """Send the close frame, if it is us who end it; return the reason in a word."""
        if not self._closing.done():
            self._closing.cancel()
            return "gone"
        why = self._closing.result()
        code, reason = why.value
        try:
            async with asyncio.timeout(1):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception:
            log.debug("realtime.gone_already", exc_info=True)
        return why.name.lower()

    def _whose(self) -> dict[str, Any]:
        return {"session": str(self.session_uid), "connection": self.pk}

    # What goes out. There is one writer, so events keep their order.

    async def _write(self) -> None:
        heartbeat = realtime_settings.REALTIME_HEARTBEAT_SECONDS
        begin = self._seq_at_start
        await self._send_text({"type": "hello", "seq": begin, "heartbeat_seconds": heartbeat})
        if self._seq > begin:
            # Numbers of another database, or of a stream that was forgotten.
            await self._send_gap(begin)
        self._behind = self._behind or self._seq < begin
        while True:
            if self._behind and self._outbox.empty():
                self._behind = False
                await self._catch_up()
            try:
                async with asyncio.timeout(heartbeat):
                    message = await self._outbox.get()
            except TimeoutError:
                message = {"type": "heartbeat", "seq": self._seq}
            await self._write_one(message)

    async def _write_one(self, message: dict[str, Any]) -> None:
        if message.get("type") != "event":
            if message:
                await self._send_text(message)
        elif message["seq"] == self._seq + 1:
            self._seq += 1
            await self._send_text(message)
        elif message["seq"] > self._seq:
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Send the events after the last one from the rows."""
        sent = 0
        while True:
            events: list[Event] = await in_database_thread(list_after)(
                self.stream, self._seq, limit=_PAGE
            )
            for event in events:
                if event.seq != self._seq + 1:
                    await self._send_gap(event.seq - 1)
                self._seq = event.seq
                await self._send_text({"type": "event", **asdict(event)})
            sent += len(events)
            if 0 < len(events) < _PAGE:
                return
            if not events or sent >= realtime_settings.REALTIME_BACKLOG:
                last = await in_database_thread(last_seq_of)(self.stream)
                if last > self._seq:
                    await self._send_gap(last)
                return

    async def _send_gap(self, seq: int) -> None:
        """Say that events up to this one are not sent: the client fetches what it shows anew."""
        self._seq = seq
        await self._send_text({"type": "gap", "seq": seq})

    async def _send_text(self, message: Mapping[str, Any]) -> None:
        text = orjson.dumps(message).decode()
        try:
            async with asyncio.timeout(realtime_settings.REALTIME_SEND_SECONDS):
                await self._send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self.close(Close.SLOW)

    # What comes in.

    async def _read(self) -> None:
        while not self._closing.done():
            frame = await self._receive()
            if frame["type"] == "websocket.disconnect":
                return
            text = frame.get("text")
            if text is None:
                self.close(Close.BINARY)
            elif len(text.encode()) > realtime_settings.REALTIME_MESSAGE_BYTES:
                self.close(Close.TOO_BIG)
            elif self._too_fast():
                self.close(Close.RATE)
            else:
                await self._outbox.put(await self._answer(text))

    def _too_fast(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._received_at = [at for at in self._received_at if at > now - _RATE_SECONDS]
        self._received_at.append(now)
        return len(self._received_at) > realtime_settings.REALTIME_MESSAGES_PER_10_SECONDS

    async def _answer(self, text: str) -> dict[str, Any]:
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return _error("invalid", "Expected one JSON object.")
        match message:
            case {"type": "ping"}:
                return {"type": "pong"}
            case {"type": "message", "id": str() | int() as reply_to, **rest}:
                return await self._hand_over(rest.get("data"), reply_to)
        return _error("invalid", "Expected {type: 'ping'} or {type: 'message', id, data}.")

    async def _hand_over(self, data: Any, reply_to: str | int) -> dict[str, Any]:
        try:
            reply = await in_handler_thread(self.handler.receive)(data)
            message = {"type": "reply", "id": reply_to, "data": reply}
            orjson.dumps(message)
        except NtcError as error:
            return {**_error(error.code, error.message), "id": reply_to}
        except Exception:  # of a handler of an app: the socket goes on
            log.exception("realtime.handler_failed", extra=self._whose())
            return {**_error("server_error", Close.FAILED.value[1]), "id": reply_to}
        return message


def _error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message}
