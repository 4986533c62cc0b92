"""What a project adds to the timeline of a payment."""

from __future__ import annotations

from datetime import timedelta

from ntc_payments.types import TimelineNote

__all__ = ["broken", "receipts"]


def receipts(payment):
    yield TimelineNote(
        at=payment.created_at + timedelta(days=1),
        kind="message",
        text="Receipt by SMS to +255712345678",
        url="/admin/messages/1/",
    )


def broken(payment):
    raise ZeroDivisionError
