"""The exam: what every provider must do, whatever its company's API looks like.

A provider's test inherits `NotifyProviderSuite` and says how its company plays each `Story`;
one whose company speaks HTTP inherits `HttpProviderSuite`, which plays most of them itself.
No Django and no database is needed. What a company really answers stays the provider's own
test, with the payloads of its documentation.
"""

# ruff: noqa: S101 - tests that other tests inherit

from __future__ import annotations

import dataclasses
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import UUID, uuid4

import pytest
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest

from ntc_notify.providers.base import LONGEST_CALL_SECONDS, EmailProvider, Provider, SmsProvider
from ntc_notify.types import (
    Channel,
    MessageState,
    Outcome,
    OutgoingEmail,
    OutgoingSms,
    Receipt,
    SendOutcome,
)

__all__ = ["NotifyProviderSuite", "Peer", "Story"]

_Result = TypeVar("_Result")

PHONE = "+255712345678"
EMAIL = "asha.mushi@mpokeaji.example"
SENDER = "Faraja Yangu <no-reply@farajayangu.example>"
SUBJECT = "Namba ya siri ya Asha"
TEXT = "Habari Asha, namba yako ni 481516."
REFERENCE = "35918915"
THIEF = "thief@example.net"
INJECTED = f"Bcc: {THIEF}"
_UNREADABLE = (b"", b"\xff", b"[]", b"null", b"{}", b"7", b'{"a": 1, "a": 2}')
_LINE_BREAKS = ("\r\n", "\n", "\r", "\x00", "\x85", "\u2028")


class Story(StrEnum):
    """What happens at the company."""

    ACCEPT = "accept"
    REFUSE = "refuse"  # this person or this text, for good
    THROTTLE = "throttle"  # not taken, come back later
    SILENT = "silent"  # taken, and no answer comes before the deadline
    DRIP = "drip"  # an answer that never ends, a byte at a time
    CUT = "cut"  # taken, and the connection ends without an answer
    BROKEN = "broken"  # a 5xx
    GARBAGE = "garbage"  # an answer that nobody documents
    ABSENT = "absent"  # nobody listens


class Peer(Protocol):
    """The company of one test."""

    @property
    def deliveries(self) -> int:
        """How often a message was handed to it."""

    @property
    def messages(self) -> int:
        """How many messages it holds; fewer than the deliveries where it removes duplicates."""

    @property
    def received(self) -> bytes:
        """What it was handed, as the bytes that arrived."""

    def let_go(self) -> None:
        """Answer at last whoever waits in silence."""


class NotifyProviderSuite:
    """Inherit it in a test class whose name starts with `Test`."""

    channel: ClassVar[Channel]
    #: The stories that this company can play; a folder is never silent.
    stories: ClassVar[frozenset[Story]] = frozenset(Story)
    #: What a call must have ended within; the provider of `running()` has a shorter deadline.
    longest_call_seconds: ClassVar[float] = 10.0
    #: Keys and passwords of `running()`, which must show up nowhere.
    secrets: ClassVar[tuple[str, ...]] = ()
    #: Loggers of the company that is played in this process.
    foreign_loggers: ClassVar[tuple[str, ...]] = ()
    #: UNKNOWN, unless the company documents that it has not taken what it answers 5xx to.
    after_server_error: ClassVar[frozenset[Outcome]] = frozenset({Outcome.UNKNOWN})
    #: What `query()` and `balance()` raise when nothing was learned.
    failures: ClassVar[tuple[type[Exception], ...]] = (HttpFailure, AnswerUnreadable)
    #: The seconds that the company of the story THROTTLE asks for; None: it names none.
    throttled_seconds: ClassVar[float | None] = None

    def running(self, story: Story) -> AbstractContextManager[tuple[Any, Peer]]:
        """Yield the provider, with a deadline of about a second, and the company it talks to."""
        raise NotImplementedError

    def make_receipt(self, state: MessageState) -> WebhookRequest:
        """Return what the company posts about the message to `PHONE` or `EMAIL`.

        Its reference at the company is `REFERENCE`; DELIVERED and FAILED are asked for.
        """
        raise NotImplementedError

    def without_proof(self, request: WebhookRequest) -> WebhookRequest:
        """Return the same call with nothing that proves it. Some carry the proof in the body."""
        path = re.sub(r"/([a-z0-9_]+)-[^/]*/$", r"/\1/", request.path)
        return dataclasses.replace(request, headers={}, query={}, path=path)

    def make_message(self, **values: Any) -> Any:
        """Return a message of the channel."""
        message: dict[str, Any] = {"provider_uid": uuid4(), "to": self.address, "text": TEXT}
        if self.channel is Channel.SMS:
            return OutgoingSms(**message | values)
        return OutgoingEmail(**message | {"sender": SENDER, "subject": SUBJECT} | values)

    @property
    def address(self) -> str:
        """Whom the messages are for."""
        return PHONE if self.channel is Channel.SMS else EMAIL

    # What it says about itself.

    def test_name_fits_settings_urls_and_rows(self) -> None:
        """A dash would be read as the suffix of a webhook path."""
        with self.running(Story.ACCEPT) as (provider, _):
            assert re.fullmatch(r"[a-z][a-z0-9_]{0,49}", provider.name)

    def test_deadline_fits_into_a_claim(self) -> None:
        """A worker's claim on a message ends soon after the longest call."""
        with self.running(Story.ACCEPT) as (provider, _):
            assert 0 < provider.timeout_seconds <= LONGEST_CALL_SECONDS

    def test_capabilities_are_honest(self) -> None:
        """What is promised is written, and what is written is promised."""
        with self.running(Story.ACCEPT) as (provider, _):
            promised = provider.capabilities

            assert promised.batch_size >= 1
            assert (promised.batch_size > 1) == _overrides(provider, "send_batch")
            assert promised.can_query == _overrides(provider, "query")
            assert promised.can_tell_balance == _overrides(provider, "balance")
            assert _overrides(provider, "open_webhook") == _overrides(provider, "read_receipts")
            # An option may switch receipts off; nothing switches on what is not written.
            assert _overrides(provider, "open_webhook") or not promised.sends_receipts
            assert promised.calls_per_second is None or promised.calls_per_second > 0

    # What leaves, and what came of it.

    def test_accepted_message_is_handed_over_once(self) -> None:
        """With a reference that receipts can be matched by and a row can hold."""
        with self.running(Story.ACCEPT) as (provider, peer):
            result = self._send(provider)

            assert result.outcome in {Outcome.ACCEPTED, Outcome.DELIVERED}, result.reason
            assert 0 < len(result.provider_ref) <= 255  # noqa: PLR2004 - the column's length
            assert peer.deliveries == 1

    def test_refusal_is_final(self) -> None:
        """Another provider is not asked about a person or a text that is refused."""
        with self._running(Story.REFUSE) as (provider, _):
            result = self._send(provider)

        assert result.outcome is Outcome.REFUSED
        assert not result.elsewhere
        assert result.reason

    def test_throttled_message_may_come_back(self) -> None:
        """Not before the company wants it to."""
        with self._running(Story.THROTTLE) as (provider, peer):
            result = self._send(provider)

            assert result.outcome is Outcome.RETRY
            assert result.retry_after_seconds == self.throttled_seconds
            assert peer.deliveries <= 1

    def test_nobody_there_means_try_later(self) -> None:
        """Nothing has left, so nothing can be there twice."""
        with self._running(Story.ABSENT) as (provider, peer):
            result = self._send(provider)

            assert result.outcome is Outcome.RETRY
            assert peer.deliveries == 0

    def test_silence_is_unknown_and_the_company_was_asked_once(self) -> None:
        """Also when its answer comes after the deadline: nobody has asked again meanwhile."""
        with self._running(Story.SILENT) as (provider, peer):
            result = self._send(provider)
            peer.let_go()

            assert result.outcome is Outcome.UNKNOWN
            assert peer.deliveries == 1

    def test_no_usable_answer_is_unknown_and_the_company_was_asked_once(self) -> None:
        """The message may have arrived: a second request may be a second message."""
        for story in self.stories & {Story.DRIP, Story.CUT, Story.GARBAGE}:
            with self.running(story) as (provider, peer):
                result = self._send(provider)

                assert (story, result.outcome) == (story, Outcome.UNKNOWN)
                assert (story, peer.deliveries) == (story, 1)

    def test_server_error_is_no_outcome_and_the_company_was_asked_once(self) -> None:
        """Whatever broke there broke before or after it had taken the message."""
        with self._running(Story.BROKEN) as (provider, peer):
            result = self._send(provider)

            assert result.outcome in self.after_server_error
            assert peer.deliveries == 1

    def test_same_id_again_is_the_same_message(self) -> None:
        """Only who promises that gets a second call after silence."""
        with self.running(Story.ACCEPT) as (provider, peer):
            if not provider.capabilities.deduplicates:
                pytest.skip("The company does not recognise a second call.")
            message = self.make_message()
            for _ in range(2):
                result = self._within(lambda: provider.send(message))
                assert result.outcome in {Outcome.ACCEPTED, Outcome.DELIVERED}

            assert peer.messages == 1

    # Batches.

    def test_batch_has_an_answer_for_each_in_order(self) -> None:
        """And an empty one asks nobody."""
        with self.running(Story.ACCEPT) as (provider, peer):
            self._require_batches(provider)
            assert provider.send_batch([]) == []
            assert peer.deliveries == 0
            messages = self._make_batch()

            results = self._within(lambda: provider.send_batch(messages))

            assert [result.outcome in _ARRIVED for result in results] == [True] * len(messages)

    def test_silence_leaves_no_message_of_a_batch_certain(self) -> None:
        """Each is unknown, or certainly still here; the company was asked once."""
        with self._running(Story.SILENT) as (provider, peer):
            self._require_batches(provider)
            messages = self._make_batch()

            results = self._within(lambda: provider.send_batch(messages))
            peer.let_go()

            assert len(results) == len(messages)
            assert {result.outcome for result in results} <= {Outcome.UNKNOWN, Outcome.RETRY}
            assert Outcome.UNKNOWN in {result.outcome for result in results}
            assert peer.deliveries == 1

    # Nobody writes what is not theirs.

    def test_line_break_in_a_header_is_refused(self) -> None:
        """It would let a name or an amount write headers of its own."""
        if self.channel is not Channel.EMAIL:
            pytest.skip("An SMS has no headers.")
        for line_break in _LINE_BREAKS:
            forged = f"Asha{line_break}{INJECTED}"
            for field, value in (
                ("to", forged),
                ("sender", forged),
                ("subject", forged),
                ("reply_to", (forged,)),
                ("headers", {"X-Kind": forged}),
                ("headers", {forged: "receipt"}),
            ):
                with pytest.raises(ValueError, match=field) as caught:
                    self.make_message(**{field: value})
                assert THIEF not in str(caught.value)

    def test_forged_value_writes_no_header(self) -> None:
        """Even one that got past the frozen values."""
        for field in ("to", "sender", "subject"):
            with self.running(Story.ACCEPT) as (provider, peer):
                message = self.make_message()
                if hasattr(message, field) and not provider.is_local:
                    forged = f"{getattr(message, field)}\r\n{INJECTED}"
                    object.__setattr__(message, field, forged)

                    result = self._within(lambda: provider.send(message))  # noqa: B023 - called at once

                    assert not _has_line(peer.received, INJECTED.encode())
                    assert (result.outcome is Outcome.REFUSED) == (peer.deliveries == 0)

    def test_text_is_only_text(self) -> None:
        """Whatever protocol it looks like."""
        text = f"Habari\r\n.\r\nRCPT TO:<{THIEF}>\r\n{INJECTED}\r\n\r\n--\x1a"
        with self.running(Story.ACCEPT) as (provider, peer):
            message = self.make_message(text=text)

            result = self._within(lambda: provider.send(message))

            assert result.outcome in _ARRIVED
            assert peer.deliveries == 1

    # Nobody reads what is not theirs.

    def test_reason_and_log_name_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        """No address, text or key, although companies like to repeat them."""
        caplog.set_level(logging.DEBUG)
        hidden = [self.address, self.address.lstrip("+"), TEXT, SUBJECT, *self.secrets]
        for story in self.stories:
            caplog.clear()
            with self.running(story) as (provider, peer):
                result = self._send(provider)
                peer.let_go()
                said = [repr(result), result.reason, repr(provider), repr(provider.capabilities)]
            said += [
                f"{record.getMessage()} {vars(record)}"
                for record in caplog.records
                if record.name not in self.foreign_loggers
            ]

            assert [(story, word) for word in hidden if word in "\n".join(said)] == []

    # What the company says later.

    @pytest.mark.parametrize("state", [MessageState.DELIVERED, MessageState.FAILED])
    def test_receipt_is_proven_and_read(self, state: MessageState) -> None:
        """Twice the same: a repeated delivery and a replay next year do no harm."""
        with self._receiving() as provider:
            request = self.make_receipt(state)

            verified = provider.open_webhook(request)
            [receipt] = provider.read_receipts(request.body)

            assert isinstance(receipt, Receipt)
            assert receipt.state is state
            assert receipt.provider_ref or receipt.provider_uid
            assert receipt.address in {None, self.address}
            assert provider.open_webhook(request) == verified
            assert provider.read_receipts(request.body) == [receipt]
            assert verified.dedupe_key
            assert verified.event_type
            assert self.address.lstrip("+") not in verified.dedupe_key + verified.event_type
            # What does not sign is taken only by the path with the secret.
            has_secret = re.search(r"/[a-z0-9_]+-[^/]+/$", request.path) is not None
            assert provider.capabilities.signs_receipts or has_secret

    def test_receipts_of_different_news_are_different_events(self) -> None:
        """Else the second would be taken for a repetition of the first."""
        with self._receiving() as provider:
            news = [
                provider.open_webhook(self.make_receipt(state)).dedupe_key
                for state in (MessageState.DELIVERED, MessageState.FAILED)
            ]

            assert len(set(news)) == len(news)

    def test_receipt_without_its_proof_is_refused(self) -> None:
        """Anybody could post it."""
        with self._receiving() as provider:
            request = self.without_proof(self.make_receipt(MessageState.DELIVERED))

            with pytest.raises(SignatureInvalid):
                provider.open_webhook(request)

    def test_unreadable_receipt_is_an_error_of_its_own(self) -> None:
        """Not a KeyError from somewhere inside; and never a receipt."""
        with self._receiving() as provider:
            for body in _UNREADABLE:
                request = dataclasses.replace(self.make_receipt(MessageState.DELIVERED), body=body)
                with pytest.raises((SignatureInvalid, PayloadUnreadable)):
                    provider.open_webhook(request)
                with suppress(PayloadUnreadable):
                    assert provider.read_receipts(body) == []

    # What it is asked.

    def test_unclear_answer_to_a_question_says_nothing(self) -> None:
        """Above all not "failed", and no balance of zero."""
        for story in self.stories - {Story.ACCEPT}:
            with self.running(story) as (provider, _):
                if provider.capabilities.can_query:
                    assert self._within(lambda: self._query(provider)) is None
                if provider.capabilities.can_tell_balance:
                    with pytest.raises(self.failures):
                        self._within(provider.balance)

    def _query(self, provider: Provider) -> Receipt | None:
        try:
            return provider.query(
                provider_ref=REFERENCE, provider_uid=UUID(int=1), address=self.address
            )
        except self.failures:
            return None

    def _send(self, provider: Any) -> SendOutcome:
        message = self.make_message()
        result: SendOutcome = self._within(lambda: provider.send(message))
        return result

    def _make_batch(self) -> list[Any]:
        if self.channel is Channel.SMS:
            return [self.make_message(to=f"+25571234567{digit}") for digit in range(3)]
        return [self.make_message(to=f"asha{digit}@mpokeaji.example") for digit in range(3)]

    def _require_batches(self, provider: Provider) -> None:
        if provider.capabilities.batch_size < 2:  # noqa: PLR2004 - one is no batch
            pytest.skip("It takes one message at a time.")

    def _running(self, story: Story) -> AbstractContextManager[tuple[Any, Peer]]:
        if story not in self.stories:
            pytest.skip("This company never does that.")
        return self.running(story)

    @contextmanager
    def _receiving(self) -> Iterator[Any]:
        with self.running(Story.ACCEPT) as (provider, _):
            if not provider.capabilities.sends_receipts:
                pytest.skip("The company sends no receipts.")
            yield provider

    def _within(self, call: Callable[[], _Result]) -> _Result:
        """Return what the call returns; one without a deadline of its own fails here."""
        ended: list[Callable[[], _Result]] = []

        def run() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - raised again by who waits
                ended.append(_raiser(error))
            else:
                ended.append(lambda: result)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self.longest_call_seconds)
        if not ended:
            pytest.fail(f"The call did not end within {self.longest_call_seconds:g} s.")
        return ended[0]()


_ARRIVED = {Outcome.ACCEPTED, Outcome.DELIVERED}


def _raiser(error: BaseException) -> Callable[[], Any]:
    def again() -> Any:
        raise error

    return again


def _overrides(provider: Provider, name: str) -> bool:
    """Tell whether the provider has its own version of a method of the base classes."""
    method = getattr(type(provider), name)
    bases = (Provider, EmailProvider, SmsProvider)
    return all(method is not getattr(base, name, None) for base in bases)


def _has_line(received: bytes, line: bytes) -> bool:
    return any(part.startswith(line) for part in re.split(rb"[\r\n]+", received))
