"""POST realtime/tickets/."""

from __future__ import annotations

from http import HTTPStatus

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ntc_core.auth.models import AuthSession
from ntc_core.errors import NotAuthenticated
from ntc_core.realtime.conf import realtime_settings
from ntc_core.realtime.handshake import SUBPROTOCOL, TICKET_PREFIX
from ntc_core.realtime.serializers import TicketOutput
from ntc_core.realtime.services import issue_ticket
from ntc_core.response_wrapper import success_response
from ntc_core.schema import documented_errors
from ntc_core.throttling import ScopedRateThrottle

__all__ = ["TicketView"]


class TicketView(APIView):
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "realtime"

    @extend_schema(request=None, responses={201: TicketOutput}, tags=["realtime"])
    @documented_errors(401, 403)
    def post(self, request: Request) -> Response:
        """Get a ticket that opens one WebSocket, within 30 seconds.

        Connect with the two subprotocols of the answer, and with `?after=<number>` if you have
        been connected before: events that came since then are sent first. The ticket in the URL
        is refused.
        """
        if not isinstance(request.auth, AuthSession):
            raise NotAuthenticated("Only a session of this API opens a socket.")
        ticket = issue_ticket(session=request.auth)
        url = request.build_absolute_uri(realtime_settings.REALTIME_PATH)
        return success_response(
            {
                "ticket": ticket,
                "expires_in": realtime_settings.REALTIME_TICKET_SECONDS,
                "url": url.replace("http", "ws", 1),
                "protocols": [SUBPROTOCOL, TICKET_PREFIX + ticket],
            },
            "Connect with these subprotocols.",
            status=HTTPStatus.CREATED,
        )
