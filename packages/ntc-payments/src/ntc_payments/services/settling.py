"""What an attempt's money does: the books, the payment, the policies, the breaks.

Called by `observing` with the payment locked, after the attempt has moved. Every function
may meet the same fact again; a booking is made once, and what belongs to it follows it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import F
from django.db.models.functions import Coalesce, Greatest
from ntc_core.money import Money

from ntc_payments.conf import payments_settings
from ntc_payments.models import Break, LedgerTransaction, Payment, PaymentAttempt
from ntc_payments.services.breaks import open_break, resolve_breaks
from ntc_payments.services.consequences import announce_later, refund_later, withdraw_later
from ntc_payments.services.ledger import (
    CUSTOMER_CREDIT,
    SALES,
    SUSPENSE,
    book,
    fee_account,
    provider_account,
)
from ntc_payments.services.moves import move_payment
from ntc_payments.transitions import DEAD_ATTEMPTS, PAID_ATTEMPTS, UNPAID_PAYMENTS
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    DuplicatePolicy,
    LateSuccessPolicy,
    Observation,
    PaymentStatus,
    Source,
)

__all__ = [
    "Case",
    "book_fee",
    "contradict",
    "open_case_break",
    "reverse",
    "settle",
    "take_mismatch",
    "take_second_charge",
    "told_fee",
]

log = logging.getLogger("ntc_payments")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One observation and what it meets, with the payment locked."""

    payment: Payment
    attempt: PaymentAttempt
    before: AttemptStatus
    observation: Observation
    source: Source


def settle(case: Case) -> None:
    """The money of one attempt is there: let it pay the payment, at most once."""
    payment, attempt = case.payment, case.attempt
    # A payment succeeds with the attempt that settles it, and stays so.
    if payment.status == PaymentStatus.SUCCEEDED:
        _take_duplicate(case, suffix="", key=f"{attempt.pk}")
    elif case.before in DEAD_ATTEMPTS or not payment.is_waiting:
        _settle_late(case)
    else:
        _book_in(case, kind="capture", credit=SALES, money=attempt.money)
        _pay(case)
    book_fee(attempt)


def _settle_late(case: Case) -> None:
    """Book it at once, whatever its purpose turns out to be; then do what the policy says."""
    payment, attempt = case.payment, case.attempt
    _book_in(case, kind="late_capture", credit=SUSPENSE, money=attempt.money)
    announce_later("payment_late_success", payment=payment, attempt=attempt, once_per=attempt.pk)
    policy = LateSuccessPolicy(
        _policy(
            payments_settings.PAYMENT_LATE_SUCCESS_POLICY,
            purpose=payment.purpose,
            default=LateSuccessPolicy.ACCEPT,
        )
    )
    # Tried again meanwhile: the payment is still wanted, and this is its money.
    if policy is LateSuccessPolicy.ACCEPT or payment.is_waiting:
        _book(case, kind="late_accepted", debit=SUSPENSE, credit=SALES, money=attempt.money)
        _pay(case, reason="late_success")
        resolve_breaks("The money was accepted.", dedupe_key=_late_key(attempt))
    elif policy is LateSuccessPolicy.AUTO_REFUND:
        _book(case, kind="late_owed", debit=SUSPENSE, credit=CUSTOMER_CREDIT, money=attempt.money)
        refund_later(attempt=attempt, money=attempt.money, key=f"late:{attempt.pk}")
        resolve_breaks("The money is given back.", dedupe_key=_late_key(attempt))
    else:
        open_case_break(
            case,
            kind=Break.Kind.LATE_SUCCESS,
            dedupe_key=_late_key(attempt),
            detail=f"{attempt.money} came when the payment was {payment.status}; it is held.",
            money=attempt.money,
        )


def _pay(case: Case, *, reason: str = "") -> None:
    payment, attempt = case.payment, case.attempt
    attempt.settles = True
    attempt.save(update_fields=["settles"])
    move_payment(
        payment,
        to=PaymentStatus.SUCCEEDED,
        allowed=UNPAID_PAYMENTS,
        source=case.source,
        attempt=attempt,
        reason=reason,
    )
    announce_later("payment_succeeded", payment=payment, attempt=attempt)
    withdraw_later(payment=payment)


def take_second_charge(case: Case) -> None:
    """The company names another transaction of its own under a reference that was paid.

    Or says that this one has gone back: then it had come.
    """
    attempt, observation = case.attempt, case.observation
    ref, money = observation.provider_ref, observation.money or attempt.money
    is_new = _take_duplicate(case, suffix=ref, key=f"{attempt.pk}:{ref}")
    if is_new:
        _change_captured(attempt, by=money)
        _book_second_fee(case)
    if observation.claim is not Claim.REVERSED:
        return
    if not _book(
        case,
        kind="reversal",
        suffix=ref,
        debit=CUSTOMER_CREDIT,
        credit=provider_account(attempt.provider),
        money=money,
    ):
        return
    _change_captured(attempt, by=-money)
    resolve_breaks(
        "The company took the second charge back.",
        dedupe_key=f"duplicate_charge:attempt:{attempt.pk}:{ref}",
    )
    if attempt.refund_reserved_minor:
        _open_reversed(case, suffix=ref, money=money)


def _take_duplicate(case: Case, *, suffix: str, key: str) -> bool:
    """Book money for what was paid already; tell whether this was news."""
    payment, attempt = case.payment, case.attempt
    money = case.observation.money or attempt.money
    is_new = _book_in(
        case, kind="duplicate_capture", suffix=suffix, credit=CUSTOMER_CREDIT, money=money
    )
    if not is_new:
        return False
    log.error(
        "payment.duplicate_charge",
        extra={"payment": str(payment.uid), "reference": attempt.reference},
    )
    announce_later("payment_duplicate_charge", payment=payment, attempt=attempt, once_per=key)
    policy = DuplicatePolicy(
        _policy(
            payments_settings.PAYMENT_DUPLICATE_POLICY,
            purpose=payment.purpose,
            default=DuplicatePolicy.HOLD,
        )
    )
    if policy is DuplicatePolicy.AUTO_REFUND:
        refund_later(attempt=attempt, money=money, key=f"duplicate:{key}")
    else:
        open_case_break(
            case,
            kind=Break.Kind.DUPLICATE_CHARGE,
            dedupe_key=f"duplicate_charge:attempt:{key}",
            detail=f"{money} came for a payment that was paid already. Give it back.",
            money=money,
        )
    return True


def take_mismatch(case: Case) -> None:
    """Money of another amount or currency: book it where nobody takes it for a sale."""
    attempt, money = case.attempt, case.observation.money
    if money is None or money.minor <= 0:
        return
    suffix = f"{case.observation.provider_ref}:{money.minor}{money.currency}"
    key = f"{attempt.pk}:{suffix}"
    if case.observation.claim is Claim.SUCCESS:
        _book_in(case, kind="mismatch_capture", suffix=suffix, credit=SUSPENSE, money=money)
        open_case_break(
            case,
            kind=Break.Kind.INTEGRITY,
            dedupe_key=f"integrity:attempt:{key}",
            detail=f"{money} came, {attempt.money} was asked for. The money is in suspense.",
            money=money,
        )
        return
    # A part went back. Without the booking of what it is a part of there is nothing to mirror.
    has_come = _is_booked(attempt, "mismatch_capture", suffix=suffix)
    if case.before in PAID_ATTEMPTS or has_come:
        _book(
            case,
            kind="mismatch_reversal",
            suffix=suffix,
            debit=SUSPENSE,
            credit=provider_account(attempt.provider),
            money=money,
        )
    _open_reversed(case, suffix=suffix, money=money)


def reverse(case: Case) -> None:
    """The company took the attempt's money back: mirror it, and tell what it had paid for."""
    payment, attempt = case.payment, case.attempt
    _book(
        case,
        kind="reversal",
        debit=_where_it_is(attempt),
        credit=provider_account(attempt.provider),
        money=attempt.money,
    )
    _change_captured(attempt, by=-attempt.money)
    resolve_breaks(
        "The company took the money back.",
        attempt=attempt,
        kind__in=[Break.Kind.CONTRADICTION, Break.Kind.LATE_SUCCESS],
    )
    resolve_breaks(
        "The company took the second charge back.",
        dedupe_key=f"duplicate_charge:attempt:{attempt.pk}",
    )
    _open_reversed(case, suffix="", money=attempt.money)
    if attempt.settles:
        announce_later("payment_reversed", payment=payment, attempt=attempt, once_per=attempt.pk)


def contradict(case: Case) -> None:
    """The company says "no" about money that it had said is there."""
    claim, source = case.observation.claim.value, case.source.value
    open_case_break(
        case,
        kind=Break.Kind.CONTRADICTION,
        dedupe_key=f"contradiction:attempt:{case.attempt.pk}:{claim}:{source}",
        detail=f"Paid, and then {claim} by {source}. The payment stays paid.",
        money=case.attempt.money,
    )


def told_fee(case: Case) -> int | None:
    """Return the fee to keep, in minor units: what was said last before it was booked."""
    attempt, fee = case.attempt, case.observation.fee
    if fee is None or fee.currency != attempt.currency or fee.minor <= 0:
        return None
    is_booked = case.before in PAID_ATTEMPTS and attempt.fee_minor is not None
    return None if is_booked else fee.minor


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


def _open_reversed(case: Case, *, suffix: str, money: Money) -> None:
    reserved = Money(case.attempt.refund_reserved_minor, case.attempt.currency)
    refunds = f" {reserved} of it was, or is being, given back too." if reserved.minor else ""
    open_case_break(
        case,
        kind=Break.Kind.REVERSED,
        dedupe_key=f"reversed:attempt:{case.attempt.pk}:{suffix}",
        detail=f"The company took {money} back.{refunds}",
        money=money,
    )


def _book_second_fee(case: Case) -> None:
    """The fee of a second charge is its own, and part of what this reference cost."""
    attempt, fee = case.attempt, case.observation.fee
    if fee is None or fee.currency != attempt.currency or fee.minor <= 0:
        return
    _book(
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


def _book_in(case: Case, *, kind: str, credit: str, money: Money, suffix: str = "") -> bool:
    return _book(
        case,
        kind=kind,
        suffix=suffix,
        debit=provider_account(case.attempt.provider),
        credit=credit,
        money=money,
    )


def _book(
    case: Case, *, kind: str, debit: str, credit: str, money: Money, suffix: str = ""
) -> bool:
    return book(
        kind=kind,
        source=case.attempt,
        suffix=suffix,
        debit=debit,
        credit=credit,
        money=money,
        occurred_at=case.observation.occurred_at,
    )


def _where_it_is(attempt: PaymentAttempt) -> str:
    """Return the account that holds what the attempt took in."""
    if attempt.settles:
        return SALES
    is_owed = _is_booked(attempt, "duplicate_capture") or _is_booked(attempt, "late_owed")
    return CUSTOMER_CREDIT if is_owed else SUSPENSE


def _is_booked(attempt: PaymentAttempt, kind: str, *, suffix: str = "") -> bool:
    source_id = f"{attempt.pk}:{suffix}" if suffix else str(attempt.pk)
    return LedgerTransaction.objects.filter(
        source_type="paymentattempt", source_id=source_id, kind=kind
    ).exists()


def _change_captured(attempt: PaymentAttempt, *, by: Money) -> None:
    """Count money in or out; never below what refunds have a claim on already."""
    PaymentAttempt.objects.filter(pk=attempt.pk).update(
        captured_minor=Greatest(F("captured_minor") + by.minor, F("refund_reserved_minor"))
    )


def _policy(value: str | Mapping[str, str], *, purpose: str, default: str) -> str:
    if isinstance(value, str):
        return value
    return value.get(purpose.partition(":")[0], default)


def _late_key(attempt: PaymentAttempt) -> str:
    return f"late_success:attempt:{attempt.pk}"
