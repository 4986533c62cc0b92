"""What the outbox tells others."""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["job_failed"]

#: Sent with `job` (the OutboxJob, `last_error` set) and `parked` (bool: no further attempt),
#: inside the transaction that writes it down.
job_failed = Signal()
