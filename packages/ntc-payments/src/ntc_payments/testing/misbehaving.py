"""A server on a real socket that does one wrong thing, always the same."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping

__all__ = ["MISBEHAVIOURS", "free_port", "misbehaving_server"]

_HTML = b"<html><body>Bad gateway</body></html>"

#: Name -> the bytes that are sent back before the connection is closed; None: silence.
MISBEHAVIOURS: dict[str, bytes | None] = {
    "hang": None,
    "closed": b"",
    "half a status line": b"HTTP/1.1 20",
    "truncated JSON": (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"a": '
    ),
    "broken JSON": (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n{"a": '
    ),
    "empty 200": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "JSON list": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[7]"
    ),
    "HTML 200": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_HTML), _HTML),
    "HTML 500": b"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_HTML), _HTML),
    "JSON 503": (
        b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    ),
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def misbehaving_server(
    name: str, *, well_answered: Mapping[str, bytes] | None = None
) -> Iterator[str]:
    """Serve that misbehaviour; yield the base URL.

    Args:
        well_answered: path -> JSON with which calls that only prepare are answered.
    """
    answers = {path.encode(): _ok(body) for path, body in (well_answered or {}).items()}
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                request = connection.recv(65536)
                path = b" ".join(request.split(b" ", 2)[1:2])
                answer = answers.get(path, MISBEHAVIOURS[name])
                if answer is None:
                    ended.wait(timeout=30)
                else:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        # A blocked accept() is not woken by close() alone.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def _ok(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body
