"""The books of one attempt: what came, what went, what it cost, and where it is.

Nothing is decided here; `settling` does that, with the payment locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F, Sum, Value
from django.db.models.functions import Coalesce, Greatest
from ntc_core.money import Money

from ntc_payments.models import (
    Break,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    PaymentAttempt,
    SecondCharge,
)
from ntc_payments.services.breaks import open_break
from ntc_payments.services.ledger import (
    CUSTOMER_CREDIT,
    SALES,
    SUSPENSE,
    book,
    fee_account,
    provider_account,
)
from ntc_payments.transitions import PAID_ATTEMPTS
from ntc_payments.types import AttemptStatus, Observation, Source

__all__ = [
    "PART_REVERSAL",
    "Case",
    "account_of",
    "book_fee",
    "book_for",
    "book_in",
    "book_second_fee",
    "change_captured",
    "is_booked",
    "open_case_break",
    "part_suffixes",
    "recount_captured",
    "reversed_key",
    "sum_booked",
    "told_fee",
]


#: A part of what had paid went back.
PART_REVERSAL = "part_reversal"
#: The bookings of an attempt's money that refunds may take.
_COUNTED = ("capture", "late_capture", "duplicate_capture", "reversal", PART_REVERSAL)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One observation and what it meets, with the payment locked."""

    payment: Payment
    attempt: PaymentAttempt
    before: AttemptStatus
    observation: Observation
    source: Source


def open_case_break(
    case: Case, *, kind: Break.Kind, dedupe_key: str, detail: str, money: Money | None = None
) -> None:
    """Open a break about the attempt of this case."""
    open_break(
        kind=kind,
        dedupe_key=dedupe_key,
        provider=case.attempt.provider,
        detail=detail,
        money=money,
        payment=case.payment,
        attempt=case.attempt,
    )


def book_in(case: Case, *, kind: str, credit: str, money: Money, suffix: str = "") -> bool:
    """Book money that the company took in; False: that is in the books already."""
    return book_for(
        case,
        kind=kind,
        suffix=suffix,
        debit=provider_account(case.attempt.provider),
        credit=credit,
        money=money,
    )


def book_for(
    case: Case, *, kind: str, debit: str, credit: str, money: Money, suffix: str = ""
) -> bool:
    """Book a fact about the attempt of this case; False: it is in the books already."""
    return book(
        kind=kind,
        source=case.attempt,
        suffix=suffix,
        debit=debit,
        credit=credit,
        money=money,
        occurred_at=case.observation.occurred_at,
    )


def told_fee(case: Case) -> int | None:
    """Return the fee to keep, in minor units: what was said last before it was booked."""
    attempt, fee = case.attempt, case.observation.fee
    if fee is None or fee.currency != attempt.currency or fee.minor <= 0:
        return None
    is_fixed = case.before in PAID_ATTEMPTS and attempt.fee_minor is not None
    return None if is_fixed else fee.minor


def book_fee(attempt: PaymentAttempt) -> None:
    """Book the fee that is known, once, when the money has come."""
    if attempt.fee is None or attempt.status not in PAID_ATTEMPTS:
        return
    book(
        kind="fee",
        source=attempt,
        debit=fee_account(attempt.provider),
        credit=provider_account(attempt.provider),
        money=attempt.fee,
    )


def book_second_fee(case: Case) -> None:
    """The fee of a second charge is its own, and part of what this reference cost."""
    attempt, fee = case.attempt, case.observation.fee
    if fee is None or fee.currency != attempt.currency or fee.minor <= 0:
        return
    book_for(
        case,
        kind="fee",
        suffix=case.observation.provider_ref,
        debit=fee_account(attempt.provider),
        credit=provider_account(attempt.provider),
        money=fee,
    )
    PaymentAttempt.objects.filter(pk=attempt.pk).update(
        fee_minor=Coalesce(F("fee_minor"), 0) + fee.minor
    )


def account_of(attempt: PaymentAttempt) -> str:
    """Return the account that holds what the attempt was asked to take in.

    A second charge under its reference is always in CUSTOMER_CREDIT.
    """
    if attempt.settles:
        return SALES
    is_owed = is_booked(attempt, "duplicate_capture") or is_booked(attempt, "late_owed")
    return CUSTOMER_CREDIT if is_owed else SUSPENSE


def is_booked(attempt: PaymentAttempt, kind: str, *, suffix: str = "") -> bool:
    """Tell whether that fact about the attempt is in the books."""
    source_id = f"{attempt.pk}:{suffix}" if suffix else str(attempt.pk)
    return LedgerTransaction.objects.filter(
        source_type="paymentattempt", source_id=source_id, kind=kind
    ).exists()


def sum_booked(attempt: PaymentAttempt, kind: str, *, suffixes: Sequence[str]) -> Money:
    """Return what was booked about the attempt as facts of that kind, in its currency."""
    entries = LedgerEntry.objects.filter(
        transaction__source_type="paymentattempt",
        transaction__source_id__in=[f"{attempt.pk}:{suffix}" for suffix in suffixes],
        transaction__kind=kind,
        currency=attempt.currency,
        amount_minor__gt=0,
    )
    minor = entries.aggregate(sum=Sum("amount_minor", default=0))["sum"]
    return Money(minor, attempt.currency)


def recount_captured(attempt: PaymentAttempt) -> None:
    """Let what refunds may take be what the books have, once a claim on it is free again.

    While the company takes money back itself, it is counted no lower than that claim.
    """
    seconds = SecondCharge.objects.filter(attempt=attempt).values_list("provider_ref", flat=True)
    suffixes = [*seconds, *part_suffixes(attempt)]
    entries = LedgerEntry.objects.filter(
        transaction__source_type="paymentattempt",
        # Each one by its name: a prefix would read all that this company has ever taken.
        transaction__source_id__in=[
            str(attempt.pk),
            *(f"{attempt.pk}:{each}" for each in suffixes),
        ],
        transaction__kind__in=_COUNTED,
        account=provider_account(attempt.provider),
        currency=attempt.currency,
    )
    held = entries.aggregate(sum=Sum("amount_minor", default=0))["sum"]
    PaymentAttempt.objects.filter(pk=attempt.pk).update(
        captured_minor=Greatest(Value(held), F("refund_reserved_minor"))
    )


def part_suffixes(attempt: PaymentAttempt) -> list[str]:
    """Return what tells apart the parts that have gone back, which have a break each."""
    prefix = reversed_key(attempt, "")
    told = Break.objects.filter(attempt=attempt, dedupe_key__startswith=prefix)
    return [key.removeprefix(prefix) for key in told.values_list("dedupe_key", flat=True)]


def reversed_key(attempt: PaymentAttempt, suffix: str) -> str:
    """Return the name of the break about money that the company took back."""
    return f"reversed:attempt:{attempt.pk}:{suffix}"


def change_captured(attempt: PaymentAttempt, *, by: Money) -> None:
    """Count money in or out; never below what refunds have a claim on already.

    Money of another currency is not counted.
    """
    if by.currency != attempt.currency:
        return
    PaymentAttempt.objects.filter(pk=attempt.pk).update(
        captured_minor=Greatest(F("captured_minor") + by.minor, F("refund_reserved_minor"))
    )
