"""The simulator's provider takes the exam, and what its company really answers."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer
from ntc_core.money import Money
from ntc_core.webhooks.types import WebhookRequest
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.simulator import SimulatorProvider
from ntc_payments.simulator.companies.pretend import sign
from ntc_payments.testing import PaymentProviderSuite
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Claim,
    FailureCode,
    Observation,
    PaymentMethod,
    StartResult,
)


class TestSimulatorProvider(PaymentProviderSuite):
    """The exam."""

    def make_provider(self, base_url: str) -> PaymentProvider:
        return SimulatorProvider(
            base_url=base_url, api_key="k", webhook_secret="s", total_timeout_seconds=0.5
        )

    def make_webhook(self, fact: Observation) -> WebhookRequest:
        status = {Claim.SUCCESS: "PAID", Claim.FAILURE: "DECLINED"}[fact.claim]
        body = json.dumps(
            {
                "id": "event-1",
                "type": f"collection.{status.lower()}",
                "data": {
                    "reference": fact.reference,
                    "transaction_id": fact.provider_ref,
                    "amount": int(fact.money.to_major().split(".")[0]),
                    "currency": fact.money.currency,
                    "phone": "255712345678",
                    "status": status,
                },
            }
        ).encode()
        timestamp = str(int(time.time()))
        return WebhookRequest(
            method="POST",
            path="/",
            headers={
                "x-simulator-timestamp": timestamp,
                "x-simulator-signature": sign("s", timestamp=timestamp, body=body),
            },
            query={},
            body=body,
            received_at=datetime.now(UTC),
        )


@pytest.fixture
def provider(company) -> SimulatorProvider:
    """Return a provider that talks to the company."""
    company.turn_dial()
    return SimulatorProvider(**company.options)


def order(reference: str, **changes) -> AttemptRequest:
    """Return an attempt under that reference."""
    values = {
        "reference": reference,
        "money": Money.from_major(2000, "TZS"),
        "method": PaymentMethod.MOBILE_PUSH,
        "phone_e164": "+255712345678",
        "description": "Exam",
        "return_url": "",
        **changes,
    }
    return AttemptRequest(**values)


def test_start_query_and_every_end(provider, company):
    """Accepted, then what the payer did, with the amount and the company's own reference."""
    for reference, answer, claim, code in [
        ("EXAMPAID", company.approve, Claim.SUCCESS, None),
        ("EXAMDECLINED", company.decline, Claim.FAILURE, FailureCode.DECLINED),
    ]:
        outcome = provider.start(order(reference))
        [waiting] = provider.query(CallHandle(reference=reference))
        answer(reference=reference)
        [ended] = provider.query(CallHandle(reference=reference))

        assert outcome.result is StartResult.ACCEPTED
        assert waiting.claim is Claim.ACCEPTED
        assert (ended.claim, ended.failure_code) == (claim, code)
        assert ended.money == Money.from_major(2000, "TZS")
        assert ended.provider_ref == outcome.provider_ref == waiting.provider_ref


def test_canceled_prompt_is_a_failure(provider):
    """And canceling again, or what is not there, does no harm."""
    provider.start(order("EXAMCANCELED"))
    for reference in ("EXAMCANCELED", "EXAMCANCELED", "EXAMNOTTHERE"):
        provider.cancel(CallHandle(reference=reference))

    [ended] = provider.query(CallHandle(reference="EXAMCANCELED"))

    assert (ended.claim, ended.failure_code) == (Claim.FAILURE, FailureCode.CANCELED)


def test_second_start_with_one_reference_is_a_duplicate(provider, company):
    """One prompt."""
    provider.start(order("EXAMTWICE"))

    assert provider.start(order("EXAMTWICE")).result is StartResult.DUPLICATE
    assert len(company.prompts_of("EXAMTWICE")) == 1


def test_refusal_tells_whose_mistake_it_is(provider, company):
    """The number, or our key."""
    wrong_number = provider.start(order("EXAMNUMBER", phone_e164="+254712345678"))
    stranger = SimulatorProvider(**{**company.options, "api_key": "wrong"})
    wrong_key = stranger.start(order("EXAMKEY"))

    assert (wrong_number.result, wrong_number.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )
    assert "phone" in wrong_number.failure_message
    assert (wrong_key.result, wrong_key.failure_code) == (
        StartResult.REFUSED,
        FailureCode.PROVIDER_REFUSED,
    )
    with pytest.raises(NoAnswer):
        stranger.query(CallHandle(reference="EXAMKEY"))


def test_busy_company_says_when(provider, company):
    """In seconds; a date or nonsense is left out."""
    company.turn_dial(start="busy")

    outcome = provider.start(order("EXAMBUSY"))

    assert (outcome.result, outcome.retry_after_seconds) == (StartResult.TRY_LATER, 1.0)


def test_unknown_reference_is_not_found(provider):
    """Which is not a failure."""
    [observation] = provider.query(CallHandle(reference="EXAMNOBODY"))

    assert observation.claim is Claim.NOT_FOUND


def test_answer_about_another_reference_is_refused(provider, company):
    """A proxy that mixes up answers must not settle the wrong payment."""
    provider.start(order("EXAMUPPER"))
    with pytest.raises(AnswerUnreadable, match="another reference"):
        provider.query(CallHandle(reference="EXAMUPPER?x=1"))
