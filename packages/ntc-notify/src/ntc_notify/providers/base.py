"""What a provider is. Plain Python.

To add one: subclass `EmailProvider` or `SmsProvider` in one file, take the options as
keyword arguments of `__init__`, and answer `send()` with a `SendOutcome`. The service
decides what follows; a provider never retries by itself, for a repeated call may be a
second message. What the capabilities do not promise is never called.
"""

# ruff: noqa: ARG002 - what the defaults ignore is the contract of those who override them

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Never
from uuid import UUID

from ntc_core.webhooks.types import VerifiedWebhook, WebhookRequest

from ntc_notify.types import (
    Balance,
    Capabilities,
    OutgoingEmail,
    OutgoingSms,
    Receipt,
    SendOutcome,
)

__all__ = [
    "LONGEST_CALL_SECONDS",
    "AgreesToDeliveries",
    "ConfirmsSubscriptions",
    "EmailProvider",
    "Provider",
    "SmsProvider",
]

#: No call may take longer, everything included: a worker's claim on a message ends soon
#: after, and then another may take the message over.
LONGEST_CALL_SECONDS = 45.0


class Provider:
    """What providers of every channel have in common."""

    #: The name in settings, URLs and rows.
    name: ClassVar[str] = ""
    #: Of the class, or of an instance whose options switch something on.
    capabilities: Capabilities = Capabilities()
    #: Keeps messages on this machine, readable, instead of sending them. Not for the public.
    is_local: ClassVar[bool] = False
    #: The total time of one call, at most `LONGEST_CALL_SECONDS`.
    timeout_seconds: float = 20.0

    def send_batch(self, messages: Sequence[Any], /) -> list[SendOutcome]:
        """Hand several messages over; the answers are in their order.

        Only called where `capabilities.batch_size` is above 1, with at most so many.
        """
        self._cannot("send batches")

    def open_webhook(self, request: WebhookRequest, /) -> VerifiedWebhook:
        """Prove that the company sent this and name its dedupe key. Reads no row.

        Raises:
            SignatureInvalid: not proven.
            PayloadUnreadable: proven, but not in the documented shape.
        """
        self._cannot("send receipts")

    def read_receipts(self, body: bytes, /) -> list[Receipt]:
        """Say what a verified body tells us; an empty list: nothing about a message. Pure.

        Raises:
            PayloadUnreadable: the body is not in the documented shape.
        """
        self._cannot("send receipts")

    def query(self, *, provider_ref: str, provider_uid: UUID, address: str) -> Receipt | None:
        """Ask what became of a message; None: the provider does not know it, or not now."""
        self._cannot("be asked about a message")

    def find_calls_per_second(self) -> float | None:
        """Return what the account may do, all workers together; None: it is not known.

        Asked before every call, so who has to ask the company remembers the answer.
        """
        return self.capabilities.calls_per_second

    def balance(self) -> Balance:
        """Ask what the account still has."""
        self._cannot("tell its balance")

    def prove_access(self) -> None:
        """Ask something that changes nothing, to see that the company is there and knows us.

        Raises:
            NotImplementedError: there is nothing of that kind to ask.
            Exception: whatever the question raises: it is not, or does not.
        """
        if not self.capabilities.can_tell_balance:
            self._cannot("be asked something harmless")
        self.balance()

    def _cannot(self, what: str) -> Never:
        raise NotImplementedError(
            f"{self.name or type(self).__name__} cannot {what}; its capabilities say so."
        )


class EmailProvider(Provider, ABC):
    """Carries emails."""

    @abstractmethod
    def send(self, message: OutgoingEmail, /) -> SendOutcome:
        """Hand one email over, within `timeout_seconds`, and say what came of it."""


class SmsProvider(Provider, ABC):
    """Carries SMS."""

    @abstractmethod
    def send(self, message: OutgoingSms, /) -> SendOutcome:
        """Hand one SMS over, within `timeout_seconds`, and say what came of it."""


class AgreesToDeliveries(ABC):
    """A provider whose company asks first whether it may post (OPTIONS, as CloudEvents say)."""

    @abstractmethod
    def agree_to_deliveries(self, request: WebhookRequest, /) -> str:
        """Return the origin that may post to this path: the one that asks.

        Raises:
            SignatureInvalid: not proven.
            PayloadUnreadable: proven, but the call does not say who asks.
        """


class ConfirmsSubscriptions(ABC):
    """A provider whose webhooks begin only after a person has agreed to an offer."""

    @abstractmethod
    def read_offered_topic(self, body: bytes, /) -> str:
        """Return what a verified body offers to tell us about.

        Raises:
            PayloadUnreadable: it offers nothing.
        """

    @abstractmethod
    def confirm_subscription(self, body: bytes, /) -> str:
        """Say yes to the offer in a verified body, and return the subscription's name.

        Raises:
            PayloadUnreadable: it offers nothing.
            HttpFailure, AnswerUnreadable, ValueError: it was not confirmed.
        """
