"""Stop waiting for a payment: the payer cancels it, or its time is over."""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone
from ntc_core.outbox import enqueue

from ntc_payments.conf import provider_registry
from ntc_payments.errors import CannotCancel
from ntc_payments.models import Payment, PaymentAttempt
from ntc_payments.services.announcing import announce_later
from ntc_payments.services.moves import lock_payment, move_payment
from ntc_payments.services.observing import apply_observation, ask_now
from ntc_payments.transitions import LIVE_ATTEMPTS, WAITING_PAYMENTS
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    FailureCode,
    Observation,
    PaymentStatus,
    Source,
)

__all__ = ["cancel_attempt", "cancel_payment", "expire_payment"]

log = logging.getLogger("ntc_payments")


def cancel_payment(*, payment: Payment, source: Source = Source.PAYER) -> Payment:
    """Stop waiting for the money. Canceling twice is once.

    An attempt that was not sent is never sent. One that is on its way is withdrawn where the
    company can do that; if the payer approves it all the same, the money is accepted and
    announced as a late success.

    Raises:
        CannotCancel: it succeeded, failed or expired.
    """
    with transaction.atomic():
        payment = lock_payment(payment.pk)
        if payment.status == PaymentStatus.CANCELED:
            return payment
        canceled = move_payment(
            payment, to=PaymentStatus.CANCELED, allowed=list(WAITING_PAYMENTS), source=source
        )
        if not canceled:
            raise CannotCancel(f"The payment is {payment.status}; it cannot be canceled.")
        for attempt in payment.attempts.filter(status__in=LIVE_ATTEMPTS):
            if attempt.status == AttemptStatus.CREATED:
                _withdraw(attempt, code=FailureCode.CANCELED, source=source)
            else:
                enqueue("ntc_payments.cancel_attempt", attempt.pk, dedupe_key=str(attempt.pk))
    return payment


def cancel_attempt(*, attempt_id: int) -> None:
    """Ask the company to withdraw the prompt; the truth comes by webhook or query."""
    attempt = PaymentAttempt.objects.get(pk=attempt_id)
    provider = provider_registry.get(attempt.provider)
    if not provider.capabilities.can_cancel or not attempt.is_live:
        return
    provider.cancel(reference=attempt.reference, provider_ref=attempt.provider_ref)
    ask_now(attempt, now=timezone.now())


def expire_payment(*, payment_id: int) -> bool:
    """Expire a payment whose time is over; tell whether that happened.

    A live attempt is asked about first: an answer in the last second is not thrown away.
    """
    with transaction.atomic():
        payment = lock_payment(payment_id)
        if not payment.is_waiting or payment.expires_at > timezone.now():
            return False
        live = payment.attempts.filter(status__in=LIVE_ATTEMPTS).first()
        if live is not None and not _was_asked(live, payment):
            if live.next_poll_at is None or live.next_poll_at > timezone.now():
                ask_now(live, now=timezone.now())
            return False
        move_payment(
            payment,
            to=PaymentStatus.EXPIRED,
            allowed=list(WAITING_PAYMENTS),
            source=Source.SYSTEM,
            attempt=live,
        )
        announce_later("payment_expired", payment=payment, attempt=live)
        if live is not None and live.status == AttemptStatus.CREATED:
            _withdraw(live, code=FailureCode.PROVIDER_UNREACHABLE, source=Source.SYSTEM)
    return True


def _was_asked(attempt: PaymentAttempt, payment: Payment) -> bool:
    if attempt.status == AttemptStatus.CREATED:
        return True  # nothing was sent
    return attempt.last_polled_at is not None and attempt.last_polled_at >= payment.expires_at


def _withdraw(attempt: PaymentAttempt, *, code: FailureCode, source: Source) -> None:
    apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(
            reference=attempt.reference, claim=Claim.REJECTED, failure_code=code
        ),
        source=source,
    )
