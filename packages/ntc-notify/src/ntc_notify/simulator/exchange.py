"""What crosses between the HTTP server and Beem: a request, an answer, a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Answer", "Refused", "Request", "Route"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call as it arrived; header names in lower case, the query decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, *, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        """Take a request line apart."""
        parts = urlsplit(target)
        return cls(
            method=method,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
        )

    def json(self) -> dict[str, Any] | None:
        """Return the JSON object of the body, or None where there is none."""
        try:
            values = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return values if isinstance(values, dict) else None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered. `body`: JSON, or a text that is a page."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An answer that ends the work."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.answer = Answer(status=status, body=body)


@dataclass(frozen=True)
class Route:
    """One path below /beem; `action`: its name on the dial."""

    method: str
    path: str
    action: str
    handler: Callable[[Request], Answer]
