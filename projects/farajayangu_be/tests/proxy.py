"""A road to PostgreSQL that can be cut, or swallow everything without a word."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

__all__ = ["Proxy", "proxy_to"]


class Proxy:
    """Passes bytes between its clients and one server for as long as it is told to."""

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        self.port = int(listener.getsockname()[1])
        self.silent = False
        #: Nobody gets through, as on a phone without a network.
        self.away = False
        self._listener = listener
        self._target = target
        self._sockets: list[socket.socket] = []

    def accept_for_ever(self) -> None:
        """Serve until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.away:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def cut(self) -> None:
        """Break every connection that there is."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sockets.clear()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.silent:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(url: str) -> Iterator[tuple[Proxy, str]]:
    """Stand before the server of the URL; yield the proxy and the URL that leads through it."""
    parts = urlsplit(url)
    target = (parts.hostname or "127.0.0.1", parts.port or 5432)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener, target)
        threading.Thread(target=proxy.accept_for_ever, daemon=True).start()
        try:
            user = parts.netloc.rpartition("@")[0]
            netloc = f"{user}@127.0.0.1:{proxy.port}" if user else f"127.0.0.1:{proxy.port}"
            yield proxy, parts._replace(netloc=netloc).geturl()
        finally:
            proxy.cut()
