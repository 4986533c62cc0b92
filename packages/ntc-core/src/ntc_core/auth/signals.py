"""What a project may listen to.

`code_issued(sender=OneTimeCode, challenge=OneTimeCode)` is sent inside the transaction
that stores the code. The receiver arranges for the message in the same transaction and
passes on `challenge.uid` only: who renders the message asks `services.reveal_code()`.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["code_issued"]

code_issued = Signal()
