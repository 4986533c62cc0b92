"""A company's own words as a reason: one line, short, and without the people in it."""

from __future__ import annotations

import re

from ntc_core.phone import mask_email, mask_phone

__all__ = ["make_reason", "read_retry_after"]

LONGEST_REASON = 200
#: What a company may ask us to wait; longer is no wish but a mistake of somebody's clock.
LONGEST_WAIT_SECONDS = 24 * 60 * 60.0

_EMAIL = re.compile(r"[^\s@<>\"'(),:;\\\[\]]+@[^\s@<>\"'(),:;\\\[\]]+")
_PHONE = re.compile(r"(?<![\w.-])\+?[1-9][0-9]{8,14}(?![\w-])", re.ASCII)


def make_reason(*words: object) -> str:
    """Return the words as one line in which addresses and phone numbers are masked."""
    text = " ".join(" ".join(str(word) for word in words if word).split())
    text = _EMAIL.sub(lambda found: mask_email(found[0]), text)
    text = _PHONE.sub(lambda found: mask_phone(f"+{found[0].lstrip('+')}"), text)
    return text[:LONGEST_REASON]


def read_retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header; a date or nonsense counts as absent."""
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return min(float(value), LONGEST_WAIT_SECONDS)
