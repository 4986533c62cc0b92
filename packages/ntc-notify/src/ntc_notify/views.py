"""HTTP in front of the services. Nothing is decided here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from ntc_core.errors import InvalidInput, NotFound
from ntc_core.pagination import StandardResultsSetPagination
from ntc_core.response_wrapper import success_response
from rest_framework import generics
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ntc_notify import selectors, services
from ntc_notify.errors import UnknownKind
from ntc_notify.models import InboxItem
from ntc_notify.serializers import (
    InboxInput,
    InboxItemOutput,
    PreferenceOutput,
    PreferencesInput,
    ReadAllOutput,
    UnsubscribedOutput,
)
from ntc_notify.unsubscribe import Unsubscription, read_token

__all__ = [
    "InboxView",
    "PreferencesView",
    "ReadAllView",
    "ReadView",
    "UnsubscribeView",
]


class InboxPagination(StandardResultsSetPagination):
    """A page of the inbox that also tells how many items are unread, on all pages together."""

    def get_paginated_response(self, data: Any) -> Response:
        """Add `unread` to the page."""
        response = super().get_paginated_response(data)
        user = self.request.user if self.request else None
        response.data["unread"] = selectors.count_unread(user=user)
        return response

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe it."""
        described = super().get_paginated_response_schema(schema)
        described["properties"]["unread"] = {"type": "integer", "minimum": 0, "example": 3}
        described["required"] = [*described.get("required", []), "unread"]
        return described


@extend_schema(tags=["notifications"], parameters=[InboxInput])
class InboxView(generics.ListAPIView[InboxItem]):
    """The caller's inbox, newest first."""

    permission_classes = [IsAuthenticated]
    serializer_class = InboxItemOutput
    pagination_class = InboxPagination
    filter_backends = []
    queryset = InboxItem.objects.none()

    def get_queryset(self) -> QuerySet[InboxItem]:
        """Return the items of the caller that they ask for."""
        if getattr(self, "swagger_fake_view", False):
            return InboxItem.objects.none()
        form = InboxInput(data=self.request.query_params.dict())
        form.is_valid(raise_exception=True)
        return selectors.list_inbox(
            user=self.request.user, only_unread=form.validated_data["unread"]
        )


@extend_schema(tags=["notifications"])
class ReadView(APIView):
    """One item of the caller's inbox."""

    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="notifications_read", request=None, responses=InboxItemOutput)
    def post(self, request: Request, uid: UUID) -> Response:
        """Mark it as read; again changes nothing."""
        item = services.mark_read(user=request.user, uid=uid)
        if item is None:
            raise NotFound("There is no such notification.")
        return success_response(InboxItemOutput(item).data)


@extend_schema(tags=["notifications"])
class ReadAllView(APIView):
    """The whole inbox of the caller."""

    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="notifications_read_all", request=None, responses=ReadAllOutput)
    def post(self, request: Request) -> Response:
        """Mark everything as read that is there by now."""
        return success_response({"read": services.mark_all_read(user=request.user)})


@extend_schema(tags=["notifications"])
class PreferencesView(APIView):
    """What the caller wants to be told, and where."""

    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="notifications_preferences", responses=PreferenceOutput(many=True))
    def get(self, request: Request) -> Response:
        """List every kind on each of its channels."""
        return success_response(selectors.list_preferences(user=request.user))

    @extend_schema(
        operation_id="notifications_preferences_set",
        request=PreferencesInput,
        responses=PreferenceOutput(many=True),
    )
    def put(self, request: Request) -> Response:
        """Set some of them, all or none; what is left out stays as it is."""
        form = PreferencesInput(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            services.set_preferences(user=request.user, wanted=form.validated_data["preferences"])
        except UnknownKind as error:
            raise InvalidInput(str(error), code="no_choice", attr="preferences") from error
        return success_response(selectors.list_preferences(user=request.user))


@extend_schema(tags=["notifications"], auth=[])
class UnsubscribeView(APIView):
    """One click, and no more of this kind to this address (RFC 8058). Nobody has to sign in."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []

    @extend_schema(
        operation_id="notifications_unsubscribe_page",
        responses={(200, "text/html"): OpenApiTypes.STR},
    )
    def get(self, request: Request, token: str) -> HttpResponse:
        """Show a page with a button. Changes nothing: scanners follow links."""
        return self._page(request, _require_wish(token), is_done=False)

    @extend_schema(
        operation_id="notifications_unsubscribe", request=None, responses=UnsubscribedOutput
    )
    def post(self, request: Request, token: str) -> HttpResponse | Response:
        """Unsubscribe; again changes nothing. Whatever the body says is not looked at."""
        wish = _require_wish(token)
        services.unsubscribe(wish)
        if "text/html" in request.headers.get("Accept", ""):
            return self._page(request, wish, is_done=True)
        return success_response(
            {"kind": wish.kind, "channel": wish.channel.value}, "You are unsubscribed."
        )

    def _page(self, request: Request, wish: Unsubscription, *, is_done: bool) -> HttpResponse:
        context = {"address": wish.masked_address, "is_done": is_done}
        response = render(request, "ntc_notify/unsubscribe.html", context)
        # The address of the page is what it can do.
        response["Referrer-Policy"] = "no-referrer"
        response["Cache-Control"] = "no-store"
        return response


def _require_wish(token: str) -> Unsubscription:
    wish = read_token(token)
    if wish is None:
        raise NotFound("This link is not complete. Copy all of it.")
    return wish
