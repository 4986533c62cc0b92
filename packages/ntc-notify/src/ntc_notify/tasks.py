"""The jobs of this package; the outbox finds and runs them."""

from __future__ import annotations

from ntc_core.outbox import job

from ntc_notify import services

__all__ = ["announce", "deliver_message", "expire_messages"]


# The lease outlives the claim on the message (45 s of call and 5 s): whoever runs this
# again finds a claim that is over.
@job("ntc_notify.deliver_message", atomic=False, lease_seconds=60, queue="messages")
def deliver_message(message_id: int) -> None:
    """Make the next try for one message."""
    services.deliver(message_id)


@job("ntc_notify.announce", atomic=True)
def announce(message_id: int, state: str) -> None:
    """Send `message_delivered` or `message_failed`, once in effect."""
    services.announce(message_id, state)


@job("ntc_notify.expire_messages", atomic=False, every_seconds=60)
def expire_messages() -> None:
    """Close what could not even be tried in time, such as after a broken template."""
    services.expire_overdue()
