"""What a project may listen to.

`code_issued(sender=OneTimeCode, challenge=OneTimeCode)` is sent inside the transaction
that stores the code. The receiver arranges for the message in the same transaction and
passes on `challenge.uid` only: who renders the message asks `services.reveal_code()`.

`refresh_reused(sender=AuthSession, session=AuthSession)` is sent once, inside the transaction
that ends a session because a spent refresh token came back: somebody has a copy of it.

`sessions_ended(sender=AuthSession, uids=list[UUID])` is sent inside the transaction that ends
or deletes sessions, whatever the reason.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["code_issued", "refresh_reused", "sessions_ended"]

code_issued = Signal()
refresh_reused = Signal()
sessions_ended = Signal()
