"""What changes notifications. A project calls `send` and `send_bulk`; the jobs call the rest."""

from ntc_notify.services.bulk import BulkRecipient, BulkSummary, send_bulk
from ntc_notify.services.chunks import break_up_parked_chunk, deliver_chunk
from ntc_notify.services.delivering import announce, deliver, expire_overdue
from ntc_notify.services.purging import purge
from ntc_notify.services.reading import mark_all_read, mark_read
from ntc_notify.services.receipts import process_webhook_event, query_attempt, query_due
from ntc_notify.services.resending import resend_message
from ntc_notify.services.sending import send
from ntc_notify.services.suppressing import (
    lift_suppression,
    set_preference,
    set_preferences,
    suppress_address,
    unsubscribe,
)

__all__ = [
    "BulkRecipient",
    "BulkSummary",
    "announce",
    "break_up_parked_chunk",
    "deliver",
    "deliver_chunk",
    "expire_overdue",
    "lift_suppression",
    "mark_all_read",
    "mark_read",
    "process_webhook_event",
    "purge",
    "query_attempt",
    "query_due",
    "resend_message",
    "send",
    "send_bulk",
    "set_preference",
    "set_preferences",
    "suppress_address",
    "unsubscribe",
]
