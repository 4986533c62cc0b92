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
    "LONGEST_LINE_KEY",
    "LONGEST_PROVIDER_REF",
    "Address",
    "AttemptRequest",
    "AttemptStatus",
    "CallHandle",
    "Capabilities",
    "Claim",
    "Dispute",
    "DisputeState",
    "DuplicatePolicy",
    "FailureCode",
    "Inquiry",
    "InquiryReply",
    "InquiryVerdict",
    "LateSuccessPolicy",
    "Limit",
    "Observation",
    "Payer",
    "PaymentMethod",
    "PaymentStatus",
    "PayoutDestination",
    "PayoutMethod",
    "PayoutPreview",
    "PayoutRequest",
    "RefundRequest",
    "Source",
    "StartOutcome",
    "StartResult",
    "StatementEntry",
    "Subject",
    "TimelineNote",
    "Trust",
]


#: Longer or stranger references than this are no documented answer.
LONGEST_PROVIDER_REF = 150
LONGEST_FAILURE_MESSAGE = 300
#: Of what makes a line of a statement the same one.
LONGEST_LINE_KEY = 200


class PaymentMethod(StrEnum):
    """How the payer pays."""

    MOBILE_PUSH = "mobile_push"
    CARD = "card"
    HOSTED_CHECKOUT = "hosted_checkout"
    CONTROL_NUMBER = "control_number"


class PayoutMethod(StrEnum):
    """Where the money we pay out goes."""

    MOBILE_WALLET = "mobile_wallet"
    BANK_ACCOUNT = "bank_account"


class PaymentStatus(StrEnum):
    """What became of the money we want to collect."""

    OPEN = "open"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class AttemptStatus(StrEnum):
    """What we know about one call that moves money: an attempt, a refund or a payout.

    Silence is UNKNOWN, never FAILED.
    """

    CREATED = "created"
    SENDING = "sending"
    PENDING = "pending"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    SUCCEEDED = "succeeded"
    REVERSED = "reversed"


class Subject(StrEnum):
    """What an observation is about."""

    PAYMENT = "payment"
    REFUND = "refund"
    PAYOUT = "payout"


class Claim(StrEnum):
    """What a source says about an attempt, a refund or a payout.

    The first five come from a company. REVERSED: the money moved and has gone back, so it
    proves the success before it. The others are our own conclusions about one call:
    REJECTED, the company refused it and the payer saw nothing; NOT_SENT, it certainly never
    left; NO_ANSWER, it may have arrived; LAPSED, a number that nobody paid on in its time.
    """

    ACCEPTED = "accepted"
    SUCCESS = "success"
    FAILURE = "failure"
    REVERSED = "reversed"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"
    LAPSED = "lapsed"


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


class LateSuccessPolicy(StrEnum):
    """What becomes of money for a payment that we no longer wait for."""

    ACCEPT = "accept"
    AUTO_REFUND = "auto_refund"
    HOLD = "hold"


class DuplicatePolicy(StrEnum):
    """What becomes of a second charge."""

    HOLD = "hold"
    AUTO_REFUND = "auto_refund"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The smallest and largest amount of one currency that a provider takes."""

    minimum: Money
    maximum: Money | None = None


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a provider can do. What it cannot is refused before any row and any call.

    Attributes:
        methods: how a payer can pay.
        currencies: all that any method takes.
        method_currencies: those methods that take fewer, and which.
        limits: currency -> limit of one payment; a currency without one has none.
        whole_unit_currencies: the company takes no fraction of a major unit of these.
        dedupes_on_reference: sending the same reference twice has one effect, and the
            second answer tells the state of the first. Without it a call of unknown
            outcome may never be repeated.
        poll_visibility_seconds: for so long after the call a status query may answer
            "not found" about a payment that exists.
        can_query: the company answers what became of an attempt. Otherwise we wait for its
            webhook, and a silent attempt ends in a break that a person closes.
        can_cancel: an attempt on its way can be withdrawn.
        can_refund: the company gives money back by API, in parts too.
        signs_webhooks: its webhooks carry a proof. Otherwise its path must carry the secret
            suffix, and `open_webhook()` refuses what only a proof could tell.
        payout_methods: where it can pay out to; empty: nowhere.
        payout_limits: currency -> limit of one payout.
        payout_watch_seconds: for so long after the call a payout that succeeded may come back
            without a word, so it is asked about; 0: it does not.
        has_balance, has_statement, has_disputes: it tells them by API.
        statement_subjects: what its statement has lines of.
        statement_methods: by which methods a payment stands in it.
    """

    methods: tuple[PaymentMethod, ...]
    currencies: tuple[str, ...]
    method_currencies: Mapping[PaymentMethod, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, Limit] = field(default_factory=dict)
    whole_unit_currencies: tuple[str, ...] = ()
    dedupes_on_reference: bool = False
    poll_visibility_seconds: int = 900
    can_query: bool = True
    can_cancel: bool = False
    can_refund: bool = False
    signs_webhooks: bool = True
    payout_methods: tuple[PayoutMethod, ...] = ()
    payout_currencies: tuple[str, ...] = ()
    payout_limits: Mapping[str, Limit] = field(default_factory=dict)
    payout_watch_seconds: int = 0
    has_balance: bool = False
    has_statement: bool = False
    has_disputes: bool = False
    statement_subjects: tuple[Subject, ...] = tuple(Subject)
    statement_methods: tuple[PaymentMethod, ...] = tuple(PaymentMethod)

    def refusal(self, *, method: PaymentMethod, money: Money) -> tuple[str, str] | None:
        """Return (input field at fault, sentence) if this payment cannot be made, else None."""
        if method not in self.methods:
            return "method", f"does not take {method.value}; it takes {', '.join(self.methods)}."
        known = self.method_currencies.get(method, self.currencies)
        return self._money_refusal(money, known=known, limits=self.limits)

    def payout_refusal(self, *, method: PayoutMethod, money: Money) -> tuple[str, str] | None:
        """Return (input field at fault, sentence) if this payout cannot be made, else None."""
        if not self.payout_methods:
            return "method", "does not pay out."
        if method not in self.payout_methods:
            able = ", ".join(self.payout_methods)
            return "method", f"does not pay out to {method.value}; it pays out to {able}."
        return self._money_refusal(money, known=self.payout_currencies, limits=self.payout_limits)

    def _money_refusal(
        self, money: Money, *, known: tuple[str, ...], limits: Mapping[str, Limit]
    ) -> tuple[str, str] | None:
        if money.currency not in known:
            return "currency", f"does not take {money.currency}; it takes {', '.join(known)}."
        if money.currency in self.whole_unit_currencies and not money.is_whole:
            return "amount", f"takes whole {money.currency} only, got {money.to_major()}."
        limit = limits.get(money.currency)
        if limit is not None and money < limit.minimum:
            return "amount", f"takes at least {limit.minimum}, got {money}."
        if limit is not None and limit.maximum is not None and money > limit.maximum:
            return "amount", f"takes at most {limit.maximum}, got {money}."
        return None


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the payer lives, as far as the project knows. `country`: ISO 3166-1 alpha-2."""

    line: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""


@dataclass(frozen=True, kw_only=True)
class Payer:
    """Who pays, as far as the project knows.

    Attributes:
        external_id: the project's own stable id of the person, never a row number.
    """

    external_id: str = ""
    name: str = ""
    email: str = ""
    address: Address = field(default_factory=Address)


@dataclass(frozen=True, kw_only=True)
class AttemptRequest:
    """What a provider needs to start one attempt.

    Attributes:
        reference: ours, committed before the call; 20 upper-case letters and digits, the
            narrowest form that all known companies take.
        expires_at: when we stop waiting; a company that can is asked to do the same.
    """

    reference: str
    money: Money
    method: PaymentMethod
    phone_e164: str
    description: str
    return_url: str
    payer: Payer = field(default_factory=Payer)
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CallHandle:
    """What identifies a call that we made before: an attempt, a refund or a payout.

    Attributes:
        reference: ours.
        provider_ref: the company's own id, if we know it.
        payer_code: what the payer types, where that is another thing than `reference`.
        method: of the attempt or payout, in our words.
        rail: of a payout, in the company's words; see `PaymentProvider.payout_rail()`.
        parent_ref: of a refund: the company's own id of the payment it gives back.
    """

    reference: str
    provider_ref: str = ""
    payer_code: str = ""
    method: str = ""
    rail: str = ""
    parent_ref: str = ""


@dataclass(frozen=True, kw_only=True)
class PayoutDestination:
    """Who gets a payout.

    Attributes:
        phone_e164: of a mobile wallet.
        bank_code: as this company names the bank; see its page in docs/providers/.
    """

    method: PayoutMethod
    phone_e164: str = ""
    bank_code: str = ""
    account_number: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class PayoutRequest:
    """What a provider needs to pay out once, under our reference."""

    reference: str
    money: Money
    destination: PayoutDestination
    description: str
    #: What `payout_rail()` answered; stored before the call.
    rail: str = ""


@dataclass(frozen=True, kw_only=True)
class PayoutPreview:
    """What a company says before a payout: its fee, and whose account that is."""

    fee: Money | None = None
    receiver_name: str = ""


@dataclass(frozen=True, kw_only=True)
class RefundRequest:
    """What a provider needs to give money back once, under our reference."""

    reference: str
    money: Money
    #: The payment: our reference and the company's own id of it.
    payment_reference: str
    payment_ref: str
    reason: str = ""


class StartResult(StrEnum):
    """What the company's answer to a call that moves money means.

    An answer that never came or cannot be read is no result: the provider raises.
    """

    ACCEPTED = "accepted"
    DONE = "done"  # The money has moved at once.
    REFUSED = "refused"
    TRY_LATER = "try_later"  # Documented as "not accepted, send the same again".
    DUPLICATE = "duplicate"  # The reference is known there: ask what became of it.


@dataclass(frozen=True, kw_only=True)
class StartOutcome:
    """The company's usable answer to the start of an attempt, a refund or a payout.

    Attributes:
        provider_ref: the company's own id of it; see `Observation.provider_ref`.
        payer_code: what the payer types into the phone: a control or till number.
        checkout_url: the page where the payer goes on.
        fee: what the company keeps or takes for it.
    """

    result: StartResult
    provider_ref: str = ""
    payer_code: str = ""
    money: Money | None = None
    fee: Money | None = None
    checkout_url: str = ""
    retry_after_seconds: float | None = None
    failure_code: FailureCode | None = None
    failure_message: str = ""

    def __post_init__(self) -> None:
        _require_storable(self.provider_ref)
        _require_storable(self.payer_code)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a source says about one attempt, refund or payout, in our words.

    Attributes:
        reference: ours, or the payer code that stands for it; empty where the company names
            only its own id.
        money: what the company says has moved, its fee not counted; a success without it
            proves nothing.
        fee: what the company keeps or takes for it, where it says so.
        provider_ref: the company's own id of the payment, the same in everything it says
            about the same money: another one after a success is a second charge. Empty
            where an answer has only an id of itself.
        payer_code: what the payer types, where the answer to the start that named it was lost.
        renews: our reference of the payment that began a subscription, where this is money
            for a later period of it, under the company's own id alone.
        occurred_at: the company's clock; stored, decides nothing.
        failure_message: the company's own text, for staff.
    """

    reference: str
    claim: Claim
    subject: Subject = Subject.PAYMENT
    money: Money | None = None
    fee: Money | None = None
    provider_ref: str = ""
    payer_code: str = ""
    renews: str = ""
    trust: Trust = Trust.STRONG
    failure_code: FailureCode | None = None
    failure_message: str = ""
    occurred_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_storable(self.reference)
        _require_storable(self.provider_ref)
        _require_storable(self.payer_code)
        _require_storable(self.renews)


class DisputeState(StrEnum):
    """How far a payer's complaint to the bank has come."""

    OPEN = "open"
    #: The payer has the money back.
    LOST = "lost"
    WON = "won"


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """A payer's complaint to the bank about a charge.

    Attributes:
        dispute_ref: the company's own id of the dispute.
        reference, provider_ref: of the charge, as in an `Observation`.
        money: what is disputed, and goes back if it is lost.
    """

    dispute_ref: str
    state: DisputeState
    money: Money
    reference: str = ""
    provider_ref: str = ""

    def __post_init__(self) -> None:
        _require_storable(self.dispute_ref)
        _require_storable(self.reference)
        _require_storable(self.provider_ref)


class InquiryVerdict(StrEnum):
    """Our answer to a company that asks whether a number can be paid."""

    PAYABLE = "payable"
    UNKNOWN = "unknown"
    INVALID_AMOUNT = "invalid_amount"
    TOO_LOW = "too_low"
    TOO_HIGH = "too_high"


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """A company's question whether a payer may pay on a number. Answered while it waits.

    Attributes:
        action: the last part of the path, in the company's words: "lookup", "validation".
        company_ref: its id of the question, to be repeated in the answer.
        money: None where no amount is said yet.
    """

    action: str
    payer_code: str
    company_ref: str = ""
    money: Money | None = None


@dataclass(frozen=True, kw_only=True)
class InquiryReply:
    """What we answer, before a provider spells it the company's way."""

    verdict: InquiryVerdict
    #: What is to be paid; None where the number is unknown.
    money: Money | None = None
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class StatementEntry:
    """One line of a company's account of a day.

    Attributes:
        line_key: what makes the line the same one in another import: the company's id of it.
        subject: PAYMENT is money in; REFUND and PAYOUT are money out.
        reference: ours where the company repeats it, else empty.
        money: without the fee; always positive.
        booked_at: the company's clock.
    """

    line_key: str
    subject: Subject
    reference: str
    money: Money
    booked_at: datetime
    provider_ref: str = ""
    fee: Money | None = None
    description: str = ""

    def __post_init__(self) -> None:
        _require_storable(self.line_key, longest=LONGEST_LINE_KEY)
        _require_storable(self.reference)
        _require_storable(self.provider_ref)


def _require_storable(reference: str, *, longest: int = LONGEST_PROVIDER_REF) -> None:
    """Refuse at the border what no column takes: it would get stuck far from its cause."""
    if len(reference) > longest or not reference.isprintable():
        raise ValueError("The company's reference is too long or has control characters.")


@dataclass(frozen=True, kw_only=True)
class TimelineNote:
    """A line that the project adds to a payment's timeline. People in it are masked there.

    Attributes:
        kind: one word, such as "message".
        url: of a page of the admin that tells more.
    """

    at: datetime
    kind: str
    text: str
    url: str = ""
