"""Everything that changes a payment. Keyword arguments only.

The road of a payment: `starting` writes it, `sending` calls the company once, `observing`
applies whatever any source says, `settling` does what its money means and `booking` its books,
`polling` asks when nobody speaks, `ending` stops waiting, `consequences` tells the project.
`moves` is the one place where a status changes; `subjects` says who applies an observation
about what, and `renewing` makes the payment of a subscription's later period; `disputes` asks
what payers complain about at their banks. `refunding` gives money back and `paying_out` pays it
out, both by the machine of `money_out`; `statements` and `closing` compare and add up.
"""

from ntc_payments.services.consequences import announce, announce_payout, announce_refund
from ntc_payments.services.disputes import check_disputes
from ntc_payments.services.ending import cancel_attempt, cancel_payment, expire_payment
from ntc_payments.services.inbox import process_webhook_event
from ntc_payments.services.inquiries import answer_inquiry
from ntc_payments.services.observing import apply_observation
from ntc_payments.services.paying_out import (
    create_payout,
    poll_payout,
    preview_payout,
    resolve_payout,
    send_payout,
)
from ntc_payments.services.polling import poll_attempt, poll_due
from ntc_payments.services.refunding import (
    poll_refund,
    refund_automatically,
    refund_payment,
    resolve_refund,
    send_refund,
)
from ntc_payments.services.sending import send_attempt
from ntc_payments.services.settling import accept_held
from ntc_payments.services.starting import retry_payment, start_payment

__all__ = [
    "accept_held",
    "announce",
    "announce_payout",
    "announce_refund",
    "answer_inquiry",
    "apply_observation",
    "cancel_attempt",
    "cancel_payment",
    "check_disputes",
    "create_payout",
    "expire_payment",
    "poll_attempt",
    "poll_due",
    "poll_payout",
    "poll_refund",
    "preview_payout",
    "process_webhook_event",
    "refund_automatically",
    "refund_payment",
    "resolve_payout",
    "resolve_refund",
    "retry_payment",
    "send_attempt",
    "send_payout",
    "send_refund",
    "start_payment",
]
