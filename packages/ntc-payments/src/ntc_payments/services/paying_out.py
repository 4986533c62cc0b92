"""Pay money out: once, by the company's rail that was chosen before the call."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model
from ntc_core.errors import InvalidInput, Unavailable
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.money import Money

from ntc_payments.conf import provider_registry
from ntc_payments.errors import CannotResolve, PayoutNotFound, ProviderCannot
from ntc_payments.models import Break, PaymentEvent, Payout
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.services.breaks import resolve_breaks
from ntc_payments.services.choosing import read_phone
from ntc_payments.services.consequences import announce_payout_later
from ntc_payments.services.inputs import fingerprint_of, read_key, read_text, require_same
from ntc_payments.services.ledger import PAYOUTS, book, fee_account, provider_account
from ntc_payments.services.money_out import MoneyOut, Move
from ntc_payments.services.moves import lock_payment
from ntc_payments.services.schedule import payout_watch_seconds
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    Observation,
    PaymentMethod,
    PayoutDestination,
    PayoutMethod,
    PayoutPreview,
    PayoutRequest,
    Source,
    StartOutcome,
    Subject,
)

__all__ = [
    "PAYOUT_CALLS",
    "add_payout",
    "create_payout",
    "poll_payout",
    "preview_payout",
    "resolve_payout",
    "send_payout",
]

log = logging.getLogger("ntc_payments")


class _PayoutCalls(MoneyOut[Payout]):
    """How a payout is sent, asked about and followed."""

    subject = Subject.PAYOUT
    model = Payout
    event_kind = PaymentEvent.Kind.PAYOUT

    def start(self, provider: PaymentProvider, row: Payout) -> StartOutcome:
        return provider.start_payout(_request(row))

    def query(self, provider: PaymentProvider, row: Payout) -> list[Observation]:
        return provider.query_payout(row.handle)

    def watch_seconds(self, row: Payout) -> int:
        return payout_watch_seconds(row.provider)

    def lock(self, pk: int) -> Payout:
        """A payout that carries a refund stands on its payment, which is locked first."""
        payment_ids = Payout.objects.filter(pk=pk).values_list("refund__payment_id", flat=True)
        if (payment_id := payment_ids.get()) is not None:
            lock_payment(payment_id)
        return Payout.objects.select_for_update(of=("self",), no_key=True).get(pk=pk)

    def rows_of(self, row: Payout) -> dict[str, Model | None]:
        return {"payout": row}

    def follow(self, move: Move[Payout]) -> None:
        # A refund that goes this way keeps the books itself: the money is the payer's own.
        refund = getattr(move.row, "refund", None)
        if refund is not None:
            from ntc_payments.services.refunding import follow_payout  # noqa: PLC0415 - it stands on this

            follow_payout(refund, move)
        else:
            _book(move)
        _book_fee(move.row)
        if move.row.status in _ANNOUNCED and refund is None:
            announce_payout_later(_ANNOUNCED[AttemptStatus(move.row.status)], payout=move.row)


_ANNOUNCED = {
    AttemptStatus.SUCCEEDED: "payout_succeeded",
    AttemptStatus.REJECTED: "payout_failed",
    AttemptStatus.FAILED: "payout_failed",
    AttemptStatus.REVERSED: "payout_reversed",
}

PAYOUT_CALLS = _PayoutCalls()


def create_payout(
    *,
    created_by: Any,
    money: Money,
    method: str,
    provider: str | None = None,
    phone: str | None = None,
    bank_code: str = "",
    account_number: str = "",
    receiver_name: str = "",
    purpose: str,
    description: str,
    idempotency_key: str,
) -> Payout:
    """Write a payout in the caller's transaction; call nobody yet.

    Args:
        provider: a configured name; None: the first that can do this.
        phone: of a mobile wallet, in any spelling.
        bank_code: as the provider names the bank; see its page.
        idempotency_key: the same key and content of one person give the same payout, ever.

    Raises:
        InvalidInput: something is malformed; `attr` names it.
        ProviderCannot: no provider pays out like that.
        IdempotencyKeyReused: the key was used for something else.
        Unavailable: no provider is configured.
    """
    destination = _read_destination(
        method=method,
        phone=phone,
        bank_code=bank_code,
        account_number=account_number,
        receiver_name=receiver_name,
    )
    content = {
        **_columns(destination),
        "amount_minor": money.minor,
        "currency": money.currency,
        "purpose": read_text(purpose, name="purpose"),
        "description": read_text(description, name="description"),
    }
    key = read_key(idempotency_key)
    fingerprint = fingerprint_of({**content, "provider": provider or ""})
    known = Payout.objects.filter(created_by=created_by, idempotency_key=key).first()
    if known is not None:
        require_same(known.fingerprint, fingerprint)
        return known
    chosen = _choose(name=provider, destination=destination, money=money)
    with transaction.atomic():
        payout, is_new = add_payout(
            provider=chosen,
            created_by=created_by,
            idempotency_key=key,
            fingerprint=fingerprint,
            content=content,
        )
        if not is_new:
            require_same(payout.fingerprint, fingerprint)
    return payout


def add_payout(
    *,
    provider: PaymentProvider,
    created_by: Any,
    idempotency_key: str,
    fingerprint: str,
    content: dict[str, Any],
) -> tuple[Payout, bool]:
    """Write the row and have it sent; of two equal calls the second finds the first one's row.

    Raises:
        ProviderCannot: the company has no rail to there.
    """
    draft = Payout(provider=provider.name, **content)
    payout, is_new = Payout.objects.get_or_create(
        created_by=created_by,
        idempotency_key=idempotency_key,
        defaults={
            **content,
            "provider": provider.name,
            "fingerprint": fingerprint,
            "rail": _rail(provider, draft),
        },
    )
    if is_new:
        PAYOUT_CALLS.write(
            payout,
            source=Source.STAFF,
            by=created_by,
            applied=True,
            from_status="",
            to_status=AttemptStatus.CREATED.value,
        )
        PAYOUT_CALLS.send_later(payout)
        log.info(
            "payment.payout_created",
            extra={
                "payout": str(payout.uid),
                "provider": provider.name,
                "by": str(created_by.pk) if created_by else "",
            },
        )
    return payout, is_new


def preview_payout(
    *,
    money: Money,
    method: str,
    provider: str | None = None,
    phone: str | None = None,
    bank_code: str = "",
    account_number: str = "",
    receiver_name: str = "",
) -> PayoutPreview:
    """Ask the company for its fee and whose account that is. Nothing moves, no row is written.

    Raises:
        As `create_payout()`; Unavailable: the company does not answer.
        ProviderCannot: it has no preview.
    """
    destination = _read_destination(
        method=method,
        phone=phone,
        bank_code=bank_code,
        account_number=account_number,
        receiver_name=receiver_name,
    )
    chosen = _choose(name=provider, destination=destination, money=money)
    draft = Payout(
        provider=chosen.name,
        amount_minor=money.minor,
        currency=money.currency,
        **_columns(destination),
    )
    draft.rail = _rail(chosen, draft)
    try:
        return chosen.preview_payout(_request(draft))
    except NotImplementedError as error:
        raise ProviderCannot(f"{chosen.title} has no preview.", attr="provider") from error
    except (HttpFailure, AnswerUnreadable) as error:
        raise Unavailable(f"{chosen.title} did not tell: {error}") from error


def send_payout(*, payout_id: int) -> float | None:
    """Ask the company to pay out, at most once; see `MoneyOut.send()`."""
    return PAYOUT_CALLS.send(payout_id)


def poll_payout(*, payout_id: int) -> None:
    """Ask the company what became of a payout."""
    PAYOUT_CALLS.poll(payout_id)


def resolve_payout(*, payout_uid: UUID, outcome: str, by: Any, resolution: str) -> Payout:
    """Let staff say what became of a payout that the company does not tell.

    Args:
        outcome: "succeeded" or "failed", as the company's dashboard shows it.

    Raises:
        PayoutNotFound: there is none.
        CannotResolve: it was not sent yet, or its end is known.
        InvalidInput: no resolution is given.
    """
    resolution = read_text(resolution.strip(), name="resolution")
    payout = Payout.objects.filter(uid=payout_uid).first()
    if payout is None:
        raise PayoutNotFound
    claims = {"succeeded": Claim.SUCCESS, "failed": Claim.FAILURE}
    if outcome not in claims:
        raise InvalidInput(f"Choose one of: {', '.join(claims)}.", attr="outcome")
    with transaction.atomic():
        row = PAYOUT_CALLS.lock(payout.pk)
        if row.status not in {AttemptStatus.PENDING, AttemptStatus.UNKNOWN}:
            raise CannotResolve(f"The payout is {row.status}; only one that hangs is resolved.")
        # First: the move would close it with a sentence of its own.
        resolve_breaks(resolution, by=by, dedupe_key=PAYOUT_CALLS.undecided_key(row))
        PAYOUT_CALLS.apply(
            row.pk,
            Observation(
                reference=row.reference,
                subject=Subject.PAYOUT,
                claim=claims[outcome],
                failure_message=resolution if outcome == "failed" else "",
            ),
            source=Source.STAFF,
            by=by,
        )
    PAYOUT_CALLS.log_resolved(row, outcome=outcome, by=by)
    payout.refresh_from_db()
    return payout


def _choose(*, name: str | None, destination: PayoutDestination, money: Money) -> PaymentProvider:
    names = provider_registry.names()
    if not names:
        raise Unavailable("Payouts are not available: no payment provider is configured.")
    if name is not None and name not in names:
        raise InvalidInput(
            f"There is no payment provider {name[:50]!r}. Choose one of: {', '.join(names)}.",
            code="unknown_provider",
            attr="provider",
        )
    if money.minor <= 0:
        raise InvalidInput("The amount must be more than zero.", attr="amount")
    refusals = []
    for candidate in [name] if name else names:
        provider = provider_registry.get(candidate)
        refusal = provider.capabilities.payout_refusal(method=destination.method, money=money)
        if refusal is None:
            return provider
        refusals.append((refusal[0], f"{provider.title} {refusal[1]}"))
    raise ProviderCannot(" ".join(sentence for _, sentence in refusals), attr=refusals[0][0])


def _read_destination(
    *, method: str, phone: str | None, bank_code: str, account_number: str, receiver_name: str
) -> PayoutDestination:
    try:
        chosen = PayoutMethod(method)
    except ValueError as error:
        known = ", ".join(PayoutMethod)
        raise InvalidInput(f"Choose one of: {known}.", code="invalid", attr="method") from error
    if chosen is PayoutMethod.MOBILE_WALLET:
        return PayoutDestination(
            method=chosen,
            phone_e164=read_phone(phone, method=PaymentMethod.MOBILE_PUSH),
            name=receiver_name,
        )
    given = {
        "bank_code": bank_code,
        "account_number": account_number,
        "receiver_name": receiver_name,
    }
    for name, value in given.items():
        if not value:
            raise InvalidInput("This field is required.", code="required", attr=name)
    return PayoutDestination(
        method=chosen, bank_code=bank_code, account_number=account_number, name=receiver_name
    )


def _columns(destination: PayoutDestination) -> dict[str, str]:
    return {
        "method": destination.method.value,
        "phone_e164": destination.phone_e164,
        "bank_code": destination.bank_code,
        "account_number": destination.account_number,
        "receiver_name": destination.name,
    }


def _request(row: Payout) -> PayoutRequest:
    return PayoutRequest(
        reference=row.reference,
        money=row.money,
        destination=row.destination,
        description=row.description,
        rail=row.rail,
    )


def _rail(provider: PaymentProvider, draft: Payout) -> str:
    try:
        return provider.payout_rail(_request(draft))
    except ValueError as error:
        raise ProviderCannot(str(error), attr="bank_code") from error


def _book(move: Move[Payout]) -> None:
    payout = move.row
    company = provider_account(payout.provider)
    if payout.status == AttemptStatus.SUCCEEDED:
        book(
            kind="payout",
            source=payout,
            debit=PAYOUTS,
            credit=company,
            money=payout.money,
            occurred_at=move.observation.occurred_at,
        )
    elif payout.status == AttemptStatus.REVERSED:
        book(
            kind="payout_reversal",
            source=payout,
            debit=company,
            credit=PAYOUTS,
            money=payout.money,
            occurred_at=move.observation.occurred_at,
        )
        PAYOUT_CALLS.open_break(
            payout,
            Break.Kind.REVERSED,
            key="",
            detail=f"{payout.money} came back from the receiver's account.",
        )


def _book_fee(payout: Payout) -> None:
    if payout.fee is not None and payout.fee.minor > 0 and payout.status == AttemptStatus.SUCCEEDED:
        book(
            kind="fee",
            source=payout,
            debit=fee_account(payout.provider),
            credit=provider_account(payout.provider),
            money=payout.fee,
        )
