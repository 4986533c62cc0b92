"""What every payment company must answer, whatever its API looks like.

A provider is plain Python over HTTP: no Django, no settings, no rows, no clock of its own
that decides anything. It answers with a frozen value, and the services decide. Its
keyword-only `__init__` is its list of options in `NTC_PAYMENT_PROVIDERS`.

An instance is shared by threads: keep what changes (a token) behind a lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ntc_core.webhooks.types import VerifiedWebhook, WebhookRequest

from ntc_payments.types import AttemptRequest, Capabilities, Observation, StartOutcome

__all__ = ["PaymentProvider"]


class PaymentProvider(ABC):
    """One company's API in our words."""

    #: The name in settings, URLs and rows.
    name: ClassVar[str]
    #: The name a payer reads.
    title: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    @abstractmethod
    def start(self, request: AttemptRequest) -> StartOutcome:
        """Ask the company to collect, once, under our reference. Never repeat by yourself.

        Raises:
            NotSent: the request certainly did not reach the company.
            NoAnswer: it may have; anything unclear is this, a 5xx included.
            AnswerUnreadable: it answered, in a shape it does not document.
        """

    @abstractmethod
    def query(self, *, reference: str, provider_ref: str) -> Observation:
        """Ask what became of an attempt. A status we do not know is Claim.ACCEPTED.

        Raises:
            NotSent, NoAnswer, AnswerUnreadable: as in `start()`; nothing was learned.
        """

    @abstractmethod
    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Prove that the company sent this and name its dedupe key. Reads no row.

        Raises:
            SignatureInvalid: not proven, or outside the time window.
            PayloadUnreadable: proven, but not in the documented shape.
        """

    @abstractmethod
    def read_webhook(self, body: bytes) -> list[Observation]:
        """Say what a verified body tells us; an empty list: nothing about a payment.

        Pure: the same body gives the same list, today and in a replay.

        Raises:
            PayloadUnreadable: the body is not in the documented shape.
        """

    def cancel(self, *, reference: str, provider_ref: str) -> None:
        """Withdraw an attempt that waits for the payer. Says nothing about the result.

        Only called when `capabilities.can_cancel`; the truth comes by webhook or query.
        """
        raise NotImplementedError(f"{self.name} cannot cancel {reference or provider_ref}.")
