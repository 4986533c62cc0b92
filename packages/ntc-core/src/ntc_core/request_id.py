"""The id that follows one request through responses, log lines, jobs and error bodies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import uuid_utils

__all__ = ["bind_request_id", "get_request_id", "new_request_id"]

_request_id: ContextVar[str] = ContextVar("ntc_request_id", default="")


def get_request_id() -> str:
    """Return the id of the request (or of the job it caused), `""` outside of any."""
    return _request_id.get()


def new_request_id() -> str:
    """Return a fresh UUIDv7, so that ids sort by time."""
    return str(uuid_utils.uuid7())


@contextmanager
def bind_request_id(request_id: str) -> Iterator[None]:
    """Make `request_id` the current one within the block."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)
