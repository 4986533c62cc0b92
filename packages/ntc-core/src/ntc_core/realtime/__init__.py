"""Tell signed-in people at once, and lose nothing when their network does.

    push(user, "payment.updated", {"uid": str(payment.uid), "status": "succeeded"})

An event is a row, written in the caller's transaction; what wakes the sockets is only a hint.
A phone that was away asks for what came after the last event it saw, by its number.

An app's `sockets.py` adds sockets of its own below `/ws/`:

    @socket("orders/<uuid:uid>/")
    class OrderSocket(SocketHandler):
        def authorize(self) -> None: ...     # raise NotFound: not yours
        def stream(self) -> str: ...         # whose events it carries

Needs `ntc_core.realtime` in INSTALLED_APPS, and the extra `ntc-core[realtime]` to serve sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ntc_core.realtime.handlers import SocketHandler, socket
from ntc_core.realtime.streams import stream_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SocketHandler", "publish", "push", "socket", "stream_of"]


def push(user: Any, event: str, data: Mapping[str, Any]) -> None:
    """Send an event to every open socket of the user, once the transaction is committed.

    See `ntc_core.realtime.services.publish`.
    """
    publish(stream_of(user), event, data)


def publish(stream: str, event: str, data: Mapping[str, Any]) -> None:
    """Send an event to every socket that carries the stream; see `services.publish`."""
    # The models cannot be imported before the apps are ready; this package can.
    from ntc_core.realtime import services  # noqa: PLC0415

    services.publish(stream, event, data)
