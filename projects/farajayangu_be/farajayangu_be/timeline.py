"""What the story of a payment in the admin tells besides the payment: the messages about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.urls import reverse
from ntc_notify.selectors import list_messages
from ntc_payments.types import TimelineNote

if TYPE_CHECKING:
    from ntc_notify.models import Message
    from ntc_payments.models import Payment

__all__ = ["list_messages_about"]

#: As `receivers` names them: a receipt by its payment, a failure by its attempt.
_KINDS = ("receipt", "payment_failed")


def list_messages_about(payment: Payment) -> Iterator[TimelineNote]:
    """Tell each message when it was written, and what has become of it (one query)."""
    keys = [str(payment.uid), *(str(attempt.uid) for attempt in payment.attempts.all())]
    for message in list_messages(kinds=_KINDS, dedupe_keys=keys):
        yield TimelineNote(
            at=message.created_at,
            kind="message",
            text=_text(message),
            url=reverse("admin:ntc_notify_message_change", args=[message.pk]),
        )


def _text(message: Message) -> str:
    news = message.notification.kind.replace("_", " ")
    state = message.state.replace("_", " ")
    error = f" ({message.error})" if message.error else ""
    return f"{news} by {message.channel} to {message.masked_address}; now {state}{error}"
