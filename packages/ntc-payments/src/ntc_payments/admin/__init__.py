"""Payments for staff: everything to see, nothing to change by hand but the end of a break."""

from ntc_payments.admin.books import LedgerEntryAdmin, LedgerTransactionAdmin, StatementLineAdmin
from ntc_payments.admin.breaks import BreakAdmin
from ntc_payments.admin.money_out import PayoutAdmin, RefundAdmin
from ntc_payments.admin.payments import PaymentAdmin, PaymentAttemptAdmin, PaymentEventAdmin

__all__ = [
    "BreakAdmin",
    "LedgerEntryAdmin",
    "LedgerTransactionAdmin",
    "PaymentAdmin",
    "PaymentAttemptAdmin",
    "PaymentEventAdmin",
    "PayoutAdmin",
    "RefundAdmin",
    "StatementLineAdmin",
]
