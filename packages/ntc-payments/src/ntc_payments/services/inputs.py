"""Read what callers of several services give: texts, and keys that make a repetition harmless."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ntc_core.errors import InvalidInput

from ntc_payments.errors import IdempotencyKeyReused
from ntc_payments.models import LONGEST_TEXT

__all__ = ["IDEMPOTENCY_HEADER", "fingerprint_of", "read_key", "read_text", "require_same"]

#: Where a key comes from over HTTP, so what an error about it names.
IDEMPOTENCY_HEADER = "Idempotency-Key"


def read_text(value: str, *, name: str) -> str:
    """Return the text as a column takes it.

    Raises:
        InvalidInput: empty, too long, or with a NUL character.
    """
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT or "\x00" in value:
        raise InvalidInput(f"{name} is a text of 1 to {LONGEST_TEXT} characters.", attr=name)
    return value


def read_key(value: str) -> str:
    """Return an idempotency key.

    Raises:
        InvalidInput: no header could carry it.
    """
    key = read_text(value, name=IDEMPOTENCY_HEADER)
    # What a header can carry: other letters arrive as whatever the server in between makes of them.
    if not (key.isascii() and key.isprintable()):
        raise InvalidInput(
            f"{IDEMPOTENCY_HEADER} is a text of ASCII letters, digits and signs, such as a UUID.",
            attr=IDEMPOTENCY_HEADER,
        )
    return key


def fingerprint_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what was asked for under a key."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def require_same(known: str, asked: str) -> None:
    """Refuse a key that comes back with other content.

    Raises:
        IdempotencyKeyReused: the two fingerprints differ.
    """
    if known != asked:
        raise IdempotencyKeyReused(attr=IDEMPOTENCY_HEADER)
