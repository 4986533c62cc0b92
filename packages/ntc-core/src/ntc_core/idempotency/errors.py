"""What is wrong with a key."""

from __future__ import annotations

from ntc_core.errors import Conflict, InvalidInput, Unprocessable

__all__ = ["HEADER", "KeyInUse", "KeyInvalid", "KeyRequired", "KeyReused"]

HEADER = "Idempotency-Key"


class KeyInvalid(InvalidInput):
    """Not a text that a header carries safely."""

    message = f"{HEADER} is a text of 1 to 255 ASCII letters, digits and signs, such as a UUID."


class KeyRequired(InvalidInput):
    """The view insists on one."""

    code = "required"
    message = "Send a value of your own, such as a UUID: a repeated call then has one effect."


class KeyReused(Unprocessable):
    """The same key with other content."""

    code = "idempotency_key_reused"
    message = (
        "This idempotency key belongs to a request with other content. "
        "Use a new key for a new request."
    )


class KeyInUse(Conflict):
    """The first call with this key is still running."""

    code = "idempotency_key_in_use"
    message = "The same request is still being carried out. Ask again in a moment."
