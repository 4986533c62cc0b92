"""Serve an ASGI application on a port of its own, for tests that open real sockets.

    with run_asgi_server(application) as server:
        connect(f"{server.socket_url}/ws/", …)

Needs uvicorn and websockets. The test has to be transactional: the server's threads have
database connections of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["AsgiServer", "run_asgi_server"]

START_SECONDS = 10


@dataclass(frozen=True)
class AsgiServer:
    """Where it listens."""

    port: int
    _server: Any

    def stop(self) -> None:
        """Begin to stop, as after SIGTERM."""
        self._server.should_exit = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


@contextmanager
def run_asgi_server(application: Any, *, port: int = 0) -> Iterator[AsgiServer]:
    """Serve until the block ends; a port of 0 is one that is free."""
    import uvicorn  # noqa: PLC0415 - only these tests need it

    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=port,
        log_config=None,
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)

    thread = threading.Thread(target=server.run, name="asgi-server", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield AsgiServer(server.servers[0].sockets[0].getsockname()[1], server)
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)


def _await_start(server: Any, thread: threading.Thread) -> None:
    waiting = threading.Event()
    for _ in range(START_SECONDS * 100):
        if server.started:
            return
        if not thread.is_alive():
            break
        waiting.wait(0.01)
    raise RuntimeError("The ASGI server did not start; its log says why.")
