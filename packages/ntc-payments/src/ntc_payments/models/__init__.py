"""The tables. What belongs together is one file; `columns` and `calls` are what they share."""

from ntc_payments.models.columns import (
    LONGEST_TEXT,
    LONGEST_URL,
    new_payout_reference,
    new_reference,
    new_refund_reference,
)
from ntc_payments.models.exchange import CompanyExchange
from ntc_payments.models.history import PaymentEvent
from ntc_payments.models.ledger import LedgerEntry, LedgerTransaction
from ntc_payments.models.payment import Payment, PaymentAttempt, SecondCharge
from ntc_payments.models.payout import Payout
from ntc_payments.models.reconciliation import Break, StatementLine
from ntc_payments.models.refund import Refund

__all__ = [
    "LONGEST_TEXT",
    "LONGEST_URL",
    "Break",
    "CompanyExchange",
    "LedgerEntry",
    "LedgerTransaction",
    "Payment",
    "PaymentAttempt",
    "PaymentEvent",
    "Payout",
    "Refund",
    "SecondCharge",
    "StatementLine",
    "new_payout_reference",
    "new_reference",
    "new_refund_reference",
]
