"""A provider as a project would add one: a hosted page, and webhooks that prove nothing."""

from __future__ import annotations

import json
from typing import ClassVar

from ntc_core.http import AnswerUnreadable
from ntc_core.money import Money
from ntc_core.webhooks.types import VerifiedWebhook, WebhookRequest
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Capabilities,
    Claim,
    Limit,
    Observation,
    PaymentMethod,
    StartOutcome,
    StartResult,
    Trust,
)

__all__ = ["HostedProvider"]


class HostedProvider(PaymentProvider):
    """Sends the payer to a page. What the options say is what the company answers."""

    name: ClassVar[str] = "hosted"
    title: ClassVar[str] = "Hosted Page"
    capabilities = Capabilities(
        methods=(PaymentMethod.HOSTED_CHECKOUT, PaymentMethod.CONTROL_NUMBER),
        currencies=("TZS", "USD"),
        limits={"USD": Limit(minimum=Money.from_major(1, "USD"))},
    )

    def __init__(self, *, result: str = "accepted", url: str = "https://pay.example/1") -> None:
        self.result = result
        self.url = url

    def start(self, request: AttemptRequest) -> StartOutcome:
        if self.result == "broken":
            raise ZeroDivisionError
        if self.result == "unreadable":
            raise AnswerUnreadable("Hosted: expected JSON, got a page.")
        return StartOutcome(
            result=StartResult(self.result),
            money=request.money,
            provider_ref=f"H-{request.reference}",
            checkout_url=self.url,
        )

    def query(self, handle: CallHandle) -> list[Observation]:
        if self.result == "broken":
            raise ZeroDivisionError
        return [
            Observation(
                reference=handle.reference,
                claim=Claim.ACCEPTED,
                provider_ref=handle.provider_ref,
            )
        ]

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        return VerifiedWebhook(dedupe_key=request.body.decode(), event_type="hint")

    def read_webhook(self, body: bytes) -> list[Observation]:
        return [
            Observation(reference=reference, claim=Claim.SUCCESS, trust=Trust.HINT)
            for reference in json.loads(body)
        ]
