"""The jobs of this package; the outbox finds and runs them."""

from __future__ import annotations

from ntc_core.outbox import job

from ntc_notify import services

__all__ = [
    "announce",
    "deliver_chunk",
    "deliver_message",
    "expire_messages",
    "process_webhook_event",
    "purge",
    "query_attempt",
    "query_due",
]


# The lease outlives the claim on the message (45 s of call and 5 s): whoever runs this
# again finds a claim that is over.
@job("ntc_notify.deliver_message", atomic=False, lease_seconds=60, queue="messages")
def deliver_message(message_id: int) -> None:
    """Make the next try for one message."""
    services.deliver(message_id)


# A run of 30 s may end in a call of 45 s.
@job("ntc_notify.deliver_chunk", atomic=False, lease_seconds=120, queue="bulk")
def deliver_chunk(chunk: str) -> None:
    """Make the next try for the messages of one chunk of a bulk."""
    services.deliver_chunk(chunk)


@job("ntc_notify.announce", atomic=True)
def announce(message_id: int, state: str) -> None:
    """Send `message_delivered` or `message_failed`, once in effect."""
    services.announce(message_id, state)


@job("ntc_notify.process_webhook_event")
def process_webhook_event(event_id: int, tries: int = 0) -> None:
    """Apply the receipts of a stored webhook."""
    services.process_webhook_event(event_id=event_id, tries=tries)


@job("ntc_notify.query_due", atomic=False, every_seconds=30)
def query_due() -> None:
    """Plan the queries that are due."""
    services.query_due()


@job("ntc_notify.query_attempt", atomic=False, max_attempts=3, queue="messages")
def query_attempt(attempt_id: int) -> None:
    """Ask a provider what became of an attempt."""
    services.query_attempt(attempt_id)


@job("ntc_notify.expire_messages", atomic=False, every_seconds=60)
def expire_messages() -> None:
    """Close what could not even be tried in time, such as after a broken template."""
    services.expire_overdue()


@job("ntc_notify.purge", atomic=False, every_seconds=3600, lease_seconds=600)
def purge() -> None:
    """Forget old facts and inbox items, batch by batch."""
    while services.purge():
        pass
