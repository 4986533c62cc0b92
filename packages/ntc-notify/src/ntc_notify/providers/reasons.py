"""A company's own words as a reason: one line, short, and without the people in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ntc_core.phone import mask_email, mask_phone

__all__ = ["make_reason", "read_retry_after"]

LONGEST_REASON = 200
#: A text of "OK" must not take these letters out of every word.
SHORTEST_HIDDEN = 4
#: What a company may ask us to wait; longer is no wish but a mistake of somebody's clock.
LONGEST_WAIT_SECONDS = 24 * 60 * 60.0

_EMAIL = re.compile(r"[^\s@<>\"'(),:;\\\[\]]+@[^\s@<>\"'(),:;\\\[\]]+")
_PHONE = re.compile(r"(?<![\w.-])\+?[1-9][0-9]{8,14}(?![\w-])", re.ASCII)


def make_reason(*words: object, hidden: Iterable[str] = ()) -> str:
    """Return the words as one line in which addresses and phone numbers are masked.

    Args:
        hidden: what else must not be repeated, such as the text that was sent.
    """
    text = _one_line(*words)
    for secret in map(_one_line, hidden):
        if len(secret) >= SHORTEST_HIDDEN:
            text = text.replace(secret, "***")
    text = _EMAIL.sub(lambda found: mask_email(found[0]), text)
    text = _PHONE.sub(lambda found: mask_phone(f"+{found[0].lstrip('+')}"), text)
    return text[:LONGEST_REASON]


def read_retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header; a date or nonsense counts as absent."""
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return min(float(value), LONGEST_WAIT_SECONDS)


def _one_line(*words: object) -> str:
    return " ".join(" ".join(str(word) for word in words if word).split())
