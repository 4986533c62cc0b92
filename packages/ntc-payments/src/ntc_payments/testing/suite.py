"""The exam: what every provider must do, whatever its company's API looks like.

    class TestMine(PaymentProviderSuite):
        def make_provider(self, base_url: str) -> PaymentProvider:
            return Mine(base_url=base_url, api_key="k", total_timeout_seconds=1)

        def make_webhook(self, fact: Observation) -> WebhookRequest:
            ...  # what the company would send, signed, at this moment

No Django and no database is needed. What a company really answers stays the provider's own
test, with the payloads of its documentation.
"""

# ruff: noqa: S101 - tests that other tests inherit

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from ntc_core.http import AnswerUnreadable, HttpFailure, NotSent
from ntc_core.money import CURRENCY_EXPONENTS, Money
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest

from ntc_payments.providers.base import PaymentProvider
from ntc_payments.testing.misbehaving import MISBEHAVIOURS, free_port, misbehaving_server
from ntc_payments.types import AttemptRequest, CallHandle, Claim, Observation, Trust

__all__ = ["PaymentProviderSuite"]

REFERENCE = "P0123456789ABCDEFGHJ"


class PaymentProviderSuite:
    """Inherit it in a test class whose name starts with `Test`."""

    #: No call may take longer than this with the provider that `make_provider` returns.
    longest_call_seconds = 5.0
    #: False for a company that does not sign: then only hints may come out of its webhooks.
    signs_webhooks = True
    #: False for a company whose proof carries no time: only the dedupe key stops a replay.
    proof_has_a_time = True
    #: Path -> JSON: calls that come before the one that moves money, such as for a token.
    well_answered: Mapping[str, bytes] = {}
    #: False for a company whose proof is a shared token: it notices no change of the body.
    proof_covers_the_body = True

    def make_provider(self, base_url: str) -> PaymentProvider:
        """Return the provider, pointed at that server, with a short total deadline."""
        raise NotImplementedError

    def make_webhook(self, fact: Observation) -> WebhookRequest:
        """Return what the company would send now to tell that fact (success or failure)."""
        raise NotImplementedError

    def without_proof(self, request: WebhookRequest) -> WebhookRequest:
        """Return the same call with nothing that proves it. Some carry the proof in the body."""
        return dataclasses.replace(request, headers={})

    def make_request(self, provider: PaymentProvider) -> AttemptRequest:
        """Return an attempt that the provider's capabilities allow."""
        capabilities = provider.capabilities
        currency = capabilities.currencies[0]
        limit = capabilities.limits.get(currency)
        return AttemptRequest(
            reference=REFERENCE,
            money=limit.minimum if limit else Money.from_major(1000, currency),
            method=capabilities.methods[0],
            phone_e164="+255712345678",
            description="Exam",
            return_url="https://shop.example/back",
        )

    # What it says about itself.

    def test_name_fits_settings_urls_and_rows(self) -> None:
        """A dash would be read as the suffix of a webhook path."""
        provider = self.make_provider("http://127.0.0.1:1")

        assert re.fullmatch(r"[a-z][a-z0-9_]{0,49}", provider.name)
        assert provider.title

    def test_capabilities_are_consistent(self) -> None:
        """Every currency is known, and every limit is in its own currency."""
        capabilities = self.make_provider("http://127.0.0.1:1").capabilities

        assert capabilities.methods
        assert set(capabilities.currencies) <= set(CURRENCY_EXPONENTS)
        for currency, limit in capabilities.limits.items():
            assert currency in capabilities.currencies
            assert limit.minimum.currency == currency
            assert limit.maximum is None or limit.minimum <= limit.maximum

    # What could have reached the company.

    def test_refused_connection_is_not_sent(self) -> None:
        """Only then may the same reference be sent again."""
        provider = self.make_provider(f"http://127.0.0.1:{free_port()}")

        with pytest.raises(NotSent):
            provider.start(self.make_request(provider))
        if provider.capabilities.can_query:
            with pytest.raises(NotSent):
                provider.query(CallHandle(reference=REFERENCE))

    @pytest.mark.parametrize("name", MISBEHAVIOURS)
    def test_unclear_answer_to_a_start_is_never_an_outcome(self, name: str) -> None:
        """Neither accepted nor refused, and not "not sent": it may have arrived."""
        with misbehaving_server(name, well_answered=self.well_answered) as base_url:
            provider = self.make_provider(base_url)
            started = time.monotonic()

            with pytest.raises((HttpFailure, AnswerUnreadable)) as caught:
                provider.start(self.make_request(provider))

        assert not isinstance(caught.value, NotSent)
        assert time.monotonic() - started < self.longest_call_seconds

    @pytest.mark.parametrize("name", MISBEHAVIOURS)
    def test_unclear_answer_to_a_query_says_nothing(self, name: str) -> None:
        """Above all not "not found" or "failed"."""
        with misbehaving_server(name, well_answered=self.well_answered) as base_url:
            provider = self.make_provider(base_url)
            if not provider.capabilities.can_query:
                pytest.skip("The company answers no questions.")

            with pytest.raises((HttpFailure, AnswerUnreadable)):
                provider.query(CallHandle(reference=REFERENCE))

    # What it proves and reads.

    @pytest.mark.parametrize("claim", [Claim.SUCCESS, Claim.FAILURE])
    def test_webhook_is_proven_and_read(self, claim: Claim) -> None:
        """The same body says the same thing each time, also in a replay next year."""
        provider, fact = self._fact(claim)
        request = self.make_webhook(fact)

        verified = provider.open_webhook(request)
        [observation] = provider.read_webhook(request.body)

        assert verified.dedupe_key
        assert verified.event_type
        assert (observation.reference, observation.claim) == (fact.reference, fact.claim)
        assert self.signs_webhooks or observation.trust is Trust.HINT
        assert claim is Claim.FAILURE or observation.money == fact.money
        assert provider.read_webhook(request.body) == [observation]
        assert provider.open_webhook(request).dedupe_key == verified.dedupe_key

    def test_altered_webhook_is_refused(self) -> None:
        """One bit, anywhere in the body."""
        provider, fact = self._fact(Claim.SUCCESS)
        request = self.make_webhook(fact)
        if not (self.signs_webhooks and self.proof_covers_the_body):
            pytest.skip("The company does not sign the body.")
        for position in range(0, len(request.body), 7):
            body = bytearray(request.body)
            body[position] ^= 1
            with pytest.raises((SignatureInvalid, PayloadUnreadable)):
                provider.open_webhook(dataclasses.replace(request, body=bytes(body)))

    def test_webhook_without_its_proof_is_refused(self) -> None:
        """Nor with it, where it carries a time, far from that time."""
        provider, fact = self._fact(Claim.SUCCESS)
        request = self.make_webhook(fact)
        if not self.signs_webhooks:
            pytest.skip("The company does not sign.")
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(self.without_proof(request))
        for minutes in (-6, 6) if self.proof_has_a_time else ():
            moved = dataclasses.replace(
                request, received_at=datetime.now(UTC) + timedelta(minutes=minutes)
            )
            with pytest.raises(SignatureInvalid):
                provider.open_webhook(moved)

    @pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"null", b'{"a": 1, "a": 2}'])
    def test_unreadable_body_is_an_error_of_its_own(self, body: bytes) -> None:
        """Not a KeyError from somewhere inside."""
        with pytest.raises(PayloadUnreadable):
            self.make_provider("http://127.0.0.1:1").read_webhook(body)

    def _fact(self, claim: Claim) -> tuple[PaymentProvider, Observation]:
        provider = self.make_provider("http://127.0.0.1:1")
        request = self.make_request(provider)
        return provider, Observation(
            reference=request.reference, claim=claim, money=request.money, provider_ref="COMPANY1"
        )
