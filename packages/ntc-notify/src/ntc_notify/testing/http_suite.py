"""The exam for a company that speaks HTTP: it plays the stories on a real socket."""

# ruff: noqa: S101 - tests that other tests inherit

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from ntc_notify.testing.http_peer import (
    BREAKS,
    HttpPeer,
    HttpReply,
    ReceivedRequest,
    free_port,
    http_peer,
)
from ntc_notify.testing.suite import NotifyProviderSuite, Peer, Story
from ntc_notify.types import Outcome

__all__ = ["GARBAGE", "HttpProviderSuite"]

_HTML = b"<html><body>Bad gateway</body></html>"

#: Whole answers that no company documents.
GARBAGE: dict[str, HttpReply] = {
    "empty": HttpReply(),
    "no content": HttpReply(status=204),
    "broken JSON": HttpReply(body=b'{"a": ', headers={"Content-Type": "application/json"}),
    "JSON list": HttpReply.json([7]),
    "JSON null": HttpReply.json(None),
    "empty object": HttpReply.json({}),
    "HTML": HttpReply(body=_HTML, headers={"Content-Type": "text/html"}),
    "no UTF-8": HttpReply(body=b"\xff\xfe\x00", headers={"Content-Type": "application/json"}),
    "redirect": HttpReply(status=302, headers={"Location": "http://127.0.0.1:1/"}),
}
_SERVER_ERRORS: dict[str, HttpReply] = {
    "500 HTML": HttpReply(status=500, body=_HTML, headers={"Content-Type": "text/html"}),
    "502 empty": HttpReply(status=502),
    "503 JSON": HttpReply.json({}, status=503),
    "504 JSON": HttpReply.json({}, status=504),
}


class HttpProviderSuite(NotifyProviderSuite):
    """Inherit it where the provider takes a base URL."""

    #: What the company answers to a message it takes, refuses for good, and has no time for.
    accepted: ClassVar[HttpReply]
    refused: ClassVar[HttpReply]
    throttled: ClassVar[HttpReply] = HttpReply(status=429, headers={"Retry-After": "7"})
    throttled_seconds: ClassVar[float | None] = 7.0
    #: Path -> answer to calls that come before the one that counts, such as for a token.
    well_answered: ClassVar[Mapping[str, HttpReply]] = {}

    def make_provider(self, base_url: str) -> Any:
        """Return the provider, pointed at that server, with a deadline of about a second."""
        raise NotImplementedError

    def accept(self, request: ReceivedRequest) -> HttpReply:
        """Return `accepted`, unless the answer depends on the request."""
        del request
        return self.accepted

    def is_delivery(self, request: ReceivedRequest) -> bool:
        """Tell whether the request hands a message over."""
        return request.method == "POST"

    def identify(self, request: ReceivedRequest) -> Hashable:
        """Return what the company recognises a second call by; by default nothing."""
        return id(request)

    @contextmanager
    def running(self, story: Story) -> Iterator[tuple[Any, Peer]]:
        """Play the story for the call that counts."""
        if story is Story.ABSENT:
            provider = self.make_provider(f"http://127.0.0.1:{free_port()}")
            yield provider, _HttpPeer(self, HttpPeer(self.accept))
            return
        replies = {
            Story.REFUSE: self.refused,
            Story.THROTTLE: self.throttled,
            Story.SILENT: replace(self.accepted, breaks="silent"),
            Story.DRIP: replace(self.accepted, breaks="drip"),
            Story.CUT: replace(self.accepted, breaks="closed"),
            Story.BROKEN: _SERVER_ERRORS["500 HTML"],
            Story.GARBAGE: GARBAGE["HTML"],
        }
        with self._answering(replies.get(story)) as both:
            yield both

    @pytest.mark.parametrize("name", GARBAGE)
    def test_every_undocumented_answer_is_unknown(self, name: str) -> None:
        """Whole, well-formed, and of no use."""
        with self._answering(GARBAGE[name]) as (provider, peer):
            result = self._send(provider)

            assert result.outcome is Outcome.UNKNOWN
            assert peer.deliveries == 1

    @pytest.mark.parametrize("name", [name for name in BREAKS if name not in {"silent", "drip"}])
    def test_every_broken_connection_is_unknown(self, name: str) -> None:
        """However it breaks after the request is out."""
        with self._answering(replace(self.accepted, breaks=name)) as (provider, peer):
            result = self._send(provider)

            assert result.outcome is Outcome.UNKNOWN
            assert peer.deliveries == 1

    @pytest.mark.parametrize("name", _SERVER_ERRORS)
    def test_every_server_error_is_no_outcome(self, name: str) -> None:
        """Also one that is answered in JSON."""
        with self._answering(_SERVER_ERRORS[name]) as (provider, peer):
            result = self._send(provider)

            assert result.outcome in self.after_server_error
            assert peer.deliveries == 1

    @contextmanager
    def _answering(self, reply: HttpReply | None) -> Iterator[tuple[Any, Peer]]:
        """Run the company with one answer to everything that counts; None: it accepts."""

        def answer(request: ReceivedRequest) -> HttpReply:
            prepared = self.well_answered.get(request.path)
            return prepared or reply or self.accept(request)

        with http_peer(answer) as peer:
            yield self.make_provider(peer.base_url), _HttpPeer(self, peer)


class _HttpPeer:
    """What the exam wants to know of an `HttpPeer`."""

    def __init__(self, suite: HttpProviderSuite, peer: HttpPeer) -> None:
        self._suite = suite
        self._peer = peer

    @property
    def deliveries(self) -> int:
        return len(self._delivered())

    @property
    def messages(self) -> int:
        return len({self._suite.identify(request) for request in self._delivered()})

    @property
    def received(self) -> bytes:
        return b"\n".join(request.body for request in self._delivered())

    def let_go(self) -> None:
        self._peer.let_go()

    def _delivered(self) -> list[ReceivedRequest]:
        return [each for each in self._peer.requests if self._suite.is_delivery(each)]
