"""Everything that changes a payment. Keyword arguments only.

The road of a payment: `starting` writes it, `sending` calls the company once, `observing`
applies whatever any source says, `settling` does what its money means, `polling` asks when
nobody speaks, `ending` stops waiting, `consequences` tells the project. `moves` is the one
place where a status changes. `subjects` says who applies an observation about what.
"""

from ntc_payments.services.consequences import announce
from ntc_payments.services.ending import cancel_attempt, cancel_payment, expire_payment
from ntc_payments.services.inbox import process_webhook_event
from ntc_payments.services.inquiries import answer_inquiry
from ntc_payments.services.observing import apply_observation
from ntc_payments.services.polling import poll_attempt, poll_due
from ntc_payments.services.sending import send_attempt
from ntc_payments.services.starting import retry_payment, start_payment

__all__ = [
    "announce",
    "answer_inquiry",
    "apply_observation",
    "cancel_attempt",
    "cancel_payment",
    "expire_payment",
    "poll_attempt",
    "poll_due",
    "process_webhook_event",
    "retry_payment",
    "send_attempt",
    "start_payment",
]
