"""Give a payment back: all or in parts, never more than was taken.

The amount is reserved on the attempt before anything is sent, by one UPDATE that asks
whether so much is left. A refund that fails gives its reservation back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Model
from ntc_core.errors import InvalidInput
from ntc_core.money import Money

from ntc_payments.conf import provider_registry
from ntc_payments.errors import CannotRefund, CannotResolve, ProviderCannot, RefundNotFound
from ntc_payments.models import (
    Break,
    Payment,
    PaymentAttempt,
    PaymentEvent,
    Payout,
    Refund,
)
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.services.breaks import resolve_breaks
from ntc_payments.services.consequences import announce_refund_later
from ntc_payments.services.inputs import fingerprint_of, read_key, read_text, require_same
from ntc_payments.services.money_out import MoneyOut, Move
from ntc_payments.services.moves import lock_payment
from ntc_payments.services.paying_out import add_payout
from ntc_payments.services.refund_books import give_back, release, take_back
from ntc_payments.transitions import DEAD_ATTEMPTS, LIVE_ATTEMPTS
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    Observation,
    PaymentMethod,
    PayoutMethod,
    RefundRequest,
    Source,
    StartOutcome,
    Subject,
)

__all__ = [
    "REFUND_CALLS",
    "follow_payout",
    "poll_refund",
    "refund_automatically",
    "refund_payment",
    "resolve_refund",
    "send_refund",
]

log = logging.getLogger("ntc_payments")

Route = Refund.Route

#: Claim that a payout's new status makes about the refund which it carries.
_CLAIM_OF_PAYOUT = {
    AttemptStatus.PENDING: Claim.ACCEPTED,
    AttemptStatus.UNKNOWN: Claim.ACCEPTED,
    AttemptStatus.SUCCEEDED: Claim.SUCCESS,
    AttemptStatus.REJECTED: Claim.REJECTED,
    AttemptStatus.FAILED: Claim.FAILURE,
    AttemptStatus.REVERSED: Claim.REVERSED,
}


class _RefundCalls(MoneyOut[Refund]):
    """How a refund is sent, asked about and followed."""

    subject = Subject.REFUND
    model = Refund
    event_kind = PaymentEvent.Kind.REFUND

    def start(self, provider: PaymentProvider, row: Refund) -> StartOutcome:
        return provider.start_refund(
            RefundRequest(
                reference=row.reference,
                money=row.money,
                payment_reference=row.attempt.reference,
                payment_ref=row.attempt.provider_ref,
                reason=row.reason,
            )
        )

    def query(self, provider: PaymentProvider, row: Refund) -> list[Observation]:
        return provider.query_refund(row.handle) if row.route == Route.PROVIDER else []

    def lock(self, pk: int) -> Refund:
        payment_id = Refund.objects.values_list("payment_id", flat=True).get(pk=pk)
        payment = lock_payment(payment_id)
        refund = Refund.objects.select_for_update(of=("self",), no_key=True).get(pk=pk)
        refund.payment = payment
        return refund

    def rows_of(self, row: Refund) -> dict[str, Model | None]:
        return {"payment": row.payment, "refund": row}

    def apply(self, pk: int, observation: Observation, *, source: Source, by: Any = None) -> Any:
        """As for all; a company that says "failed" about a refund it had made has undone it."""
        if observation.claim is Claim.FAILURE and source in {Source.POLL, Source.WEBHOOK}:
            status = Refund.objects.values_list("status", flat=True).get(pk=pk)
            if status == AttemptStatus.SUCCEEDED:
                observation = replace(observation, claim=Claim.REVERSED)
        return super().apply(pk, observation, source=source, by=by)

    def follow(self, move: Move[Refund]) -> None:
        refund = move.row
        if refund.status == AttemptStatus.SUCCEEDED:
            give_back(move)
            resolve_breaks(
                f"{refund.money} was given back.",
                dedupe_key=f"undecided:refund:{refund.pk}:by_hand",
            )
            announce_refund_later("payment_refunded", refund=refund)
        elif refund.status == AttemptStatus.REVERSED:
            take_back(move)
            self.open_break(
                refund,
                Break.Kind.REFUND_FAILED,
                key=refund.status,
                detail=f"{refund.money} was given back and has returned: the payer has nothing.",
            )
        elif refund.status in DEAD_ATTEMPTS:
            release(refund)
            self.open_break(
                refund,
                Break.Kind.REFUND_FAILED,
                key=refund.status,
                detail=f"{refund.money} could not be given back: {refund.failure_code}.",
            )


REFUND_CALLS = _RefundCalls()


def refund_payment(
    *,
    payment: Payment,
    money: Money | None = None,
    reason: str,
    idempotency_key: str,
    requested_by: Any = None,
    attempt: PaymentAttempt | None = None,
    route: str | None = None,
) -> Refund:
    """Reserve the amount and write the refund in the caller's transaction; call nobody yet.

    Args:
        money: None: all that is left.
        idempotency_key: the same key and content for one payment give the same refund, ever.
        requested_by: the member of staff; None: the machine, by a policy.
        attempt: whose money; None: of the attempt that paid, else the one with money left.
        route: "provider", "payout" or "manual"; None: the first of these that is possible.

    Raises:
        CannotRefund: nothing was taken, or all of it is given back or about to be.
        InvalidInput: more than is left, or something is malformed.
        ProviderCannot: the company cannot give money back by that route.
        IdempotencyKeyReused: the key was used for something else.
    """
    key = read_key(idempotency_key)
    reason = read_text(reason, name="reason")
    if money is not None and (money.minor <= 0 or money.currency != payment.currency):
        raise InvalidInput(
            f"The amount is more than zero, in {payment.currency}.", code="invalid", attr="amount"
        )
    fingerprint = fingerprint_of(
        {
            "minor": money.minor if money else None,
            "attempt": attempt.pk if attempt else None,
            "route": route,
            "reason": reason,
        }
    )
    with transaction.atomic():
        payment = lock_payment(payment.pk)
        known = payment.refunds.filter(idempotency_key=key).first()
        if known is not None:
            require_same(known.fingerprint, fingerprint)
            return known
        source = _reserve(payment, attempt, money)
        chosen = _choose_route(source.attempt, source.money, route=route)
        refund = Refund.objects.create(
            payment=payment,
            attempt=source.attempt,
            provider=source.attempt.provider,
            amount_minor=source.money.minor,
            currency=source.money.currency,
            route=chosen,
            reason=reason,
            requested_by=requested_by,
            idempotency_key=key,
            fingerprint=fingerprint,
        )
        _begin(refund, by=requested_by)
    return refund


def refund_automatically(*, attempt_id: int, amount_minor: int, key: str) -> Refund | None:
    """Give back what a policy does not want. Nothing is left of it: no refund, and no error."""
    attempt = PaymentAttempt.objects.select_related("payment").get(pk=attempt_id)
    try:
        return refund_payment(
            payment=attempt.payment,
            money=Money(amount_minor, attempt.currency),
            reason="policy",
            idempotency_key=key,
            attempt=attempt,
        )
    except (CannotRefund, InvalidInput) as error:
        # Staff were faster, or the company took it back itself; the books show which.
        log.warning("payment.refund_not_needed", extra={"key": key, "error": error.code})
        return None


def send_refund(*, refund_id: int) -> float | None:
    """Ask the company to give money back, at most once; see `MoneyOut.send()`."""
    return REFUND_CALLS.send(refund_id)


def poll_refund(*, refund_id: int) -> None:
    """Ask the company what became of a refund."""
    REFUND_CALLS.poll(refund_id)


def resolve_refund(
    *, refund_uid: UUID, outcome: str, by: Any, resolution: str, provider_ref: str = ""
) -> Refund:
    """Let staff say what became of a refund: one by hand, or one the company does not tell of.

    Args:
        outcome: "succeeded" or "failed", as the company's dashboard shows it.
        provider_ref: the company's own id of the refund, if there is one.

    Raises:
        RefundNotFound: there is none.
        CannotResolve: it goes another way, was not sent yet, or its end is known.
        InvalidInput: no resolution is given.
    """
    resolution = read_text(resolution.strip(), name="resolution")
    claims = {"succeeded": Claim.SUCCESS, "failed": Claim.FAILURE}
    if outcome not in claims:
        raise InvalidInput(f"Choose one of: {', '.join(claims)}.", attr="outcome")
    refund = Refund.objects.filter(uid=refund_uid).first()
    if refund is None:
        raise RefundNotFound
    with transaction.atomic():
        row = REFUND_CALLS.lock(refund.pk)
        hangs = row.status in {AttemptStatus.PENDING, AttemptStatus.UNKNOWN}
        by_hand = row.route == Route.MANUAL and row.status in LIVE_ATTEMPTS
        if not (by_hand or (row.route == Route.PROVIDER and hangs)):
            raise CannotResolve(f"The refund is {row.status} ({row.route}); see its own course.")
        resolve_breaks(resolution, by=by, dedupe_key=REFUND_CALLS.undecided_key(row))
        REFUND_CALLS.apply(
            row.pk,
            Observation(
                reference=row.reference,
                subject=Subject.REFUND,
                claim=claims[outcome],
                provider_ref=provider_ref,
                failure_message=resolution if outcome == "failed" else "",
            ),
            source=Source.STAFF,
            by=by,
        )
    REFUND_CALLS.log_resolved(row, outcome=outcome, by=by)
    refund.refresh_from_db()
    return refund


def follow_payout(refund: Refund, move: Move[Payout]) -> None:
    """Let a refund follow the payout that carries it, in the payout's transaction."""
    claim = _CLAIM_OF_PAYOUT.get(AttemptStatus(move.row.status))
    if claim is None:
        return
    REFUND_CALLS.apply(
        refund.pk,
        Observation(
            reference=refund.reference,
            subject=Subject.REFUND,
            claim=claim,
            failure_code=move.observation.failure_code,
            failure_message=move.observation.failure_message,
            occurred_at=move.observation.occurred_at,
        ),
        source=Source.SYSTEM if claim is Claim.REJECTED else move.source,
        by=move.by,
    )


@dataclass(frozen=True)
class _Reserved:
    """What a refund may take, and of which attempt."""

    attempt: PaymentAttempt
    money: Money


def _reserve(payment: Payment, attempt: PaymentAttempt | None, money: Money | None) -> _Reserved:
    """Put the amount aside in one statement that asks whether so much is left."""
    attempts = [attempt] if attempt else _refundable(payment)
    if not attempts:
        raise CannotRefund("Nothing of this payment is left to give back.")
    chosen = PaymentAttempt.objects.get(pk=attempts[0].pk)
    left = Money(chosen.captured_minor - chosen.refund_reserved_minor, chosen.currency)
    if left.minor <= 0:
        raise CannotRefund("Nothing of this payment is left to give back.")
    wanted = money or left
    reserved = PaymentAttempt.objects.filter(
        pk=chosen.pk, captured_minor__gte=F("refund_reserved_minor") + wanted.minor
    ).update(refund_reserved_minor=F("refund_reserved_minor") + wanted.minor)
    if not reserved:
        raise InvalidInput(f"At most {left} is left to give back.", code="too_much", attr="amount")
    chosen.refresh_from_db()
    return _Reserved(chosen, wanted)


def _refundable(payment: Payment) -> list[PaymentAttempt]:
    """Attempts with money left: a second charge before the one that paid."""
    attempts = payment.attempts.filter(captured_minor__gt=F("refund_reserved_minor"))
    return list(attempts.order_by("settles", "pk"))


def _choose_route(attempt: PaymentAttempt, money: Money, *, route: str | None) -> str:
    provider = provider_registry.get(attempt.provider)
    refusals = {
        Route.PROVIDER.value: (
            None if provider.capabilities.can_refund else f"{provider.title} has no refunds."
        ),
        Route.PAYOUT.value: _payout_refusal(provider, attempt, money),
        Route.MANUAL.value: None,
    }
    if route is not None and route not in refusals:
        raise InvalidInput(f"Choose one of: {', '.join(refusals)}.", attr="route")
    for candidate in [route] if route else refusals:
        if refusals[candidate] is None:
            return candidate
    raise ProviderCannot(str(refusals[route or ""]), attr="route")


def _payout_refusal(provider: PaymentProvider, attempt: PaymentAttempt, money: Money) -> str | None:
    # Beside a page or a number that anybody can pay on, a phone is only what the payer said.
    if attempt.method != PaymentMethod.MOBILE_PUSH or not attempt.phone_e164:
        return "The number that paid is not known; only a prompt goes to one."
    refusal = provider.capabilities.payout_refusal(method=PayoutMethod.MOBILE_WALLET, money=money)
    return f"{provider.title} {refusal[1]}" if refusal else None


def _begin(refund: Refund, *, by: Any) -> None:
    REFUND_CALLS.write(
        refund,
        source=Source.STAFF if by else Source.SYSTEM,
        by=by,
        applied=True,
        from_status="",
        to_status=AttemptStatus.CREATED.value,
        reason=refund.route,
    )
    log.info(
        "payment.refund_created",
        extra={
            "payment": str(refund.payment.uid),
            "refund": str(refund.uid),
            "provider": refund.provider,
            "route": refund.route,
            # Never the person: their name may be a number or an address.
            "by": str(by.pk) if by else "",
        },
    )
    if refund.route == Route.PROVIDER:
        REFUND_CALLS.send_later(refund)
    elif refund.route == Route.PAYOUT:
        refund.payout, _ = add_payout(
            provider=provider_registry.get(refund.provider),
            created_by=None,
            idempotency_key=f"refund:{refund.uid}",
            fingerprint=refund.fingerprint,
            content={
                "method": PayoutMethod.MOBILE_WALLET.value,
                "phone_e164": refund.attempt.phone_e164,
                "amount_minor": refund.amount_minor,
                "currency": refund.currency,
                "purpose": f"refund:{refund.uid}",
                "description": refund.payment.description,
            },
        )
        refund.save(update_fields=["payout", "updated_at"])
    else:
        REFUND_CALLS.open_break(
            refund,
            Break.Kind.UNDECIDED,
            key="by_hand",
            detail=f"Give {refund.money} back in the company's dashboard, then say so here.",
        )
