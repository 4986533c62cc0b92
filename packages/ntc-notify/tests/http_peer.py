"""A company on a socket: it writes down every request and answers, late or never if told so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Call:
    method: str
    #: With the query, as it was on the wire.
    target: str
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Answered only after so many seconds, or when the peer is stopped.
    after_seconds: float = 0.0
    #: The connection is closed instead of an answer.
    cut: bool = False
    #: The body trickles, one byte each time this many seconds have gone by.
    drip_seconds: float = 0.0


class Peer:
    """A running company."""

    def __init__(self, answer: Callable[[Call], Answer]) -> None:
        self._answer = answer
        #: What comes before the company's usual answers, in order.
        self.next: list[Answer] = []
        self.calls: list[Call] = []
        self._stopped = threading.Event()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                call = Call(
                    method=self.command,
                    target=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                )
                peer.calls.append(call)
                self.close_connection = True
                peer.reply(self, peer.next.pop(0) if peer.next else peer._answer(call))

            do_POST = do_GET = handle_any  # noqa: N815 - the base class calls them

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def reply(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.after_seconds:
            self._stopped.wait(answer.after_seconds)
        if answer.cut:
            return
        try:
            handler.send_response(answer.status)
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(answer.body)))
            handler.send_header("Connection", "close")
            handler.end_headers()
            for byte in answer.body if answer.drip_seconds else ():
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                if self._stopped.wait(answer.drip_seconds):
                    return
            if not answer.drip_seconds:
                handler.wfile.write(answer.body)
        except OSError:
            pass  # nobody listens any more

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def run_peer(answer: Callable[[Call], Answer]) -> Iterator[Peer]:
    """Run a company on a free port of 127.0.0.1 until the block ends."""
    peer = Peer(answer)
    peer.start()
    try:
        yield peer
    finally:
        peer.stop()
