"""The answer that opens a socket."""

from __future__ import annotations

from rest_framework import serializers

__all__ = ["TicketOutput"]


class TicketOutput(serializers.Serializer[dict[str, object]]):
    ticket = serializers.CharField(help_text="Opens one socket. Never in a URL.")
    expires_in = serializers.IntegerField(help_text="Seconds within which it has to be used.")
    url = serializers.CharField(help_text="Where the socket is: `wss://…/ws/`.")
    protocols = serializers.ListField(
        child=serializers.CharField(),
        help_text="The subprotocols to connect with: `new WebSocket(url, protocols)`.",
    )
