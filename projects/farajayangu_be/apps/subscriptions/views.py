"""Translate HTTP for plans and subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from drf_spectacular.utils import extend_schema
from ntc_core.idempotency.errors import HEADER
from ntc_core.idempotency.views import IdempotencyMixin
from ntc_core.response_wrapper import success_response
from ntc_core.schema import documented_errors
from ntc_core.throttling import ScopedRateThrottle
from rest_framework import generics
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from . import selectors, services
from .models import Plan
from .serializers import (
    NO_SUBSCRIPTION,
    PlanOutput,
    SubscribeInput,
    SubscribeOutput,
    SubscriptionOutput,
)

if TYPE_CHECKING:
    from apps.accounts.models import User

__all__ = ["MySubscriptionView", "PlanListView", "SubscribeView"]


@extend_schema(tags=["subscriptions"])
class PlanListView(generics.ListAPIView[Plan]):
    """List the plans on sale. Public: no sign-in needed."""

    authentication_classes = []
    permission_classes = [AllowAny]
    serializer_class = PlanOutput
    queryset = selectors.list_plans()


@extend_schema(tags=["subscriptions"])
class SubscribeView(IdempotencyMixin, APIView):
    """Start paying for a plan."""

    permission_classes = [IsAuthenticated]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "subscribe"

    @extend_schema(request=SubscribeInput, responses={201: SubscribeOutput})
    @documented_errors(503)
    def post(self, request: Request) -> Response:
        """Start paying for a plan; the subscription is active once the payment succeeds."""
        form = SubscribeInput(data=request.data)
        form.is_valid(raise_exception=True)
        choice = form.validated_data
        payment = services.subscribe(
            user=cast("User", request.user),
            plan_uid=choice.pop("plan"),
            idempotency_key=request.headers.get(HEADER),
            **choice,
        )
        return success_response(
            SubscribeOutput({"payment": payment}).data, message="Payment started.", status=201
        )


@extend_schema(tags=["subscriptions"])
class MySubscriptionView(APIView):
    """The caller's own subscription."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=SubscriptionOutput)
    def get(self, request: Request) -> Response:
        """Tell whether the caller's subscription is active, and until when."""
        period = selectors.find_current_period(user=request.user)
        return success_response(SubscriptionOutput(period).data if period else NO_SUBSCRIPTION)
