"""Read payments. Nothing here changes a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from ntc_payments.conf import provider_registry
from ntc_payments.errors import PaymentNotFound, PayoutNotFound
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent, Payout, Refund
from ntc_payments.transitions import LIVE_ATTEMPTS, WAITING_PAYMENTS

if TYPE_CHECKING:
    from ntc_payments.providers.base import PaymentProvider

__all__ = [
    "find_attempt",
    "find_payable",
    "get_payment",
    "get_payout",
    "list_payments",
    "list_providers",
    "list_refunds",
    "list_timeline",
]


def get_payment(*, uid: UUID, payer: Any = None) -> Payment:
    """Return the payment; with `payer`, only if it is that user's own.

    Raises:
        PaymentNotFound: there is none, or it is somebody else's.
    """
    payments = list_payments(payer=payer) if payer is not None else _with_attempts()
    payment = payments.filter(uid=uid).first()
    if payment is None:
        raise PaymentNotFound
    return payment


def list_payments(*, payer: Any, status: str | None = None) -> QuerySet[Payment]:
    """Return the payer's payments, newest first, with their attempts.

    Args:
        status: only those that are so now; None: all.
    """
    payments = _with_attempts().filter(payer=payer)
    return payments if status is None else payments.filter(status=status)


def list_timeline(*, payment: Payment) -> QuerySet[PaymentEvent]:
    """Return the payment's history, oldest first."""
    return PaymentEvent.objects.filter(payment=payment).select_related("attempt").order_by("id")


def list_refunds(*, payment: Payment) -> QuerySet[Refund]:
    """Return the refunds of a payment, oldest first."""
    return payment.refunds.order_by("id")


def get_payout(*, uid: UUID) -> Payout:
    """Return the payout.

    Raises:
        PayoutNotFound: there is none.
    """
    payout = Payout.objects.filter(uid=uid).first()
    if payout is None:
        raise PayoutNotFound
    return payout


def list_providers() -> list[PaymentProvider]:
    """Return the configured providers in the order of choice."""
    return [provider_registry.get(name) for name in provider_registry.names()]


def find_attempt(*, provider: str, reference: str, provider_ref: str = "") -> PaymentAttempt | None:
    """Return the attempt with that reference or payer code at that provider, or None.

    Args:
        provider_ref: the company's own id; looked for only where it names nothing of ours.
    """
    attempts = PaymentAttempt.objects.filter(provider=provider)
    if reference:
        return attempts.filter(Q(reference=reference) | Q(payer_code=reference)).first()
    return attempts.filter(provider_ref=provider_ref).first() if provider_ref else None


def find_payable(*, provider: str, payer_code: str) -> PaymentAttempt | None:
    """Return what a payer pays who types that number, with its payment, or None. One query."""
    if not payer_code:
        return None
    return (
        PaymentAttempt.objects.filter(
            Q(reference=payer_code) | Q(payer_code=payer_code),
            provider=provider,
            status__in=LIVE_ATTEMPTS,
            payment__status__in=WAITING_PAYMENTS,
            payment__expires_at__gt=Now(),
        )
        .select_related("payment")
        .first()
    )


def _with_attempts() -> QuerySet[Payment]:
    return Payment.objects.prefetch_related("attempts").order_by("-id")
