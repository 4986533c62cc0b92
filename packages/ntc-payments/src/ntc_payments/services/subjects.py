"""Which row an observation is about, and who applies it there: one line per subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import QuerySet

from ntc_payments.models import Payout, Refund
from ntc_payments.selectors import find_attempt
from ntc_payments.services.observing import apply_observation
from ntc_payments.services.paying_out import PAYOUT_CALLS
from ntc_payments.services.refunding import REFUND_CALLS
from ntc_payments.services.renewing import add_renewal
from ntc_payments.types import Observation, Source, Subject

__all__ = ["Known", "apply_known", "find_known"]

_Row = TypeVar("_Row", Refund, Payout)


@dataclass(frozen=True, kw_only=True)
class Known:
    """An observation and the row that it is about.

    Attributes:
        payment_id: of the row's payment, which is locked first; 0: it has none.
    """

    observation: Observation
    pk: int
    payment_id: int


def _find_attempt(provider: str, observation: Observation) -> Known | None:
    attempt = find_attempt(
        provider=provider,
        reference=observation.reference,
        provider_ref=observation.provider_ref,
    )
    attempt = attempt or add_renewal(provider=provider, observation=observation)
    if attempt is None:
        return None
    return Known(observation=observation, pk=attempt.pk, payment_id=attempt.payment_id)


def _apply_to_attempt(known: Known, source: Source) -> None:
    apply_observation(attempt_id=known.pk, observation=known.observation, source=source)


def _find_refund(provider: str, observation: Observation) -> Known | None:
    found = _find(Refund.objects.filter(provider=provider), observation)
    if found is None:
        return None
    return Known(observation=observation, pk=found.pk, payment_id=found.payment_id)


def _find_payout(provider: str, observation: Observation) -> Known | None:
    payouts = Payout.objects.filter(provider=provider).select_related("refund")
    found = _find(payouts, observation)
    if found is None:
        return None
    refund = getattr(found, "refund", None)
    payment_id = refund.payment_id if refund else 0
    return Known(observation=observation, pk=found.pk, payment_id=payment_id)


def _find(rows: QuerySet[_Row], observation: Observation) -> _Row | None:
    """By our reference; by the company's own id only where it names nothing of ours."""
    if observation.reference:
        return rows.filter(reference=observation.reference).first()
    ref = observation.provider_ref
    return rows.filter(provider_ref=ref).first() if ref else None


def _apply_to_refund(known: Known, source: Source) -> None:
    REFUND_CALLS.apply(known.pk, known.observation, source=source)


def _apply_to_payout(known: Known, source: Source) -> None:
    PAYOUT_CALLS.apply(known.pk, known.observation, source=source)


_Find = Callable[[str, Observation], Known | None]
_Apply = Callable[[Known, Source], Any]

_SUBJECTS: Mapping[Subject, tuple[_Find, _Apply]] = {
    Subject.PAYMENT: (_find_attempt, _apply_to_attempt),
    Subject.REFUND: (_find_refund, _apply_to_refund),
    Subject.PAYOUT: (_find_payout, _apply_to_payout),
}


def find_known(*, provider: str, observation: Observation) -> Known | None:
    """Return the row that the company speaks of, or None. A renewal's is made here."""
    entry = _SUBJECTS.get(observation.subject)
    return entry[0](provider, observation) if entry else None


def apply_known(known: list[Known], *, source: Source) -> None:
    """Apply them in the one order in which everybody locks.

    Payments by id, each before its refunds, then payouts, which have none: two events about
    the same two rows must not deadlock.
    """
    subjects = list(Subject)
    for item in sorted(
        known,
        key=lambda item: (
            item.payment_id == 0,
            item.payment_id,
            subjects.index(item.observation.subject),
            item.pk,
        ),
    ):
        _SUBJECTS[item.observation.subject][1](item, source)
