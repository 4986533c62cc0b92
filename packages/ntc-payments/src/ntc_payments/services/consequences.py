"""What follows a transition, as jobs that are written in its transaction."""

from __future__ import annotations

from ntc_core.money import Money
from ntc_core.outbox import enqueue

from ntc_payments.models import Payment, PaymentAttempt
from ntc_payments.signals import SIGNALS
from ntc_payments.transitions import LIVE_ATTEMPTS

__all__ = ["announce", "announce_later", "refund_later", "withdraw_later"]

#: Called with attempt id, amount in minor units, key.
REFUND_JOB = "ntc_payments.refund_automatically"


def announce_later(
    event: str,
    *,
    payment: Payment,
    attempt: PaymentAttempt | None = None,
    once_per: str | int = "",
) -> None:
    """Write the announcing job in the transaction of the effect.

    Args:
        once_per: what else makes this announcement another one; empty: once per payment.
    """
    key = f"{event}:{payment.pk}:{once_per}" if once_per else f"{event}:{payment.pk}"
    attempt_id = attempt.pk if attempt else 0
    enqueue("ntc_payments.announce", event, payment.pk, attempt_id, dedupe_key=key)


def refund_later(*, attempt: PaymentAttempt, money: Money, key: str) -> None:
    """Have money given back that a policy does not want, once per key."""
    enqueue(REFUND_JOB, attempt.pk, money.minor, key, dedupe_key=key)


def withdraw_later(*, payment: Payment) -> None:
    """Have the live attempts of a payment that is over taken off the payer's phone."""
    live = payment.attempts.filter(status__in=LIVE_ATTEMPTS).values_list("pk", flat=True)
    for pk in live:
        enqueue("ntc_payments.cancel_attempt", pk, dedupe_key=str(pk))


def announce(*, event: str, payment_id: int, attempt_id: int) -> None:
    """Send the signal. Runs inside the atomic job, so receivers share its transaction."""
    payment = Payment.objects.select_related("payer").get(pk=payment_id)
    attempt = PaymentAttempt.objects.filter(pk=attempt_id).first()
    SIGNALS[event].send(sender=Payment, payment=payment, attempt=attempt)
