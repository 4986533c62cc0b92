"""What crosses the border between the inbox and a provider. Plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ntc_core.http import AnswerUnreadable

__all__ = [
    "AnswerUnreadable",
    "PayloadUnreadable",
    "SignatureInvalid",
    "VerifiedWebhook",
    "WebhookAck",
    "WebhookRequest",
    "WebhookVerifier",
]


class SignatureInvalid(Exception):
    """The call does not prove that the company sent it: digest, key or time is wrong."""


class PayloadUnreadable(AnswerUnreadable):
    """Proven, but not in the shape the company documents."""


@dataclass(frozen=True, kw_only=True)
class WebhookRequest:
    """One call as it arrived: the bytes, not our reading of them."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class WebhookAck:
    """The answer this company wants to see when we have taken the event."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"


@dataclass(frozen=True, kw_only=True)
class VerifiedWebhook:
    """What a provider found out about a call it could verify.

    Attributes:
        dedupe_key: the company's event id; where it has none, a hash over the fields that
            identify the fact (not over the body: a repeated delivery may differ in it).
        event_type: the company's own word for what happened.
        ack: the answer, the same for the first delivery and for every repetition.
    """

    dedupe_key: str
    event_type: str
    ack: WebhookAck = field(default_factory=WebhookAck)


class WebhookVerifier(Protocol):
    """The part of a provider that the inbox needs."""

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Prove that the company sent this, then say what it is.

        Raises:
            SignatureInvalid: not proven.
            PayloadUnreadable: proven, but not in the documented shape.
        """
        ...
