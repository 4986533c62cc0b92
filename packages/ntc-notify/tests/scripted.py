"""Made-up SMS companies that answer as a test tells them to, built through the registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookRequest,
)
from ntc_notify.providers.base import SmsProvider
from ntc_notify.types import (
    Balance,
    Capabilities,
    MessageState,
    OutgoingSms,
    Receipt,
    SendOutcome,
    SuppressionReason,
)

Answer = SendOutcome | Exception | Callable[[OutgoingSms], SendOutcome]


@dataclass
class Company:
    """What one company got and what it says next; when nothing is left to say, it accepts."""

    received: list[OutgoingSms] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    #: How many messages each call carried.
    calls: list[int] = field(default_factory=list)
    #: What it says when it is asked: (provider_ref, provider_uid, address) -> receipt.
    knows: Callable[[str, UUID, str], Receipt | None] = lambda *_: None


_companies: dict[str, Company] = {}


class ScriptedSmsProvider(SmsProvider):
    """Its receipts are lists of facts under a key."""

    def __init__(
        self,
        *,
        company: str,
        timeout_seconds: float = 5.0,
        batch_size: int = 1,
        can_query: bool = False,
        signs: bool = True,
        calls_per_second: float | None = None,
    ) -> None:
        self.name = company  # type: ignore[misc]
        self.company = _companies.setdefault(company, Company())
        self.timeout_seconds = timeout_seconds
        self.capabilities = Capabilities(
            batch_size=batch_size,
            can_query=can_query,
            can_tell_balance=True,
            sends_receipts=True,
            signs_receipts=signs,
            calls_per_second=calls_per_second,
        )

    def send(self, message: OutgoingSms, /) -> SendOutcome:
        self.company.calls.append(1)
        return self._take(message)

    def send_batch(self, messages: Sequence[OutgoingSms], /) -> list[SendOutcome]:
        self.company.calls.append(len(messages))
        return [self._take(message) for message in messages]

    def open_webhook(self, request: WebhookRequest, /) -> VerifiedWebhook:
        if self.capabilities.signs_receipts and request.headers.get("x-key") != "right":
            raise SignatureInvalid
        digest = hashlib.sha256(request.body).hexdigest()
        return VerifiedWebhook(dedupe_key=request.headers.get("x-id", digest), event_type="facts")

    def read_receipts(self, body: bytes, /) -> list[Receipt]:
        try:
            facts = json.loads(body)
        except ValueError as error:
            raise PayloadUnreadable("expected JSON") from error
        return [_read(fact) for fact in facts]

    def query(self, *, provider_ref: str, provider_uid: UUID, address: str) -> Receipt | None:
        return self.company.knows(provider_ref, provider_uid, address)

    def balance(self) -> Balance:
        return Balance(amount=Decimal("1250.5"), unit="SMS")

    def _take(self, message: OutgoingSms) -> SendOutcome:
        self.company.received.append(message)
        if not self.company.answers:
            return SendOutcome.accepted(provider_ref=f"ref-{len(self.company.received)}")
        answer = self.company.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, SendOutcome) else answer(message)


def _read(fact: dict[str, Any]) -> Receipt:
    return Receipt(
        state=MessageState(fact["state"]),
        provider_ref=fact.get("ref", ""),
        provider_uid=UUID(fact["uid"]) if "uid" in fact else None,
        address=fact.get("address"),
        reason=fact.get("reason", ""),
        segments=fact.get("segments"),
        suppression=SuppressionReason(fact["suppression"]) if "suppression" in fact else None,
        at=datetime.fromisoformat(fact["at"]) if "at" in fact else None,
    )


def configure(settings: Any, setting: str, names: list[str], **options: Any) -> dict[str, Company]:
    """Make these the companies of that setting, in this order."""
    path = f"{__name__}.ScriptedSmsProvider"
    configured = {name: {"class": path, "company": name, **options} for name in names}
    setattr(settings, setting, configured)
    return {name: _companies.setdefault(name, Company()) for name in names}


def forget() -> None:
    _companies.clear()
