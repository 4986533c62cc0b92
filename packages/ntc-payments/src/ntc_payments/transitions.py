"""The tables that decide what may follow what. Code, admin and tests all read these.

Plain Python, no clock and no database: `decide()` is a pure function of what we know and
what a source says. Ordering is by rank, never by clock, so that a reordered or repeated
observation cannot undo a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ntc_payments.types import AttemptStatus, Claim, PaymentStatus, Source, Trust

__all__ = [
    "ATTEMPT_MOVES",
    "ATTEMPT_RANK",
    "CLAIM_MOVES",
    "CONFIRMING_SOURCES",
    "DEAD_ATTEMPTS",
    "LIVE_ATTEMPTS",
    "MONEY_CLAIMS",
    "NOT_FOUND_LIMIT",
    "PAID_ATTEMPTS",
    "PAYMENT_MOVES",
    "PAYMENT_RANK",
    "REFUSED_ATTEMPTS",
    "UNPAID_PAYMENTS",
    "WAITING_PAYMENTS",
    "Decision",
    "Reason",
    "attempt_may_follow",
    "decide",
    "payment_may_follow",
]

_A = AttemptStatus
_P = PaymentStatus

ATTEMPT_RANK: Mapping[AttemptStatus, int] = {
    _A.CREATED: 0,
    _A.SENDING: 1,
    _A.PENDING: 2,
    _A.UNKNOWN: 2,
    _A.REJECTED: 3,
    _A.FAILED: 3,
    _A.EXPIRED: 3,
    _A.SUCCEEDED: 4,
    _A.REVERSED: 5,
}

#: The only move that lowers a rank is SENDING -> CREATED: the call certainly never left.
ATTEMPT_MOVES: Mapping[AttemptStatus, frozenset[AttemptStatus]] = {
    _A.CREATED: frozenset({_A.SENDING, _A.PENDING, _A.REJECTED, _A.FAILED, _A.SUCCEEDED}),
    _A.SENDING: frozenset(
        {_A.CREATED, _A.PENDING, _A.UNKNOWN, _A.REJECTED, _A.FAILED, _A.SUCCEEDED}
    ),
    _A.PENDING: frozenset({_A.UNKNOWN, _A.FAILED, _A.EXPIRED, _A.SUCCEEDED}),
    _A.UNKNOWN: frozenset({_A.PENDING, _A.REJECTED, _A.FAILED, _A.EXPIRED, _A.SUCCEEDED}),
    _A.REJECTED: frozenset({_A.SUCCEEDED}),
    _A.FAILED: frozenset({_A.SUCCEEDED}),
    _A.EXPIRED: frozenset({_A.SUCCEEDED}),
    _A.SUCCEEDED: frozenset({_A.REVERSED}),
    _A.REVERSED: frozenset(),
}

#: While one of these exists the payer may have, or soon have, a prompt on the phone.
LIVE_ATTEMPTS = frozenset({_A.CREATED, _A.SENDING, _A.PENDING, _A.UNKNOWN})
#: Ended without money, as far as we know. Money may still come: a late success.
DEAD_ATTEMPTS = frozenset({_A.REJECTED, _A.FAILED, _A.EXPIRED})
#: The money came, whether or not it has gone back since.
PAID_ATTEMPTS = frozenset({_A.SUCCEEDED, _A.REVERSED})

PAYMENT_RANK: Mapping[PaymentStatus, int] = {
    _P.OPEN: 0,
    _P.PROCESSING: 1,
    _P.FAILED: 2,
    _P.EXPIRED: 2,
    _P.CANCELED: 2,
    _P.SUCCEEDED: 3,
}

#: The only move that lowers a rank is FAILED -> OPEN: the payer tries again.
PAYMENT_MOVES: Mapping[PaymentStatus, frozenset[PaymentStatus]] = {
    _P.OPEN: frozenset({_P.PROCESSING, _P.SUCCEEDED, _P.FAILED, _P.EXPIRED, _P.CANCELED}),
    _P.PROCESSING: frozenset({_P.SUCCEEDED, _P.FAILED, _P.EXPIRED, _P.CANCELED}),
    _P.FAILED: frozenset({_P.OPEN, _P.SUCCEEDED}),
    _P.EXPIRED: frozenset({_P.SUCCEEDED}),
    _P.CANCELED: frozenset({_P.SUCCEEDED}),
    _P.SUCCEEDED: frozenset(),
}

#: Payments we still want to collect.
WAITING_PAYMENTS = frozenset({_P.OPEN, _P.PROCESSING})

#: Payments that money, early or late, turns into succeeded.
UNPAID_PAYMENTS = frozenset(_P) - {_P.SUCCEEDED}

#: Claims that say that money came, and so need the proof of it.
MONEY_CLAIMS = frozenset({Claim.SUCCESS, Claim.REVERSED})

_TO_SUCCEEDED = dict.fromkeys(LIVE_ATTEMPTS | DEAD_ATTEMPTS, _A.SUCCEEDED)

#: What a claim does to an attempt in each status; a status that is missing stays.
CLAIM_MOVES: Mapping[Claim, Mapping[AttemptStatus, AttemptStatus]] = {
    Claim.ACCEPTED: {
        _A.CREATED: _A.PENDING,
        _A.SENDING: _A.PENDING,
        _A.UNKNOWN: _A.PENDING,
    },
    Claim.SUCCESS: _TO_SUCCEEDED,
    Claim.FAILURE: {
        _A.CREATED: _A.FAILED,
        _A.SENDING: _A.FAILED,
        _A.PENDING: _A.FAILED,
        _A.UNKNOWN: _A.FAILED,
    },
    # What went back had come: a success first. The same claim, applied again, reverses it.
    Claim.REVERSED: {**_TO_SUCCEEDED, _A.SUCCEEDED: _A.REVERSED},
    Claim.NOT_FOUND: {_A.PENDING: _A.UNKNOWN, _A.UNKNOWN: _A.EXPIRED},
    Claim.REJECTED: {
        _A.CREATED: _A.REJECTED,
        _A.SENDING: _A.REJECTED,
        _A.UNKNOWN: _A.REJECTED,
    },
    Claim.NOT_SENT: {_A.SENDING: _A.CREATED},
    Claim.NO_ANSWER: {_A.SENDING: _A.UNKNOWN},
    Claim.LAPSED: {_A.PENDING: _A.EXPIRED},
}

#: Ended by a "no". That nobody paid is our own conclusion, which money simply disproves.
REFUSED_ATTEMPTS = DEAD_ATTEMPTS - {_A.EXPIRED}

#: Who can prove that money came for an attempt that had ended by a "no".
CONFIRMING_SOURCES = frozenset({Source.POLL, Source.STATEMENT, Source.STAFF})

#: So many "not found" in a row, over the company's visibility window, mean it never arrived.
NOT_FOUND_LIMIT = 3


class Reason(StrEnum):
    """Why an observation moved an attempt, or did not."""

    APPLIED = "applied"
    NO_CHANGE = "no_change"
    HINT = "hint"
    AMOUNT_MISMATCH = "amount_mismatch"
    AMOUNT_MISSING = "amount_missing"
    REFERENCE_TAKEN = "reference_taken"
    REFERENCE_MISMATCH = "reference_mismatch"
    NEEDS_CONFIRMATION = "needs_confirmation"
    NOT_FOUND_YET = "not_found_yet"
    CONTRADICTION = "contradiction"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do with one observation.

    Attributes:
        move_to: the attempt's next status, or None: it stays.
        ask: query the company soon.
        alarm: a person should know.
    """

    reason: Reason
    move_to: AttemptStatus | None = None
    ask: bool = False
    alarm: bool = False


def decide(  # noqa: PLR0911 - one return per rule reads like the table it is
    *,
    current: AttemptStatus,
    claim: Claim,
    source: Source,
    trust: Trust = Trust.STRONG,
    money_matches: bool | None = True,
    reference_matches: bool = True,
    reference_is_free: bool = True,
    not_found_is_final: bool = False,
) -> Decision:
    """Decide what one observation does to one attempt, refund or payout.

    A reversal of what has not succeeded yet moves to SUCCEEDED: ask again with that status.

    Args:
        money_matches: None when a success or reversal carries no amount.
        reference_matches: False when the company names another transaction of its own
            for the same attempt.
        reference_is_free: False when that transaction belongs to another attempt already.
        not_found_is_final: NOT_FOUND_LIMIT and the visibility window are reached.
    """
    asked_already = source is Source.POLL
    if trust is Trust.HINT:
        return Decision(reason=Reason.HINT, ask=True)
    # The reversal of what we have on record needs no amount to be about all of it.
    is_known_whole = claim is Claim.REVERSED and current in PAID_ATTEMPTS and money_matches is None
    if claim in MONEY_CLAIMS and money_matches is not True and not is_known_whole:
        reason = Reason.AMOUNT_MISSING if money_matches is None else Reason.AMOUNT_MISMATCH
        return Decision(reason=reason, ask=not asked_already, alarm=True)
    if not reference_is_free:
        return Decision(reason=Reason.REFERENCE_TAKEN, ask=not asked_already, alarm=True)
    if claim in MONEY_CLAIMS and current in PAID_ATTEMPTS and not reference_matches:
        return Decision(reason=Reason.REFERENCE_MISMATCH, alarm=True)
    if current is _A.SUCCEEDED and claim in {Claim.FAILURE, Claim.NOT_FOUND}:
        return Decision(reason=Reason.CONTRADICTION, ask=not asked_already, alarm=True)
    if claim is Claim.NOT_FOUND and current is _A.UNKNOWN and not not_found_is_final:
        return Decision(reason=Reason.NOT_FOUND_YET)
    if claim in MONEY_CLAIMS and current in REFUSED_ATTEMPTS and source not in CONFIRMING_SOURCES:
        # One message said it failed and another that it was paid: ask the company.
        return Decision(reason=Reason.NEEDS_CONFIRMATION, ask=True)
    target = CLAIM_MOVES[claim].get(current)
    # A query that times out says nothing about the call that is under way.
    if target is None or (claim is Claim.NO_ANSWER and asked_already):
        return Decision(reason=Reason.NO_CHANGE)
    return Decision(reason=Reason.APPLIED, move_to=target)


def attempt_may_follow(current: AttemptStatus, target: AttemptStatus) -> bool:
    """Tell whether an attempt in `current` may become `target`."""
    return target in ATTEMPT_MOVES[current]


def payment_may_follow(current: PaymentStatus, target: PaymentStatus) -> bool:
    """Tell whether a payment in `current` may become `target`."""
    return target in PAYMENT_MOVES[current]
