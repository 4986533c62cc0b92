"""Who may open a socket: its origin, its ticket, its path; and how to refuse.

Everything is decided before the socket is accepted, so a refusal is an HTTP answer in the
common envelope, where the server can send one (the ASGI extension `websocket.http.response`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from django.urls import Resolver404, URLPattern, path

from ntc_core.envelope import ErrorItem, error_envelope
from ntc_core.errors import InvalidInput, NotFound, NtcError
from ntc_core.realtime import services
from ntc_core.realtime.conf import realtime_settings
from ntc_core.realtime.errors import OriginRefused, SubprotocolMissing, TicketInUrl
from ntc_core.realtime.handlers import ROUTES, SocketHandler
from ntc_core.realtime.models import RealtimeConnection
from ntc_core.realtime.streams import require_name

__all__ = ["SUBPROTOCOL", "Admitted", "Opening", "admit", "read_opening", "refuse"]

Scope = MutableMapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

SUBPROTOCOL = "ntc.v1"
TICKET_PREFIX = "ticket."
#: The only thing the URL may say: the number of the last event that the client has.
AFTER = "after"
_NUMBER = re.compile(r"[0-9]{1,18}")
_MOST_PARAMETERS = 10
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client asks for."""

    path: str
    origin: str | None
    subprotocols: tuple[str, ...]
    query: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Admitted:
    """What it gets."""

    handler: SocketHandler
    stream: str
    connection: RealtimeConnection
    after: int | None


def read_opening(scope: Scope) -> Opening:
    """Return what the handshake says.

    Raises:
        InvalidInput: it cannot be read.
        OriginRefused: it comes from several pages at once.
    """
    origins = [value for name, value in scope["headers"] if name.lower() == b"origin"]
    if len(origins) > 1:
        raise OriginRefused
    try:
        query = parse_qsl(
            scope.get("query_string", b"").decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError as error:
        raise InvalidInput("The query of the URL cannot be read.") from error
    return Opening(
        path=scope["path"],
        origin=origins[0].decode("latin-1") if origins else None,
        subprotocols=tuple(scope.get("subprotocols") or ()),
        query=tuple(query),
    )


def admit(opening: Opening) -> Admitted:
    """Spend the ticket and return the open connection; called in a thread, for it asks the rows.

    Raises:
        NtcError: whatever is wrong. The ticket of a page of another origin is not spent, one
            that came in the URL is: it may be in a log already.
    """
    _require_origin(opening.origin)
    after = _read_query(opening.query)
    ticket = _find_ticket(opening.subprotocols)
    handler_class, kwargs = _resolve(opening.path)
    session = services.redeem_ticket(ticket)
    handler = handler_class(user=session.user, session=session, kwargs=kwargs)
    handler.authorize()
    stream = handler.stream()
    require_name(stream, what="a stream")
    connection = services.open_connection(session=session, path=opening.path[:200])
    return Admitted(handler=handler, stream=stream, connection=connection, after=after)


def _require_origin(origin: str | None) -> None:
    if origin is None:
        return  # no browser: an app, which shows its own ticket
    known = {_one_spelling(allowed) for allowed in realtime_settings.REALTIME_ORIGINS}
    if _one_spelling(origin) in known:
        return
    patterns = realtime_settings.REALTIME_ORIGIN_REGEXES
    if not any(re.fullmatch(pattern, origin) for pattern in patterns):
        raise OriginRefused


def _one_spelling(origin: str) -> str:
    """Return the origin without case and default port; whatever is no origin stays as it is."""
    try:
        parts = urlsplit(origin.lower())
        port = parts.port
    except ValueError:
        return origin
    if not parts.hostname or parts.scheme not in _DEFAULT_PORTS or parts.username is not None:
        return origin
    usual = port is None or port == _DEFAULT_PORTS[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    rest = f"{parts.path}{parts.query}{parts.fragment}".rstrip("/")
    return f"{parts.scheme}://{host}{'' if usual else f':{port}'}{rest}"


def _read_query(query: tuple[tuple[str, str], ...]) -> int | None:
    after = [value for name, value in query if name == AFTER]
    others = [(name, value) for name, value in query if name != AFTER]
    spent = [services.spend_ticket(value.removeprefix(TICKET_PREFIX)) for _, value in others]
    if any(spent) or any(name in {"ticket", "token", "access_token"} for name, _ in others):
        raise TicketInUrl
    if others:
        raise InvalidInput(f"The URL takes {AFTER!r} and nothing else.", attr=others[0][0])
    if not after:
        return None
    if len(after) > 1 or not _NUMBER.fullmatch(after[0]):
        raise InvalidInput("Expected the number of the last event you have.", attr=AFTER)
    return int(after[0])


def _find_ticket(subprotocols: tuple[str, ...]) -> str:
    tickets = [name for name in subprotocols if name.startswith(TICKET_PREFIX)]
    if SUBPROTOCOL not in subprotocols or len(tickets) != 1:
        raise SubprotocolMissing
    return tickets[0].removeprefix(TICKET_PREFIX)


def _resolve(full_path: str) -> tuple[type[SocketHandler], dict[str, Any]]:
    prefix = realtime_settings.REALTIME_PATH
    if full_path.startswith(prefix):
        for pattern in _patterns(tuple(ROUTES.items())):
            try:
                match = pattern.resolve(full_path.removeprefix(prefix))
            except Resolver404:
                continue
            if match is not None:
                handler: Any = match.func
                return handler, match.kwargs
    raise NotFound("There is no socket at this path.")


@cache
def _patterns(routes: tuple[tuple[str, type[SocketHandler]], ...]) -> list[URLPattern]:
    return [path(route, handler) for route, handler in routes]  # type: ignore[arg-type] # no view


async def refuse(scope: Scope, send: Send, error: NtcError) -> None:
    """Answer a handshake with an error, in the envelope where the server has a way."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4000 + error.http_status})
        return
    item = ErrorItem(code=error.code, detail=error.message, attr=error.attr)
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"5"))
    await send(
        {
            "type": "websocket.http.response.start",
            "status": error.http_status,
            "headers": headers,
        }
    )
    body = orjson.dumps(error_envelope(error.message, [item]))
    await send({"type": "websocket.http.response.body", "body": body})
