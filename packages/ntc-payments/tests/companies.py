"""Providers as a project would add them.

One has a hosted page and webhooks that prove nothing; the other says what a test lets it say.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, ClassVar

from ntc_core.http import AnswerUnreadable
from ntc_core.money import Money
from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookAck,
    WebhookRequest,
)
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Capabilities,
    Claim,
    Inquiry,
    InquiryReply,
    Limit,
    Observation,
    PaymentMethod,
    RefundRequest,
    StartOutcome,
    StartResult,
    Subject,
    Trust,
)

__all__ = ["HostedProvider", "TellingProvider"]


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


class TellingProvider(HostedProvider):
    """Its webhooks are lists of facts under a key; its answers are what the options say.

    Args:
        outcome: what it adds to the answer to a start, such as `payer_code`.
        truth: the facts that a query gives.
        refund_truth: those that a query about a refund gives; it gives money back by API then.
    """

    name: ClassVar[str] = "told"
    title: ClassVar[str] = "Told"
    inquiry_actions = ("lookup", "validation")
    webhook_actions = ("notification",)

    def __init__(
        self,
        *,
        outcome: dict[str, Any] | None = None,
        truth: list[dict[str, Any]] | None = None,
        refund_truth: list[dict[str, Any]] | None = None,
        can_query: bool = True,
        signs: bool = True,
    ) -> None:
        super().__init__(url="")
        self.outcome = outcome or {}
        self.truth = truth or [{"claim": "accepted"}]
        self.refund_truth = refund_truth
        self.capabilities = dataclasses.replace(
            HostedProvider.capabilities,
            can_query=can_query,
            can_refund=refund_truth is not None,
            signs_webhooks=signs,
        )

    def start(self, request: AttemptRequest) -> StartOutcome:
        fee = self.outcome.get("fee_minor")
        return StartOutcome(
            result=StartResult(self.outcome.get("result", "accepted")),
            money=request.money,
            fee=Money(fee, request.money.currency) if fee else None,
            payer_code=self.outcome.get("payer_code", ""),
            # What a company is told comes back where the tests can see it.
            failure_message=json.dumps(
                {
                    **dataclasses.asdict(request.payer),
                    "expires_at": str(request.expires_at),
                }
            )
            if self.outcome.get("result") == "refused"
            else "",
        )

    def query(self, handle: CallHandle) -> list[Observation]:
        return [_read({"reference": handle.reference, **fact}) for fact in self.truth]

    def start_refund(self, request: RefundRequest) -> StartOutcome:
        return StartOutcome(result=StartResult.ACCEPTED, money=request.money)

    def query_refund(self, handle: CallHandle) -> list[Observation]:
        facts = self.refund_truth or []
        return [
            _read({"reference": handle.reference, "subject": "refund", **fact}) for fact in facts
        ]

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        self._require_key(request)
        digest = hashlib.sha256(request.body).hexdigest()
        return VerifiedWebhook(
            dedupe_key=request.headers.get("x-id", digest),
            event_type="facts",
            ack=WebhookAck(body=b'{"taken": true}'),
        )

    def read_webhook(self, body: bytes) -> list[Observation]:
        return [_read(fact) for fact in json.loads(body)]

    def open_inquiry(self, request: WebhookRequest, *, action: str) -> Inquiry:
        self._require_key(request)
        try:
            question = json.loads(request.body)
            amount = question.get("amount_minor")
            return Inquiry(
                action=action,
                payer_code=question["number"],
                money=None if amount is None else Money(amount, question.get("currency", "TZS")),
            )
        except (ValueError, KeyError) as error:
            raise PayloadUnreadable("Told: expected a number.") from error

    def answer_inquiry(self, inquiry: Inquiry, reply: InquiryReply) -> WebhookAck:
        answer = {
            "action": inquiry.action,
            "verdict": reply.verdict.value,
            "due": reply.money.to_major() if reply.money else None,
            "text": reply.description,
        }
        return WebhookAck(body=json.dumps(answer).encode())

    def _require_key(self, request: WebhookRequest) -> None:
        if self.capabilities.signs_webhooks and request.headers.get("x-key") != "right":
            raise SignatureInvalid("Told: the key is wrong.")


def _read(fact: dict[str, Any]) -> Observation:
    amount, fee, currency = fact.get("minor"), fact.get("fee_minor"), fact.get("currency", "TZS")
    return Observation(
        reference=fact.get("reference", ""),
        claim=Claim(fact["claim"]),
        subject=Subject(fact.get("subject", "payment")),
        money=None if amount is None else Money(amount, currency),
        fee=None if fee is None else Money(fee, currency),
        provider_ref=fact.get("ref", ""),
        trust=Trust(fact.get("trust", "strong")),
    )
