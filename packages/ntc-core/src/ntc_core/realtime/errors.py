"""Why a socket is not opened."""

from __future__ import annotations

from ntc_core.errors import InvalidInput, NotAuthenticated, PermissionRefused

__all__ = ["OriginRefused", "SubprotocolMissing", "TicketInUrl", "TicketInvalid"]


class TicketInvalid(NotAuthenticated):
    """The ticket opens nothing."""

    code = "ticket_invalid"
    message = (
        "The ticket is not valid: it opens one socket, within 30 seconds, while its session "
        "lives. Get a new one from POST /api/v1/realtime/tickets/."
    )


class TicketInUrl(InvalidInput):
    """A URL ends up in logs, histories and Referer headers."""

    code = "ticket_in_url"
    message = (
        "A ticket does not belong into the URL, and this one is spent now. Send it as a "
        "subprotocol: new WebSocket(url, ['ntc.v1', 'ticket.' + ticket])."
    )


class SubprotocolMissing(InvalidInput):
    """The client speaks something else, or has no ticket."""

    code = "subprotocol_missing"
    message = "Expected the subprotocols 'ntc.v1' and 'ticket.<value>' in Sec-WebSocket-Protocol."


class OriginRefused(PermissionRefused):
    """A page of somebody else."""

    code = "origin_refused"
    message = "Pages of this origin may not open sockets here."
