"""HTTP in front of refunds and payouts: staff with the permission, nobody else."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from ntc_core.errors import InvalidInput
from ntc_core.idempotency.errors import HEADER
from ntc_core.idempotency.views import IdempotencyMixin
from ntc_core.money import InvalidMoney, Money
from ntc_core.pagination import StandardResultsSetPagination
from ntc_core.response_wrapper import success_response
from ntc_core.schema import documented_errors
from ntc_core.throttling import ScopedRateThrottle
from rest_framework import generics
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ntc_payments import selectors, services
from ntc_payments.models import Payment, Refund
from ntc_payments.money_serializers import (
    PayoutInput,
    PayoutOutput,
    PayoutPreviewInput,
    PayoutPreviewOutput,
    RefundInput,
    RefundOutput,
)
from ntc_payments.permissions import CanPayOut, CanRefund

__all__ = ["PayoutCreateView", "PayoutDetailView", "PayoutPreviewView", "RefundListView"]


@extend_schema(tags=["payments"])
class RefundListView(IdempotencyMixin, generics.ListAPIView[Refund]):
    """What was given back of a payment."""

    idempotency_key_required = True
    permission_classes = [IsAuthenticated, CanRefund]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "payments"
    serializer_class = RefundOutput
    pagination_class = StandardResultsSetPagination
    filter_backends = []
    queryset = Refund.objects.none()

    def get_throttles(self) -> list[Any]:
        """Limit what moves money; to look at it costs nothing of that."""
        return super().get_throttles() if self.request.method == "POST" else []

    def get_queryset(self) -> QuerySet[Refund]:
        """Return the refunds of the payment."""
        if getattr(self, "swagger_fake_view", False):
            return Refund.objects.none()
        payment = selectors.get_payment(uid=self.kwargs["uid"])
        return selectors.list_refunds(payment=payment)

    @extend_schema(
        operation_id="payments_refund",
        request=RefundInput,
        responses={201: RefundOutput},
    )
    @documented_errors(404)
    def post(self, request: Request, uid: UUID) -> Response:
        """Give money back: all that is left, or a part."""
        form = RefundInput(data=request.data)
        form.is_valid(raise_exception=True)
        payment = selectors.get_payment(uid=uid)
        choice = form.validated_data
        refund = services.refund_payment(
            payment=payment,
            money=_money(choice.get("amount"), payment),
            reason=choice["reason"],
            route=choice.get("route"),
            idempotency_key=request.headers[HEADER],
            requested_by=request.user,
        )
        return success_response(RefundOutput(refund).data, "The refund is on its way.", 201)


@extend_schema(tags=["payouts"])
class PayoutCreateView(IdempotencyMixin, APIView):
    """Pay money out."""

    idempotency_key_required = True
    permission_classes = [IsAuthenticated, CanPayOut]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "payments"

    @extend_schema(
        operation_id="payouts_create",
        request=PayoutInput,
        responses={201: PayoutOutput},
    )
    @documented_errors(503)
    def post(self, request: Request) -> Response:
        """Write the payout; it is sent at most once."""
        form = PayoutInput(data=request.data)
        form.is_valid(raise_exception=True)
        payout = services.create_payout(
            created_by=request.user, idempotency_key=request.headers[HEADER], **form.validated_data
        )
        return success_response(PayoutOutput(payout).data, "The payout is on its way.", 201)


@extend_schema(tags=["payouts"])
class PayoutPreviewView(APIView):
    """What a payout would cost, and whose account that is."""

    permission_classes = [IsAuthenticated, CanPayOut]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "payments"

    @extend_schema(
        operation_id="payouts_preview",
        request=PayoutPreviewInput,
        responses=PayoutPreviewOutput,
    )
    @documented_errors(503)
    def post(self, request: Request) -> Response:
        """Ask the company. Nothing moves."""
        form = PayoutPreviewInput(data=request.data)
        form.is_valid(raise_exception=True)
        preview = services.preview_payout(**form.validated_data)
        return success_response(PayoutPreviewOutput(preview).data)


@extend_schema(tags=["payouts"])
class PayoutDetailView(APIView):
    """One payout."""

    permission_classes = [IsAuthenticated, CanPayOut]

    @extend_schema(operation_id="payouts_retrieve", responses=PayoutOutput)
    @documented_errors(404)
    def get(self, request: Request, uid: UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Tell what became of it."""
        return success_response(PayoutOutput(selectors.get_payout(uid=uid)).data)


def _money(amount: Any, payment: Payment) -> Money | None:
    if amount is None:
        return None
    try:
        return Money.from_major(amount, payment.currency)
    except InvalidMoney as error:
        raise InvalidInput(str(error), code="invalid", attr="amount") from error
