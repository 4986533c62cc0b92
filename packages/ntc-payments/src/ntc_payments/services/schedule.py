"""When a silent company is asked, if it can be. No rows are read or changed."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from ntc_core.registry import UnknownProvider

from ntc_payments.conf import provider_registry
from ntc_payments.models.calls import CompanyCall
from ntc_payments.transitions import DEAD_ATTEMPTS
from ntc_payments.types import AttemptStatus

__all__ = [
    "UNDECIDED_AFTER_SECONDS",
    "ask_soon_at",
    "can_be_asked",
    "cancel_again_after_seconds",
    "next_poll_at",
    "payout_watch_seconds",
    "send_again_after_seconds",
]

_HOUR = 3600

#: Seconds after the call. The first ones are for a payer who holds a phone.
LIVE_OFFSETS_SECONDS = (
    *(10, 30, 60, 120, 300, 900),
    *(_HOUR, 6 * _HOUR, 24 * _HOUR, 72 * _HOUR),
)
#: Failed and expired are soft ends: money may still turn up, so we keep asking, rarely.
DEAD_OFFSETS_SECONDS = (_HOUR, 6 * _HOUR, 24 * _HOUR, 72 * _HOUR)
JITTER = 0.2
#: Seconds after the call by which the last query has been made. What is live then, and whose
#: payment is over, is left to a person, also where the company can never be asked.
UNDECIDED_AFTER_SECONDS = LIVE_OFFSETS_SECONDS[-1] * (1 + JITTER)

#: However many hints arrive, one attempt is not asked about more often than this.
LEAST_SECONDS_BETWEEN_POLLS = 5

LONGEST_SEND_DELAY_SECONDS = 60.0
#: A company's "Retry-After" of years, or of more than a clock can hold, would park a payout unseen.
LONGEST_TOLD_DELAY_SECONDS = 3600.0
SHORTEST_CANCEL_DELAY_SECONDS = 5.0
LONGEST_CANCEL_DELAY_SECONDS = 3600.0

_random = random.SystemRandom()


def next_poll_at(
    status: AttemptStatus, *, sent_at: datetime, now: datetime, watch_seconds: int = 0
) -> datetime | None:
    """Return the next moment of the schedule, or None: not asked again.

    Args:
        watch_seconds: for so long a success is asked about as rarely as a failure.
    """
    offsets: tuple[int, ...]
    if status in {AttemptStatus.PENDING, AttemptStatus.UNKNOWN}:
        offsets = LIVE_OFFSETS_SECONDS
    elif status in DEAD_ATTEMPTS and status is not AttemptStatus.REJECTED:
        offsets = DEAD_OFFSETS_SECONDS
    elif status is AttemptStatus.SUCCEEDED and watch_seconds:
        offsets = tuple(each for each in DEAD_OFFSETS_SECONDS if each <= watch_seconds)
    else:
        return None
    elapsed = (now - sent_at).total_seconds()
    for offset in offsets:
        # The earliest that jitter may bring this one; a poll at that moment moves on.
        if offset * (1 - JITTER) > elapsed:
            jittered = offset * _random.uniform(1 - JITTER, 1 + JITTER)
            return sent_at + timedelta(seconds=jittered)
    return None


def can_be_asked(provider: str) -> bool:
    """Tell whether the company answers what became of a call."""
    try:
        return provider_registry.get(provider).capabilities.can_query
    except UnknownProvider:
        return True  # not in the settings just now; the queries are made when it is back


def payout_watch_seconds(provider: str) -> int:
    """Return for how long a payout of the company that succeeded is asked about."""
    try:
        return provider_registry.get(provider).capabilities.payout_watch_seconds
    except UnknownProvider:
        return 0


def ask_soon_at(attempt: CompanyCall, *, now: datetime) -> datetime:
    """Return the moment of an extra poll: now, unless the last one was just now."""
    if attempt.last_polled_at is None:
        return now
    return max(now, attempt.last_polled_at + timedelta(seconds=LEAST_SECONDS_BETWEEN_POLLS))


def send_again_after_seconds(sends: int, *, told: float | None = None) -> float:
    """Return the wait before a call that never left is made again.

    Args:
        told: for so long the company asked us to wait; believed up to an hour.
    """
    ceiling = min(2.0 ** min(sends, 10), LONGEST_SEND_DELAY_SECONDS)
    asked = min(told or 0.0, LONGEST_TOLD_DELAY_SECONDS)
    return max(asked, _random.uniform(ceiling / 2, ceiling))


def cancel_again_after_seconds(attempt: CompanyCall, *, now: datetime) -> float | None:
    """Return the wait before a company that did not answer is asked again to withdraw.

    As long again as the prompt has been out; None once nobody waits for an answer any more.
    """
    elapsed = (now - (attempt.sent_at or attempt.created_at)).total_seconds()
    if elapsed > UNDECIDED_AFTER_SECONDS:
        return None
    return min(max(elapsed, SHORTEST_CANCEL_DELAY_SECONDS), LONGEST_CANCEL_DELAY_SECONDS)
