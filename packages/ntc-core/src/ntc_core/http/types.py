"""What a call ends with: an answer, or one of two failures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["AnswerUnreadable", "HttpAnswer", "HttpFailure", "NoAnswer", "NotSent"]


class HttpFailure(Exception):
    """There is no answer to look at. Which subclass it is decides what may be done next."""


class NotSent(HttpFailure):
    """No byte of the request left: name, connection or TLS failed. Repeating is safe."""


class NoAnswer(HttpFailure):
    """The company may have received it: time ran out, or the answer was cut or too large.

    Repeating may do it twice. Ask for the state first.
    """


class AnswerUnreadable(ValueError):
    """There is an answer, but not in the shape the company documents."""


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    """What the company answered. Headers and body stay out of `repr`, so out of logs."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the body read as JSON.

        Raises:
            AnswerUnreadable: it is something else; the message names the content type.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            kind = self.headers.get("content-type", "no content type")
            raise AnswerUnreadable(
                f"Expected JSON, got {len(self.body)} bytes of {kind[:80]} (HTTP {self.status})."
            ) from error
