"""The words of a payment and the frozen values that cross a provider's border.

Plain Python. JSON stops inside the provider's file; from there on the code speaks these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ntc_core.money import Money

__all__ = [
    "LONGEST_FAILURE_MESSAGE",
    "LONGEST_PROVIDER_REF",
    "AttemptRequest",
    "AttemptStatus",
    "Capabilities",
    "Claim",
    "FailureCode",
    "Limit",
    "Observation",
    "PaymentMethod",
    "PaymentStatus",
    "Source",
    "StartOutcome",
    "StartResult",
    "Trust",
]


#: Longer or stranger references than this are no documented answer.
LONGEST_PROVIDER_REF = 150
LONGEST_FAILURE_MESSAGE = 300


class PaymentMethod(StrEnum):
    """How the payer pays."""

    MOBILE_PUSH = "mobile_push"
    CARD = "card"
    HOSTED_CHECKOUT = "hosted_checkout"
    CONTROL_NUMBER = "control_number"


class PaymentStatus(StrEnum):
    """What became of the money we want to collect."""

    OPEN = "open"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class AttemptStatus(StrEnum):
    """What we know about one try at one provider. Silence is UNKNOWN, never FAILED."""

    CREATED = "created"
    SENDING = "sending"
    PENDING = "pending"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    SUCCEEDED = "succeeded"
    REVERSED = "reversed"


class Claim(StrEnum):
    """What a source says about an attempt.

    The first four come from a company. The others are our own conclusions about one call:
    REJECTED, the company refused it and the payer saw nothing; NOT_SENT, it certainly never
    left; NO_ANSWER, it may have arrived.
    """

    ACCEPTED = "accepted"
    SUCCESS = "success"
    FAILURE = "failure"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"


class Source(StrEnum):
    """Who says it."""

    RESPONSE = "response"
    WEBHOOK = "webhook"
    POLL = "poll"
    STATEMENT = "statement"
    STAFF = "staff"
    PAYER = "payer"
    SYSTEM = "system"


class Trust(StrEnum):
    """STRONG moves money states; a HINT only makes us ask the company."""

    STRONG = "strong"
    HINT = "hint"


class FailureCode(StrEnum):
    """Why no money came, in words that are the same for every company."""

    DECLINED = "declined"
    TIMED_OUT = "timed_out"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    CANCELED = "canceled"
    INVALID_REQUEST = "invalid_request"
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    NOT_RECEIVED = "not_received"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The smallest and largest amount of one currency that a provider takes."""

    minimum: Money
    maximum: Money | None = None


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a provider can do. What it cannot is refused before any row and any call.

    Attributes:
        limits: currency -> limit; a currency without one has none.
        whole_units: the company takes no fraction of a major unit.
        dedupes_on_reference: sending the same reference twice has one effect, and the
            second answer tells the state of the first. Without it a call of unknown
            outcome may never be repeated.
        poll_visibility_seconds: for so long after the call a status query may answer
            "not found" about a payment that exists.
        can_cancel: an attempt on its way can be withdrawn.
    """

    methods: tuple[PaymentMethod, ...]
    currencies: tuple[str, ...]
    limits: Mapping[str, Limit] = field(default_factory=dict)
    whole_units: bool = False
    dedupes_on_reference: bool = False
    poll_visibility_seconds: int = 900
    can_cancel: bool = False

    def refusal(self, *, method: PaymentMethod, money: Money) -> tuple[str, str] | None:
        """Return (input field at fault, sentence) if this cannot be done, else None."""
        if method not in self.methods:
            return "method", f"does not take {method.value}; it takes {', '.join(self.methods)}."
        if money.currency not in self.currencies:
            known = ", ".join(self.currencies)
            return "currency", f"does not take {money.currency}; it takes {known}."
        sentence = self._amount_refusal(money)
        return ("amount", sentence) if sentence else None

    def _amount_refusal(self, money: Money) -> str | None:
        if self.whole_units and not money.is_whole:
            return f"takes whole {money.currency} only, got {money.to_major()}."
        limit = self.limits.get(money.currency)
        if limit is not None and money < limit.minimum:
            return f"takes at least {limit.minimum}, got {money}."
        if limit is not None and limit.maximum is not None and money > limit.maximum:
            return f"takes at most {limit.maximum}, got {money}."
        return None


@dataclass(frozen=True, kw_only=True)
class AttemptRequest:
    """What a provider needs to start one attempt.

    Attributes:
        reference: ours, committed before the call; 20 upper-case letters and digits, the
            narrowest form that all known companies take.
    """

    reference: str
    money: Money
    method: PaymentMethod
    phone_e164: str
    description: str
    return_url: str


class StartResult(StrEnum):
    """What the company's answer to the start of an attempt means.

    An answer that never came or cannot be read is no result: the provider raises.
    """

    ACCEPTED = "accepted"
    PAID = "paid"
    REFUSED = "refused"
    TRY_LATER = "try_later"  # Documented as "not accepted, send the same again".
    DUPLICATE = "duplicate"  # The reference is known there: ask what became of it.


@dataclass(frozen=True, kw_only=True)
class StartOutcome:
    """The company's usable answer to the start of an attempt."""

    result: StartResult
    provider_ref: str = ""
    money: Money | None = None
    checkout_url: str = ""
    retry_after_seconds: float | None = None
    failure_code: FailureCode | None = None
    failure_message: str = ""

    def __post_init__(self) -> None:
        _require_storable(self.provider_ref)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a source says about one attempt, in our words.

    Attributes:
        reference: ours.
        money: what the company says was paid; a success without it proves nothing.
        provider_ref: the company's own id of the payment, the same in everything it says
            about the same money: another one after a success is a second charge. Empty
            where an answer has only an id of itself.
        occurred_at: the company's clock; stored, decides nothing.
        failure_message: the company's own text, for staff.
    """

    reference: str
    claim: Claim
    money: Money | None = None
    provider_ref: str = ""
    trust: Trust = Trust.STRONG
    failure_code: FailureCode | None = None
    failure_message: str = ""
    occurred_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_storable(self.reference)
        _require_storable(self.provider_ref)


def _require_storable(reference: str) -> None:
    """Refuse at the border what no column takes: it would get stuck far from its cause."""
    if len(reference) > LONGEST_PROVIDER_REF or not reference.isprintable():
        raise ValueError("The company's reference is too long or has control characters.")
