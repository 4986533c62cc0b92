"""Stop waiting for a payment: the payer cancels it, or its time is over."""

from __future__ import annotations

import logging

from django.db import transaction
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.outbox.clock import database_now

from ntc_payments.conf import provider_registry
from ntc_payments.errors import CannotCancel
from ntc_payments.models import CompanyExchange, Payment, PaymentAttempt
from ntc_payments.services.consequences import announce_later, withdraw_later
from ntc_payments.services.exchanges import recorded
from ntc_payments.services.moves import lock_payment, move_payment
from ntc_payments.services.observing import apply_observation, ask_now
from ntc_payments.services.schedule import can_be_asked, cancel_again_after_seconds
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

SECONDS_TO_WAIT_FOR_A_CALL = 5.0


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
        withdraw_later(payment=payment)
    return payment


def cancel_attempt(*, attempt_id: int) -> float | None:
    """Withdraw the attempt of a payment that is over, if it is still on its way.

    One that was never sent ends here. Otherwise the company is asked to take the prompt off
    the phone, where it can; the truth comes by webhook or query.

    Returns:
        Seconds after which to try again: the call that starts it is still out, or the company
        did not answer.
    """
    attempt = PaymentAttempt.objects.get(pk=attempt_id)
    if attempt.status == AttemptStatus.CREATED:
        apply_observation(
            attempt_id=attempt.pk,
            observation=Observation(
                reference=attempt.reference,
                claim=Claim.REJECTED,
                failure_code=FailureCode.CANCELED,
            ),
            source=Source.SYSTEM,
        )
        return None
    if attempt.status == AttemptStatus.SENDING:
        return SECONDS_TO_WAIT_FOR_A_CALL
    provider = provider_registry.get(attempt.provider)
    if not provider.capabilities.can_cancel or not attempt.is_live:
        return None
    try:
        with recorded(attempt, purpose=CompanyExchange.Purpose.CANCEL):
            provider.cancel(attempt.handle)
    except (HttpFailure, AnswerUnreadable) as error:
        # Withdrawing twice does no harm, so this is repeated for as long as it may help.
        log.warning(
            "payment.cancel_unanswered",
            extra={"reference": attempt.reference, "error": type(error).__name__},
        )
        return cancel_again_after_seconds(attempt, now=database_now())
    ask_now(attempt, now=database_now())
    return None


def expire_payment(*, payment_id: int) -> bool:
    """Expire a payment whose time is over; tell whether that happened.

    A live attempt is asked about first: an answer in the last second is not thrown away.
    Where the company cannot be asked, its webhook may still come, as a late success.
    A call that is still out comes back, or its lease ends, before that.
    """
    with transaction.atomic():
        payment = lock_payment(payment_id)
        if not payment.is_waiting or payment.expires_at > database_now():
            return False
        live = payment.attempts.filter(status__in=LIVE_ATTEMPTS).first()
        if live is not None and not _was_asked(live, payment):
            ask_now(live, now=database_now())
            return False
        move_payment(
            payment,
            to=PaymentStatus.EXPIRED,
            allowed=list(WAITING_PAYMENTS),
            source=Source.SYSTEM,
            attempt=live,
        )
        announce_later("payment_expired", payment=payment, attempt=live)
        withdraw_later(payment=payment)
    return True


def _was_asked(attempt: PaymentAttempt, payment: Payment) -> bool:
    if attempt.status == AttemptStatus.CREATED:
        return True  # nothing was sent
    if not can_be_asked(attempt.provider):
        return attempt.status != AttemptStatus.SENDING  # its call is still to come back
    return attempt.last_polled_at is not None and attempt.last_polled_at >= payment.expires_at
