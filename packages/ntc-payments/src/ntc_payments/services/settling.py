"""What an attempt's money does: the books, the payment, the policies, the breaks.

Called by `observing` with the payment locked, after the attempt has moved. Every function
may meet the same fact again; a booking is made once, and what belongs to it follows it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from ntc_core.errors import Conflict
from ntc_core.money import Money

from ntc_payments.conf import payments_settings
from ntc_payments.models import Break, Payment, PaymentAttempt, SecondCharge
from ntc_payments.services.booking import (
    PART_REVERSAL,
    Case,
    account_of,
    book_fee,
    book_for,
    book_in,
    book_second_fee,
    change_captured,
    is_booked,
    open_case_break,
    part_suffixes,
    reversed_key,
    sum_booked,
)
from ntc_payments.services.breaks import close_break, resolve_breaks
from ntc_payments.services.consequences import announce_later, refund_later, withdraw_later
from ntc_payments.services.ledger import CUSTOMER_CREDIT, SALES, SUSPENSE, provider_account
from ntc_payments.services.moves import lock_payment, move_payment
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
    "accept_held",
    "contradict",
    "reverse",
    "settle",
    "take_mismatch",
    "take_second_charge",
]

log = logging.getLogger("ntc_payments")


def settle(case: Case) -> None:
    """The money of one attempt is there: let it pay the payment, at most once."""
    payment, attempt = case.payment, case.attempt
    # A payment succeeds with the attempt that settles it, and stays so.
    if payment.status == PaymentStatus.SUCCEEDED:
        _take_duplicate(case, suffix="", key=f"{attempt.pk}")
    elif case.before in DEAD_ATTEMPTS or not payment.is_waiting:
        _settle_late(case)
    else:
        book_in(case, kind="capture", credit=SALES, money=attempt.money)
        _pay(case)
    book_fee(attempt)


def _settle_late(case: Case) -> None:
    """Book it at once, whatever its purpose turns out to be; then do what the policy says."""
    payment, attempt = case.payment, case.attempt
    book_in(case, kind="late_capture", credit=SUSPENSE, money=attempt.money)
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
        book_for(case, kind="late_accepted", debit=SUSPENSE, credit=SALES, money=attempt.money)
        _pay(case, reason="late_success")
        resolve_breaks("The money was accepted.", dedupe_key=_late_key(attempt))
    elif policy is LateSuccessPolicy.AUTO_REFUND:
        book_for(
            case, kind="late_owed", debit=SUSPENSE, credit=CUSTOMER_CREDIT, money=attempt.money
        )
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


def accept_held(*, attempt_id: int, by: Any, resolution: str) -> Payment:
    """Let late money that is held pay its payment after all, by a person's decision.

    Raises:
        Conflict: none is held, or it is being given back.
        InvalidInput: no resolution is given.
    """
    with transaction.atomic():
        payment_id = PaymentAttempt.objects.values_list("payment_id", flat=True).get(pk=attempt_id)
        payment = lock_payment(payment_id)
        attempt = PaymentAttempt.objects.get(pk=attempt_id)
        attempt.payment = payment
        held = Break.objects.filter(dedupe_key=_late_key(attempt), state=Break.State.OPEN).first()
        is_free = attempt.status == AttemptStatus.SUCCEEDED and not attempt.refund_reserved_minor
        if held is None or not is_free or payment.status == PaymentStatus.SUCCEEDED:
            raise Conflict("No money of this attempt is held.", code="not_held")
        case = Case(
            payment=payment,
            attempt=attempt,
            before=AttemptStatus.SUCCEEDED,
            observation=Observation(reference=attempt.reference, claim=Claim.SUCCESS),
            source=Source.STAFF,
        )
        book_for(case, kind="late_accepted", debit=SUSPENSE, credit=SALES, money=attempt.money)
        _pay(case, reason="late_success")
        close_break(break_uid=held.uid, by=by, resolution=resolution)
    return payment


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
        change_captured(attempt, by=money)
        book_second_fee(case)
    if observation.claim is not Claim.REVERSED:
        return
    if not book_for(
        case,
        kind="reversal",
        suffix=ref,
        debit=CUSTOMER_CREDIT,
        credit=provider_account(attempt.provider),
        money=money,
    ):
        return
    change_captured(attempt, by=-money)
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
    is_new = book_in(
        case, kind="duplicate_capture", suffix=suffix, credit=CUSTOMER_CREDIT, money=money
    )
    if not is_new:
        return False
    if suffix:
        # Told under another attempt too, it is known there as this one's.
        SecondCharge.objects.create(provider=attempt.provider, provider_ref=suffix, attempt=attempt)
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
        book_in(case, kind="mismatch_capture", suffix=suffix, credit=SUSPENSE, money=money)
        open_case_break(
            case,
            kind=Break.Kind.INTEGRITY,
            dedupe_key=f"integrity:attempt:{key}",
            detail=f"{money} came, {attempt.money} was asked for. The money is in suspense.",
            money=money,
        )
        return
    # A part went back. Without the booking of what it is a part of there is nothing to mirror.
    company = provider_account(attempt.provider)
    if is_booked(attempt, "mismatch_capture", suffix=suffix):
        book_for(
            case,
            kind="mismatch_reversal",
            suffix=suffix,
            debit=SUSPENSE,
            credit=company,
            money=money,
        )
    elif case.before in PAID_ATTEMPTS and book_for(
        case, kind=PART_REVERSAL, suffix=suffix, debit=SUSPENSE, credit=company, money=money
    ):
        # What is gone cannot be given back.
        change_captured(attempt, by=-money)
    _open_reversed(case, suffix=suffix, money=money)


def reverse(case: Case) -> None:
    """The company took the attempt's money back: mirror it, and tell what it had paid for."""
    payment, attempt = case.payment, case.attempt
    # Parts that went before went out of suspense: they are put back there, not taken twice.
    parts = _parts_gone(attempt)
    rest = attempt.money - parts
    for kind, credit, money in (
        ("reversal", provider_account(attempt.provider), rest),
        ("reversal_of_parts", SUSPENSE, parts),
    ):
        if money.minor > 0:
            book_for(case, kind=kind, debit=account_of(attempt), credit=credit, money=money)
    if rest.minor > 0:
        change_captured(attempt, by=-rest)
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


def _parts_gone(attempt: PaymentAttempt) -> Money:
    """Return what has gone back of the attempt in parts, never more than it took in."""
    gone = sum_booked(attempt, PART_REVERSAL, suffixes=part_suffixes(attempt))
    return min(gone, attempt.money)


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


def _open_reversed(case: Case, *, suffix: str, money: Money) -> None:
    reserved = Money(case.attempt.refund_reserved_minor, case.attempt.currency)
    refunds = f" {reserved} of it was, or is being, given back too." if reserved.minor else ""
    open_case_break(
        case,
        kind=Break.Kind.REVERSED,
        dedupe_key=reversed_key(case.attempt, suffix),
        detail=f"The company took {money} back.{refunds}",
        money=money,
    )


def _policy(value: str | Mapping[str, str], *, purpose: str, default: str) -> str:
    if isinstance(value, str):
        return value
    return value.get(purpose.partition(":")[0], default)


def _late_key(attempt: PaymentAttempt) -> str:
    return f"late_success:attempt:{attempt.pk}"
