"""What an app's `sockets.py` is made of: a class per kind of socket, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ntc_core.errors import InvalidInput
from ntc_core.realtime.streams import stream_of

if TYPE_CHECKING:
    from ntc_core.auth.models import AuthSession

__all__ = ["ROUTES", "SocketHandler", "socket"]


class SocketHandler:
    """One open socket of somebody who is signed in; `/ws/` itself is this class unchanged.

    Whatever a subclass does: the socket was opened with a one-use ticket from an origin that
    is allowed, it is closed when the session ends, it has its heartbeat and its limits, and a
    client that was away gets the events it missed. The methods run in threads and may use the
    ORM. A slow `receive` delays this socket's messages, and those of others if four are slow;
    `authorize` and `stream` are quick: the handshakes of a process share four threads with its
    look at the database.

    Attributes:
        user, session: whose it is.
        kwargs: the values in the path.
    """

    def __init__(self, *, user: Any, session: AuthSession, kwargs: Mapping[str, Any]) -> None:
        self.user = user
        self.session = session
        self.kwargs = kwargs

    def authorize(self) -> None:
        """Refuse who may not have this socket, before it is opened.

        Raises:
            NtcError: such as `NotFound`; its status and message are the answer.
        """

    def stream(self) -> str:
        """Return the stream whose events it carries; asked once, after `authorize`."""
        return stream_of(self.user)

    def receive(self, data: Any) -> Any:  # noqa: ARG002 - for subclasses
        """Act upon a message of the client and return the `data` of the reply, plain JSON.

        Raises:
            NtcError: what is wrong; the client gets it as an error, and the socket goes on.
        """
        raise InvalidInput("This socket takes no messages.")


Handler = TypeVar("Handler", bound=type[SocketHandler])

#: Route below the path of the sockets -> handler.
ROUTES: dict[str, type[SocketHandler]] = {"": SocketHandler}


def socket(route: str) -> Callable[[Handler], Handler]:
    """Put a handler at a route below `/ws/`, in the syntax of Django's `path()`.

    Raises:
        ValueError: the route is taken, or does not end with a slash.
    """

    def register(handler: Handler) -> Handler:
        known = ROUTES.get(route)
        if known is not None and _name(known) != _name(handler):
            raise ValueError(f"The socket {route!r} is {_name(known)} already.")
        if not route.endswith("/") or route.startswith("/"):
            raise ValueError(f"{route!r}: a route ends with a slash and does not begin with one.")
        ROUTES[route] = handler
        return handler

    return register


def _name(handler: type[SocketHandler]) -> str:
    return f"{handler.__module__}.{handler.__qualname__}"
