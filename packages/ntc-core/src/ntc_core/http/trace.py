"""What was asked of a company and how that ended, for whoever keeps a record of it.

Nothing of a header, a query or a body: there are the secrets and the people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

__all__ = ["TracedCall", "note_call", "on_call", "traced_calls"]


@dataclass(frozen=True, kw_only=True)
class TracedCall:
    """One request and its end.

    Attributes:
        path: without the query. A company may have people in it: mask before it is stored.
        status: of the answer; None: there was none.
        started_at: by this machine's clock; decides nothing.
        seconds: from then to its end.
        error: name of the exception that ended it; empty: it was answered.
    """

    method: str
    host: str
    path: str
    status: int | None
    started_at: datetime
    seconds: float
    error: str = ""


_listeners: list[Callable[[TracedCall], None]] = []
_calls: ContextVar[list[TracedCall] | None] = ContextVar("ntc_traced_calls", default=None)


@contextmanager
def traced_calls() -> Iterator[list[TracedCall]]:
    """Return the list to which every call of `HttpClient` in this block is added.

    It is of this thread's context: calls that other threads make are not in it. An inner
    block takes its calls for itself.
    """
    calls: list[TracedCall] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def on_call(listener: Callable[[TracedCall], None]) -> None:
    """Tell this function of every call, in the thread that made it."""
    if listener not in _listeners:
        _listeners.append(listener)


def note_call(call: TracedCall) -> None:
    """Add a call to the list of the block it was made in, if it was made in one."""
    for listener in _listeners:
        listener(call)
    calls = _calls.get()
    if calls is not None:
        calls.append(call)
