"""Which row an observation is about, and who applies it there: one line per subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ntc_payments.selectors import find_attempt
from ntc_payments.services.observing import apply_observation
from ntc_payments.types import Observation, Source, Subject

__all__ = ["Known", "apply_known", "find_known"]


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
    if attempt is None:
        return None
    return Known(observation=observation, pk=attempt.pk, payment_id=attempt.payment_id)


def _apply_to_attempt(known: Known, source: Source) -> None:
    apply_observation(attempt_id=known.pk, observation=known.observation, source=source)


_Find = Callable[[str, Observation], Known | None]
_Apply = Callable[[Known, Source], Any]

_SUBJECTS: Mapping[Subject, tuple[_Find, _Apply]] = {
    Subject.PAYMENT: (_find_attempt, _apply_to_attempt),
}


def find_known(*, provider: str, observation: Observation) -> Known | None:
    """Return the row that the company speaks of, or None."""
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
