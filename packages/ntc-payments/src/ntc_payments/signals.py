"""What happened to a payment. Sent from an atomic job, once in effect.

A receiver gets `payment` and `attempt` (or None) and runs in the transaction that marks the
announcement as done: what it writes or enqueues happens exactly once, and if it raises, all
of it is rolled back and tried again. It must not call another company; enqueue a job.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "SIGNALS",
    "payment_changed",
    "payment_duplicate_charge",
    "payment_expired",
    "payment_failed",
    "payment_late_success",
    "payment_refunded",
    "payment_reversed",
    "payment_succeeded",
    "payout_failed",
    "payout_reversed",
    "payout_succeeded",
]

#: The money is there. At most once per payment.
payment_succeeded = Signal()
#: An attempt ended without money and none is under way. Once per such attempt: the payer
#: may retry, and fail again.
payment_failed = Signal()
#: We stopped waiting. At most once per payment.
payment_expired = Signal()
#: Money came after the attempt or the payment had ended. Where it is accepted,
#: payment_succeeded follows; see NTC_PAYMENT_LATE_SUCCESS_POLICY. Once per such attempt.
payment_late_success = Signal()
#: A second charge for a payment that was already paid: somebody must give it back, or
#: NTC_PAYMENT_DUPLICATE_POLICY does. Once per charge.
payment_duplicate_charge = Signal()
#: Money has been given back. Once per refund; a receiver gets `refund` besides.
payment_refunded = Signal()
#: The company took the money back: take back what was given for it. Once per charge. The
#: payment stays succeeded, which it was.
payment_reversed = Signal()

#: The receiver has the money. A receiver of the signal gets `payout`. At most once per payout.
payout_succeeded = Signal()
#: It was refused or has failed; nothing has moved. At most once per payout.
payout_failed = Signal()
#: It had succeeded, and came back. At most once per payout.
payout_reversed = Signal()

#: What the payer sees of it is another: its status, or what to do next. For a screen that shows
#: it at once: `sender=Payment, payment=payment`, sent within the transaction that changes it,
#: perhaps several times in one. Write rows, and lock none. A receiver that raises is logged, and
#: what it wrote undone: nobody's screen may stand in the way of money.
payment_changed = Signal()

#: The name that is stored in the announcing job -> the signal.
SIGNALS = {
    "payment_succeeded": payment_succeeded,
    "payment_failed": payment_failed,
    "payment_expired": payment_expired,
    "payment_late_success": payment_late_success,
    "payment_duplicate_charge": payment_duplicate_charge,
    "payment_refunded": payment_refunded,
    "payment_reversed": payment_reversed,
    "payout_succeeded": payout_succeeded,
    "payout_failed": payout_failed,
    "payout_reversed": payout_reversed,
}
