"""What follows a transition, as jobs that are written in its transaction."""

from __future__ import annotations

from ntc_core.money import Money
from ntc_core.outbox import RetryLater, enqueue
from ntc_core.outbox.models import OutboxJob

from ntc_payments.models import Payment, PaymentAttempt, Payout, Refund
from ntc_payments.signals import SIGNALS
from ntc_payments.transitions import LIVE_ATTEMPTS

__all__ = [
    "announce",
    "announce_later",
    "announce_payout",
    "announce_payout_later",
    "announce_refund",
    "announce_refund_later",
    "refund_later",
    "withdraw_later",
]

#: Called with attempt id, amount in minor units, key.
REFUND_JOB = "ntc_payments.refund_automatically"
SECONDS_TO_WAIT_FOR_A_SIGNAL = 5.0


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
    if event == "payment_reversed":
        _wait_for("payment_succeeded", "ntc_payments.announce", payment_id)
    payment = Payment.objects.select_related("payer").get(pk=payment_id)
    attempt = PaymentAttempt.objects.filter(pk=attempt_id).first()
    SIGNALS[event].send(sender=Payment, payment=payment, attempt=attempt)


def announce_refund_later(event: str, *, refund: Refund) -> None:
    """Write the announcing job of a refund, once."""
    enqueue("ntc_payments.announce_refund", event, refund.pk, dedupe_key=f"{event}:{refund.pk}")


def announce_refund(*, event: str, refund_id: int) -> None:
    """Send the signal of a refund. As `announce()`."""
    refund = Refund.objects.select_related("payment__payer", "attempt").get(pk=refund_id)
    _wait_for("payment_succeeded", "ntc_payments.announce", refund.payment_id)
    SIGNALS[event].send(
        sender=Payment, payment=refund.payment, attempt=refund.attempt, refund=refund
    )


def announce_payout_later(event: str, *, payout: Payout) -> None:
    """Write the announcing job of a payout, once."""
    enqueue("ntc_payments.announce_payout", event, payout.pk, dedupe_key=f"{event}:{payout.pk}")


def announce_payout(*, event: str, payout_id: int) -> None:
    """Send the signal of a payout. As `announce()`."""
    if event == "payout_reversed":
        _wait_for("payout_succeeded", "ntc_payments.announce_payout", payout_id)
    payout = Payout.objects.select_related("created_by").get(pk=payout_id)
    SIGNALS[event].send(sender=Payout, payout=payout)


def _wait_for(event: str, task: str, row_id: int) -> None:
    """Come back later while that is written to be told, and is not told yet.

    Jobs run side by side and again. A project that is told first that the money went back
    has nothing to take back, and then gives for good what the money had paid for.
    """
    earlier = OutboxJob.objects.filter(task=task, dedupe_key=f"{event}:{row_id}")
    if earlier.exclude(state=OutboxJob.State.DONE).exists():
        raise RetryLater(f"{event} is told first", delay_seconds=SECONDS_TO_WAIT_FOR_A_SIGNAL)
