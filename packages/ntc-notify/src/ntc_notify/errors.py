"""What can go wrong when something is to be sent. Plain Python.

Mistakes of the calling code are plain exceptions: in a request they become a 500, as
they should. What depends on a person's data is an `NtcError` and reaches the caller.
"""

from __future__ import annotations

from ntc_core.errors import Unprocessable

__all__ = [
    "ContentGone",
    "DedupeKeyReused",
    "InvalidContext",
    "InvalidRecipient",
    "NoReachableAddress",
    "NotifyError",
    "RenderingFailed",
    "UnknownKind",
]


class NotifyError(Exception):
    """A mistake in how this package is called or set up."""


class UnknownKind(NotifyError, LookupError):
    """`NTC_NOTIFY_KINDS` has no such kind, or the kind no such channel."""


class InvalidContext(NotifyError, ValueError):
    """The facts do not fit the kind: one is missing, surplus, secret or not JSON."""


class DedupeKeyReused(NotifyError, ValueError):
    """The same kind and dedupe key were used before, for other content."""


class RenderingFailed(NotifyError):
    """A template is missing or does not yield what its channel needs."""


class ContentGone(NotifyError):
    """Raised by a kind's secrets resolver: the code is used, replaced or expired.

    The message is canceled; that is no failure.
    """


class InvalidRecipient(Unprocessable):
    """An address is not in a shape that can work."""

    code = "invalid_recipient"
    message = "The recipient's address is not valid."


class NoReachableAddress(Unprocessable):
    """The person has no address on any channel that can be used for this kind."""

    code = "no_reachable_address"
    message = "There is no address to send this to."
