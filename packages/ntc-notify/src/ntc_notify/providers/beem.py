"""What Beem's products have in common: keys, phone numbers, and codes in answers.

Code numbers mean different things per product, so each product has its own table.
Source: docs/providers/beem-sms.md. Plain Python.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from ntc_core.http import AnswerUnreadable, HttpAnswer, HttpClient
from ntc_core.webhooks.types import PayloadUnreadable

__all__ = [
    "BeemRefused",
    "load_object",
    "make_authorization",
    "make_client",
    "read_code",
    "read_object",
    "read_whole_number",
    "to_dest_addr",
]

_SEPARATORS = re.compile(r"[\s\-().]+", re.ASCII)
_TANZANIAN = re.compile(r"255[67][0-9]{8}", re.ASCII)
_TRUNK = re.compile(r"0[67][0-9]{8}", re.ASCII)
_NATIONAL = re.compile(r"[67][0-9]{8}", re.ASCII)
_FOREIGN = re.compile(r"[1-9][0-9]{7,14}", re.ASCII)


class BeemRefused(AnswerUnreadable):
    """Beem answered, and the answer is no: there is nothing to read in it.

    Attributes:
        error: our word for it, such as "invalid_sender".
        code: Beem's number.
    """

    def __init__(self, error: str, *, code: int) -> None:
        super().__init__(f"Beem refused with code {code}: {error}.")
        self.error = error
        self.code = code


def make_authorization(api_key: str, secret_key: str) -> str:
    """Return the value of the Authorization header: Basic, UTF-8, the secret as it is."""
    return f"Basic {base64.b64encode(f'{api_key}:{secret_key}'.encode()).decode()}"


def make_client(
    base_url: str, *, api_key: str, secret_key: str, timeout_seconds: float
) -> HttpClient:
    """Return a client that signs in with every call."""
    if not api_key or not secret_key or ":" in api_key:
        raise ValueError("Beem needs an api_key (without a colon) and a secret_key.")
    return HttpClient(
        base_url=base_url,
        total_timeout_seconds=timeout_seconds,
        connect_timeout_seconds=min(5.0, timeout_seconds),
        headers={
            "Authorization": make_authorization(api_key, secret_key),
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
    )


def to_dest_addr(phone: str) -> str:
    """Return the number as Beem writes it: digits with the country code, no plus.

    A number without a country code is Tanzanian. Operator prefixes are not looked at: new
    ones appear.

    Raises:
        ValueError: it is not a number in a shape that can work. The message does not repeat it.
    """
    digits = _SEPARATORS.sub("", phone)
    is_international = digits.startswith(("+", "00"))
    if is_international:
        digits = digits.removeprefix("+") if digits[0] == "+" else digits[2:]
    elif _TRUNK.fullmatch(digits):
        digits = f"255{digits[1:]}"
    elif _NATIONAL.fullmatch(digits):
        digits = f"255{digits}"
    if digits.startswith("255"):
        is_good = _TANZANIAN.fullmatch(digits) is not None
    else:
        is_good = is_international and _FOREIGN.fullmatch(digits) is not None
    if not is_good:
        raise ValueError("The phone number must be written like +255712345678.")
    return digits


def read_object(answer: HttpAnswer) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        AnswerUnreadable: it is none.
    """
    body = answer.json()
    if not isinstance(body, dict):
        raise AnswerUnreadable("Beem: expected a JSON object.")
    return body


def read_code(body: Mapping[str, Any]) -> int | None:
    """Return the code of an answer, which may be text and may lie under `data`."""
    data = body.get("data")
    for level in (body, data if isinstance(data, dict) else {}):
        number = read_whole_number(level.get("code"))
        if number is not None:
            return number
    return None


def read_whole_number(value: object) -> int | None:
    """Return a number of zero or more that may have come as text; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None  # noqa: PLR2004 - no count or id is longer


def load_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that Beem posted, refusing what two readers could read differently.

    Raises:
        PayloadUnreadable: it is none, or a key occurs twice.
    """
    try:
        values = json.loads(body, object_pairs_hook=_no_duplicate_keys)
    except (ValueError, RecursionError) as error:
        raise PayloadUnreadable("Beem: expected a JSON object.") from error
    if not isinstance(values, dict):
        raise PayloadUnreadable("Beem: expected a JSON object.")
    return values


def _no_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice")
    return values
