"""What a provider is. Plain Python.

To add one: subclass `EmailProvider` or `SmsProvider` in one file, take the options as
keyword arguments of `__init__`, and answer `send()` with a `SendOutcome`. The service
decides what follows; a provider never retries by itself, for a repeated call may be a
second message.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ntc_notify.types import OutgoingEmail, OutgoingSms, SendOutcome

__all__ = ["LONGEST_CALL_SECONDS", "EmailProvider", "Provider", "SmsProvider"]

#: No call may take longer, everything included: a worker's claim on a message ends soon
#: after, and then another may take the message over.
LONGEST_CALL_SECONDS = 45.0


class Provider:
    """What providers of every channel have in common."""

    #: Keeps messages on this machine, readable, instead of sending them. Not for the public.
    is_local: ClassVar[bool] = False
    #: The total time of one `send()`, at most `LONGEST_CALL_SECONDS`.
    timeout_seconds: float = 20.0


class EmailProvider(Provider, ABC):
    """Carries emails."""

    @abstractmethod
    def send(self, message: OutgoingEmail, /) -> SendOutcome:
        """Hand one email over, within `timeout_seconds`, and say what came of it."""


class SmsProvider(Provider, ABC):
    """Carries SMS."""

    @abstractmethod
    def send(self, message: OutgoingSms, /) -> SendOutcome:
        """Hand one SMS over, within `timeout_seconds`, and say what came of it."""
