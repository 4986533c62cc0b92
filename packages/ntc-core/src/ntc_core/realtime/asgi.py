"""The ASGI application of a project: its HTTP API and its sockets behind one port.

    application = build_application(get_wsgi_application())

The API stays WSGI, in threads that live on: Django under ASGI runs every request in a thread
of its own, and with it opens a database connection per request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from a2wsgi import WSGIMiddleware

from ntc_core.realtime.connection import serve_socket

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = ["build_application"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_application(wsgi: WSGIApplication, *, threads: int = 8) -> Application:
    """Return what an ASGI server serves.

    Args:
        wsgi: the project's `get_wsgi_application()`.
        threads: requests that are answered at the same time, by one process.
    """
    wsgi_as_typed_there: Any = wsgi
    http: Any = WSGIMiddleware(wsgi_as_typed_there, workers=threads)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await http(_normalized(scope), receive, send)
            case "websocket":
                await serve_socket(scope, receive, send)
            case "lifespan":
                await _live(receive, send)

    return application


def _normalized(scope: Scope) -> Scope:
    """Return a request as a WSGI server would hand it over.

    CGI's names make `X_Forwarded_For` and `X-Forwarded-For` one header: who sends the first
    would get past a proxy that only overwrites the second. And a query is ASCII.
    """
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    query = quote(scope["query_string"], safe="".join(map(chr, range(0x21, 0x7F)))).encode()
    return {**scope, "headers": headers, "query_string": query}


async def _live(receive: Receive, send: Send) -> None:
    """Answer the server's start and its end; there is nothing to prepare."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
