"""A company's server that misbehaves on real sockets, one connection at a time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator

Behaviour = Callable[["Conversation"], None]


class Conversation:
    """One accepted connection and what was read from it."""

    def __init__(self, connection: socket.socket, server: CompanyServer) -> None:
        self.connection = connection
        self.server = server

    def read_request(self) -> bytes:
        """Read one whole request and remember it."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._read_some()
        head, _, body = received.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += self._read_some()
        request = head + b"\r\n\r\n" + body
        self.server.requests.append(request)
        return request

    def _read_some(self) -> bytes:
        piece = self.connection.recv(65536)
        if not piece:
            raise ConnectionError("the caller hung up")
        return piece

    def answer(self, status: str, body: bytes = b"", *headers: str) -> None:
        """Write one whole answer."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def drip(self, piece: bytes, *, every_seconds: float) -> None:
        """Send a piece again and again until the other side has had enough."""
        while not self.server.closing.is_set():
            self.connection.sendall(piece)
            time.sleep(every_seconds)

    def hang(self) -> None:
        """Say nothing until the test is over."""
        self.server.closing.wait(60)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class CompanyServer:
    """Listens on 127.0.0.1 and treats every connection the same way."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.behaviour = behaviour
        self.tls = tls
        self.requests: list[bytes] = []
        self.closing = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """End every conversation."""
        self.closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                self.behaviour(Conversation(connection, self))


@contextlib.contextmanager
def company(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[CompanyServer]:
    """Run a company during the block."""
    server = CompanyServer(behaviour, tls)
    try:
        yield server
    finally:
        server.close()
