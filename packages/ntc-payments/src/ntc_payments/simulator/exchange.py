"""What crosses between the HTTP server and a company: a request, an answer, a refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Answer", "Refused", "Request", "Route", "read_object"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call as it arrived.

    Attributes:
        path: below the company's own prefix, not decoded.
        query: the parameters in the order sent, decoded; a repeated name keeps its last value.
        headers: names in lower case.
        fault: what the dial says goes wrong with it, where only the company can do that.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    fault: str = "none"

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


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the company says. `body`: JSON, or a text that is a page."""

    status: int = HTTPStatus.OK
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An answer that ends the work; its body is the company's own shape."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.answer = Answer(status=status, body=body)


@dataclass(frozen=True)
class Route:
    """One path of a company.

    Attributes:
        pattern: of the whole path below the prefix; its named groups go to the handler.
        action: what the dial calls it: start, push, query, payout, refund, cancel, token or other.
        handler: a bound method that takes the request and the groups.
    """

    method: str
    pattern: str
    action: str
    handler: Callable[..., Answer]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the named parts of the path, or None where it is another route's."""
        found = re.fullmatch(self.pattern, path)
        return found.groupdict() if found and method == self.method else None


def read_object(request: Request, *, refuse: Callable[[str], Refused]) -> dict[str, Any]:
    """Return the JSON object of the body.

    Args:
        refuse: makes the company's own refusal of a sentence.
    """
    try:
        values = json.loads(request.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise refuse("Expected a JSON object.")
    return values


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are Python's, no JSON."""
    raise ValueError(name)
