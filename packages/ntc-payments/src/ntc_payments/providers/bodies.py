"""Read what companies send: exactly, and refusing what two readers could read differently."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from ntc_core.webhooks.types import PayloadUnreadable

__all__ = ["load_event", "load_json"]


def load_json(body: bytes) -> Any:
    """Return the JSON of a body; a number with decimals is a Decimal, never a binary fraction.

    Raises:
        ValueError: it is none, a key occurs twice, or it has NaN or Infinity.
    """
    try:
        return json.loads(
            body,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_no_duplicate_keys,
        )
    except (ArithmeticError, RecursionError) as error:
        raise ValueError("no readable JSON") from error


def load_event(body: bytes, *, company: str) -> dict[str, Any]:
    """Return the JSON object of a webhook.

    Raises:
        PayloadUnreadable: it is none; the sentence names the company.
    """
    try:
        event = load_json(body)
    except ValueError as error:
        raise PayloadUnreadable(f"{company}: expected a JSON object.") from error
    if not isinstance(event, dict):
        raise PayloadUnreadable(f"{company}: expected a JSON object.")
    return event


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _no_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice")
    return values
