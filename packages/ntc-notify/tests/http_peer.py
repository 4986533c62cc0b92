"""The company of `ntc_notify.testing`, with answers in a queue, some of which come late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ntc_notify.testing import HttpPeer, HttpReply, ReceivedRequest, http_peer


@dataclass(frozen=True, kw_only=True)
class LateReply(HttpReply):
    """Answered after so many seconds, or when the test is over."""

    after_seconds: float


@dataclass
class QueuePeer:
    """A running company."""

    #: What comes before the company's usual answers, in order.
    next: list[HttpReply] = field(default_factory=list)
    peer: HttpPeer = field(init=False)

    @property
    def requests(self) -> list[ReceivedRequest]:
        return self.peer.requests

    @property
    def base_url(self) -> str:
        return self.peer.base_url


@contextmanager
def run_peer(usual: Callable[[ReceivedRequest], HttpReply]) -> Iterator[QueuePeer]:
    """Run a company on a free port of 127.0.0.1 until the block ends."""
    queue = QueuePeer()

    def answer(request: ReceivedRequest) -> HttpReply:
        reply = queue.next.pop(0) if queue.next else usual(request)
        if isinstance(reply, LateReply):
            queue.peer.gone.wait(reply.after_seconds)
        return reply

    with http_peer(answer) as queue.peer:
        yield queue
