"""What every payment company must answer, whatever its API looks like.

A provider is plain Python over HTTP: no Django, no settings, no rows, no clock of its own
that decides anything. It answers with a frozen value, and the services decide. Its
keyword-only `__init__` is its list of options in `NTC_PAYMENT_PROVIDERS`.

An instance is shared by threads: keep what changes (a token) behind a lock.
"""

# ruff: noqa: ARG002 - what the defaults ignore is the contract of those who override them

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date
from typing import ClassVar, Never

from ntc_core.money import Money
from ntc_core.webhooks.types import VerifiedWebhook, WebhookAck, WebhookRequest

from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Capabilities,
    Dispute,
    Inquiry,
    InquiryReply,
    Observation,
    PayoutPreview,
    PayoutRequest,
    RefundRequest,
    StartOutcome,
    StatementEntry,
)

__all__ = ["PaymentProvider"]


class PaymentProvider(ABC):
    """One company's API in our words.

    Every method that calls the company raises the same three errors, see `start()`. What
    the capabilities do not promise is never called and need not be written.
    """

    #: The name in settings, URLs and rows.
    name: ClassVar[str]
    #: The name a payer reads.
    title: ClassVar[str]
    #: Of the class, or of an instance whose options switch something on.
    capabilities: Capabilities
    #: Last parts of the webhook path, in the company's words, at which it asks whether a
    #: number can be paid and waits for the answer: see `open_inquiry()`.
    inquiry_actions: tuple[str, ...] = ()
    #: Last parts of the webhook path at which it delivers webhooks, besides the bare path.
    webhook_actions: tuple[str, ...] = ()

    # Money in.

    @abstractmethod
    def start(self, request: AttemptRequest) -> StartOutcome:
        """Ask the company to collect, once, under our reference. Never repeat by yourself.

        Raises:
            NotSent: the request certainly did not reach the company.
            NoAnswer: it may have; anything unclear is this, a 5xx included.
            AnswerUnreadable: it answered, in a shape it does not document.
        """

    @abstractmethod
    def query(self, handle: CallHandle) -> list[Observation]:
        """Ask what became of an attempt. A status we do not know is Claim.ACCEPTED.

        Usually one observation; more where the company took money more than once under one
        reference. None is an observation too: Claim.NOT_FOUND.

        Raises:
            NotSent, NoAnswer, AnswerUnreadable: as in `start()`; nothing was learned.
        """

    def cancel(self, handle: CallHandle) -> None:
        """Withdraw an attempt that waits for the payer. Says nothing about the result.

        Only called when `capabilities.can_cancel`; the truth comes by webhook or query.
        """
        self._cannot("cancel")

    # What the company tells us.

    @abstractmethod
    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Prove that the company sent this and name its dedupe key. Reads no row.

        Raises:
            SignatureInvalid: not proven, or outside the time window.
            PayloadUnreadable: proven, but not in the documented shape.
        """

    @abstractmethod
    def read_webhook(self, body: bytes) -> list[Observation]:
        """Say what a verified body tells us; an empty list: nothing about money.

        Pure: the same body gives the same list, today and in a replay. What no signature
        proves is `Trust.HINT`.

        Raises:
            PayloadUnreadable: the body is not in the documented shape.
        """

    def open_inquiry(self, request: WebhookRequest, *, action: str) -> Inquiry:
        """Prove and read the question whether a number can be paid.

        Only called for one of the `inquiry_actions`. Raises as `open_webhook()`.
        """
        self._cannot("answer inquiries")

    def answer_inquiry(self, inquiry: Inquiry, reply: InquiryReply) -> WebhookAck:
        """Spell our reply the company's way."""
        self._cannot("answer inquiries")

    # Money back and money out.

    def start_refund(self, request: RefundRequest) -> StartOutcome:
        """Give money back, once, under our reference. As `start()`."""
        self._cannot("refund")

    def query_refund(self, handle: CallHandle) -> list[Observation]:
        """Ask what became of a refund. As `query()`, with `Subject.REFUND`."""
        self._cannot("refund")

    def payout_rail(self, request: PayoutRequest) -> str:
        """Name the company's own way for this payout; kept, because queries need it. Pure."""
        return request.destination.method.value

    def preview_payout(self, request: PayoutRequest) -> PayoutPreview:
        """Ask for the fee and the receiver's name, before anything moves."""
        self._cannot("preview payouts")

    def start_payout(self, request: PayoutRequest) -> StartOutcome:
        """Pay out, once, under our reference. As `start()`."""
        self._cannot("pay out")

    def query_payout(self, handle: CallHandle) -> list[Observation]:
        """Ask what became of a payout. As `query()`, with `Subject.PAYOUT`."""
        self._cannot("pay out")

    def prove_access(self) -> None:
        """Ask something that changes nothing, to see that the company is there and knows us.

        Raises:
            NotImplementedError: there is nothing of that kind to ask.
            NotSent, NoAnswer, AnswerUnreadable: it is not, or does not.
        """
        if not self.capabilities.has_balance:
            self._cannot("be asked something harmless")
        self.list_balances()

    # The company's books.

    def list_balances(self) -> list[Money]:
        """Return what the company holds for us, one amount per currency."""
        self._cannot("tell its balance")

    def fetch_statement(
        self, *, first: date, last: date, currency: str
    ) -> Sequence[StatementEntry]:
        """Return the company's lines of those days (Africa/Dar_es_Salaam), both included."""
        self._cannot("send a statement")

    def list_disputes(self) -> list[Dispute]:
        """Return what payers have complained about at their banks, the settled ones too."""
        self._cannot("tell disputes")

    def _cannot(self, what: str) -> Never:
        raise NotImplementedError(f"{self.name} cannot {what}; its capabilities say so.")
