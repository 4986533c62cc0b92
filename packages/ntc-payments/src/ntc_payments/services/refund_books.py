"""The books of a refund: what is put aside, which account pays, what comes back.

Called with the payment locked.
"""

from __future__ import annotations

from django.db.models import F, Sum
from ntc_core.money import Money

from ntc_payments.models import Break, LedgerEntry, LedgerTransaction, PaymentAttempt, Refund
from ntc_payments.services.booking import account_of, recount_captured
from ntc_payments.services.breaks import resolve_breaks
from ntc_payments.services.ledger import CUSTOMER_CREDIT, SALES, SUSPENSE, book, provider_account
from ntc_payments.services.money_out import Move
from ntc_payments.types import AttemptStatus

__all__ = ["give_back", "release", "take_back"]


def give_back(move: Move[Refund]) -> None:
    """The payer has the money: take it from where the books have it."""
    refund = move.row
    PaymentAttempt.objects.filter(pk=refund.attempt_id).update(
        refunded_minor=F("refunded_minor") + refund.amount_minor
    )
    company = provider_account(refund.provider)
    for account, minor in _taken_from(refund):
        book(
            kind="refund",
            source=refund,
            suffix=account,
            debit=account,
            credit=company,
            money=Money(minor, refund.currency),
            occurred_at=move.observation.occurred_at,
        )
    _resolve_duplicate(refund)


def take_back(move: Move[Refund]) -> None:
    """A refund that was done has come back: the mirror, and its claim is free again."""
    refund = move.row
    company = provider_account(refund.provider)
    holders = [f"{refund.pk}:{account}" for account in (CUSTOMER_CREDIT, SALES, SUSPENSE)]
    for fact in LedgerTransaction.objects.filter(
        source_type="refund", source_id__in=holders, kind="refund"
    ):
        entry = fact.entries.get(amount_minor__gt=0)
        book(
            kind="refund_reversal",
            source=refund,
            suffix=entry.account,
            debit=company,
            credit=entry.account,
            money=entry.money,
            occurred_at=move.observation.occurred_at,
        )
    PaymentAttempt.objects.filter(pk=refund.attempt_id).update(
        refunded_minor=F("refunded_minor") - refund.amount_minor,
        refund_reserved_minor=F("refund_reserved_minor") - refund.amount_minor,
    )
    recount_captured(refund.attempt)


def release(refund: Refund) -> None:
    """Nothing has moved: what was put aside is free again."""
    PaymentAttempt.objects.filter(pk=refund.attempt_id).update(
        refund_reserved_minor=F("refund_reserved_minor") - refund.amount_minor
    )
    recount_captured(refund.attempt)


def _taken_from(refund: Refund) -> list[tuple[str, int]]:
    """Say which accounts pay: first what we owe this payer, then what holds the money."""
    owed = _owed_by(refund.attempt)
    from_credit = min(owed, refund.amount_minor)
    holder = SALES if refund.attempt.settles else SUSPENSE
    parts = [(CUSTOMER_CREDIT, from_credit), (holder, refund.amount_minor - from_credit)]
    return [(account, minor) for account, minor in parts if minor > 0]


def _owed_by(attempt: PaymentAttempt) -> int:
    """Return what the books owe the payer for this attempt, in minor units."""
    owed = attempt.captured_minor
    if attempt.settles:
        owed -= attempt.amount_minor
    elif account_of(attempt) != CUSTOMER_CREDIT:
        return 0
    refunds = attempt.refunds.values_list("pk", flat=True)
    given = LedgerEntry.objects.filter(
        account=CUSTOMER_CREDIT,
        transaction__source_type="refund",
        transaction__source_id__in=[f"{pk}:{CUSTOMER_CREDIT}" for pk in refunds],
    )
    paid: int = given.aggregate(sum=Sum("amount_minor", default=0))["sum"]
    return max(0, owed - paid)


def _resolve_duplicate(refund: Refund) -> None:
    """The break about a second charge asks to give it back: it was."""
    if refund.attempt.refunds.exclude(status=AttemptStatus.SUCCEEDED).exists():
        return
    if _owed_by(refund.attempt) == 0:
        resolve_breaks(
            f"{refund.money} was given back.",
            attempt=refund.attempt,
            kind=Break.Kind.DUPLICATE_CHARGE,
        )
