"""A company on a real socket that answers, or fails to, as a test says. Standard library."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["BREAKS", "HttpPeer", "HttpReply", "ReceivedRequest", "free_port", "http_peer"]

#: Ways in which no whole answer comes back. "silent" ends with `HttpPeer.let_go()`.
BREAKS = ("silent", "closed", "reset", "half a status line", "half a body", "drip")
_DRIP_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class HttpReply:
    """What the company answers; or, where `breaks` is one of `BREAKS`, how it does not."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks: str = ""

    @classmethod
    def json(cls, body: Any, *, status: int = 200, **headers: str) -> HttpReply:
        """Return a JSON answer; `retry_after="7"` is the header Retry-After."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(
            status=status,
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **named},
        )


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """One request as it arrived; `target` is path and query, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


class HttpPeer:
    """A running company."""

    def __init__(self, answer: Callable[[ReceivedRequest], HttpReply]) -> None:
        self.answer = answer
        self.requests: list[ReceivedRequest] = []
        self.base_url = ""
        self.gone = threading.Event()

    def let_go(self) -> None:
        """Answer at last whoever waits in silence."""
        self.gone.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    peer: HttpPeer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""

    def _serve(self) -> None:
        received = ReceivedRequest(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        self.peer.requests.append(received)
        reply = self.peer.answer(received)
        with suppress(OSError):
            self._answer(reply)

    def _answer(self, reply: HttpReply) -> None:
        if reply.breaks == "silent":
            self.peer.gone.wait(timeout=60)
        elif reply.breaks:
            self.close_connection = True
            self._break(reply)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _break(self, reply: HttpReply) -> None:
        if reply.breaks == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif reply.breaks == "half a status line":
            self.wfile.write(b"HTTP/1.1 20")
        elif reply.breaks == "half a body":
            head = (
                b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
            )
            self.wfile.write(head % reply.status + reply.body[: len(reply.body) // 2])
        elif reply.breaks == "drip":
            # Each byte just in time: a time-out per read would never end.
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not self.peer.gone.wait(_DRIP_SECONDS):
                self.wfile.write(b"x")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a caller who hung up first."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def http_peer(answer: Callable[[ReceivedRequest], HttpReply] | HttpReply) -> Iterator[HttpPeer]:
    """Serve on a free port of 127.0.0.1 until the block ends.

    Args:
        answer: one reply for all, or a function of the request.
    """
    peer = HttpPeer((lambda _: answer) if isinstance(answer, HttpReply) else answer)
    handler = type("Handler", (_Handler,), {"peer": peer})
    server = _Server(("127.0.0.1", 0), handler)
    peer.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        peer.let_go()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
