"""Money that came under a reference that is none of ours."""

from __future__ import annotations

from django.db import transaction

from ntc_payments.models import Break
from ntc_payments.services.breaks import open_break, resolve_breaks
from ntc_payments.services.ledger import SUSPENSE, book, provider_account
from ntc_payments.types import Claim, Observation, Subject, Trust

__all__ = ["put_into_suspense", "take_out_of_suspense"]


@transaction.atomic
def put_into_suspense(*, provider: str, observation: Observation) -> None:
    """Book money that is proven to have come, and leave its purpose to a person.

    Once per charge, under however many events it was told. What is no money is left alone.
    """
    key = _key(provider, observation)
    money = observation.money
    if key is None or money is None:
        return
    what = "came under a reference that is none of ours"
    if observation.renews:
        what = f"came for a later period of {observation.renews}, which had another price or is not"
        what += " paid here"
    found = open_break(
        kind=Break.Kind.UNMATCHED,
        dedupe_key=key,
        provider=provider,
        detail=f"{money} {what}. It is in suspense.",
        money=money,
    )
    book(
        kind="unmatched_capture",
        source=found,
        debit=provider_account(provider),
        credit=SUSPENSE,
        money=money,
        occurred_at=observation.occurred_at,
    )


@transaction.atomic
def take_out_of_suspense(*, provider: str, observation: Observation) -> None:
    """Undo that booking, if there is one: the money has found its attempt, which books it."""
    key = _key(provider, observation)
    found = Break.objects.filter(dedupe_key=key, state=Break.State.OPEN).first() if key else None
    if found is None or found.money is None:
        return
    book(
        kind="unmatched_found",
        source=found,
        debit=SUSPENSE,
        credit=provider_account(provider),
        money=found.money,
    )
    resolve_breaks("Its payment was found.", dedupe_key=found.dedupe_key)


def _key(provider: str, observation: Observation) -> str | None:
    """Name the charge; None: it is none, or nothing proves it."""
    money = observation.money
    is_charge = observation.subject is Subject.PAYMENT and observation.claim is Claim.SUCCESS
    if not is_charge or observation.trust is not Trust.STRONG or money is None or money.minor <= 0:
        return None
    name = observation.provider_ref or observation.reference
    return f"unmatched:{provider}:{name}:{money.minor}{money.currency}"
