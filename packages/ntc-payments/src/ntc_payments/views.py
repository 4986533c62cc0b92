"""HTTP in front of the services. Nothing is decided here."""

from __future__ import annotations

from functools import partial
from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from ntc_core.errors import NotFound
from ntc_core.idempotency.views import IdempotencyMixin
from ntc_core.pagination import StandardResultsSetPagination
from ntc_core.registry import UnknownProvider
from ntc_core.response_wrapper import success_response
from ntc_core.throttling import ScopedRateThrottle
from ntc_core.webhooks.services import split_provider_slug
from ntc_core.webhooks.views import WebhookView
from rest_framework import generics
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ntc_payments import selectors, services
from ntc_payments.conf import provider_registry
from ntc_payments.models import Payment, PaymentEvent
from ntc_payments.permissions import CanReadTimeline
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.serializers import (
    PaymentEventOutput,
    PaymentListInput,
    PaymentOutput,
    PaymentProviderOutput,
    RetryInput,
)

__all__ = [
    "PaymentActionView",
    "PaymentCancelView",
    "PaymentDetailView",
    "PaymentListView",
    "PaymentProviderListView",
    "PaymentRetryView",
    "PaymentTimelineView",
    "PaymentWebhookView",
]


@extend_schema(tags=["payments"], parameters=[PaymentListInput])
class PaymentListView(generics.ListAPIView[Payment]):
    """The caller's own payments, newest first."""

    permission_classes = [IsAuthenticated]
    serializer_class = PaymentOutput
    pagination_class = StandardResultsSetPagination
    filter_backends = []
    queryset = Payment.objects.none()

    def get_queryset(self) -> QuerySet[Payment]:
        """Return the payments of the caller that they ask for."""
        if getattr(self, "swagger_fake_view", False):
            return Payment.objects.none()
        # As a plain dict: in what comes from a form, an empty text counts as left out.
        form = PaymentListInput(data=self.request.query_params.dict())
        form.is_valid(raise_exception=True)
        return selectors.list_payments(payer=self.request.user, **form.validated_data)


@extend_schema(tags=["payments"])
class PaymentDetailView(APIView):
    """One of the caller's own payments."""

    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="payments_retrieve", responses=PaymentOutput)
    def get(self, request: Request, uid: UUID) -> Response:
        """Tell how the payment is and what the payer does now."""
        return success_response(PaymentOutput(_own_payment(request, uid)).data)


@extend_schema(tags=["payments"])
class PaymentCancelView(APIView):
    """Stop a payment."""

    permission_classes = [IsAuthenticated]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "payments"

    @extend_schema(operation_id="payments_cancel", request=None, responses=PaymentOutput)
    def post(self, request: Request, uid: UUID) -> Response:
        """Stop waiting. Approving a request that is still on the phone pays it all the same."""
        payment = services.cancel_payment(payment=_own_payment(request, uid))
        return success_response(PaymentOutput(payment).data, "The payment is canceled.")


@extend_schema(tags=["payments"])
class PaymentRetryView(IdempotencyMixin, APIView):
    """Try a failed payment again."""

    permission_classes = [IsAuthenticated]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "payments"

    @extend_schema(operation_id="payments_retry", request=RetryInput, responses=PaymentOutput)
    def post(self, request: Request, uid: UUID) -> Response:
        """Make a new attempt; 409 while one is under way."""
        payment = _own_payment(request, uid)
        form = RetryInput(data=request.data)
        form.is_valid(raise_exception=True)
        payment = services.retry_payment(payment=payment, **form.validated_data)
        return success_response(PaymentOutput(payment).data, "The payment is tried again.")


@extend_schema(tags=["payments"])
class PaymentProviderListView(generics.ListAPIView[Any]):
    """What a payer can choose from, the default first."""

    permission_classes = [IsAuthenticated]
    serializer_class = PaymentProviderOutput
    pagination_class = StandardResultsSetPagination
    filter_backends = []

    def get_queryset(self) -> Any:
        """Return the configured providers; a list, which the pagination takes as well."""
        return selectors.list_providers()


@extend_schema(tags=["payments"])
class PaymentTimelineView(generics.ListAPIView[PaymentEvent]):
    """Everything that happened to a payment, oldest first. For staff."""

    permission_classes = [IsAuthenticated, CanReadTimeline]
    serializer_class = PaymentEventOutput
    pagination_class = StandardResultsSetPagination
    filter_backends = []
    queryset = PaymentEvent.objects.none()

    def get_queryset(self) -> QuerySet[PaymentEvent]:
        """Return the payment's history."""
        if getattr(self, "swagger_fake_view", False):
            return PaymentEvent.objects.none()
        payment = selectors.get_payment(uid=self.kwargs["uid"])
        return selectors.list_timeline(payment=payment)


class PaymentWebhookView(WebhookView):
    """Where payment companies tell us what happened."""

    channel = "payments"
    job = "ntc_payments.process_webhook_event"

    def get_verifier(self, provider_slug: str) -> PaymentProvider:
        """Return the configured provider of that path.

        A company that does not sign is known by the secret in its path alone.
        """
        name, suffix = split_provider_slug(provider_slug)
        try:
            provider = provider_registry.get(name)
        except UnknownProvider as error:
            raise NotFound from error
        if not provider.capabilities.signs_webhooks and not suffix:
            raise NotFound
        return provider


class PaymentActionView(PaymentWebhookView):
    """The same below a word of the company's choice, where it may also ask us something."""

    def take(self, request: HttpRequest, provider_slug: str) -> HttpResponse:
        """Answer an inquiry at once; take anything else that the provider names as a webhook."""
        action = self.kwargs["action"]
        provider = self.get_verifier(provider_slug)
        if action in provider.webhook_actions:
            return super().take(request, provider_slug)
        if action not in provider.inquiry_actions:
            raise NotFound
        call = self.read_call(request)
        inquiry = self.prove(
            partial(provider.open_inquiry, action=action), call=call, name=provider.name
        )
        reply = services.answer_inquiry(provider=provider.name, inquiry=inquiry)
        ack = provider.answer_inquiry(inquiry, reply)
        return HttpResponse(ack.body, status=ack.status, content_type=ack.content_type)


def _own_payment(request: Request, uid: UUID) -> Payment:
    return selectors.get_payment(uid=uid, payer=cast("Any", request.user))
