"""Take in an email that other code has written, and send it by the same road."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from ntc_core.models import new_uid

from ntc_notify.conf import STORED_EMAIL
from ntc_notify.models import Notification, StoredEmail
from ntc_notify.services.sending import send
from ntc_notify.types import OutgoingEmail, Recipient

__all__ = ["send_stored_email"]

#: What its columns take.
_LONGEST = {"subject": 998, "sender": 500}


def send_stored_email(email: OutgoingEmail, *, recipients: Iterable[str]) -> list[Notification]:
    """Queue the email for each of the addresses, in the caller's transaction.

    It is kept until it has left. Each person gets a message of their own, so that one who
    is refused is known; nobody sees who else got it.

    Args:
        email: what is sent. Its `to` and `provider_uid` are of no account.
        recipients: addresses without names.

    Raises:
        InvalidRecipient, NoReachableAddress: as `send()` does. No row is written for anybody.
        ValueError: subject or sender are longer than any email's.
    """
    for field, longest in _LONGEST.items():
        if len(getattr(email, field)) > longest:
            raise ValueError(f"The {field} of an email has at most {longest} characters.")
    with transaction.atomic():
        return [_store(email, address) for address in recipients]


def _store(email: OutgoingEmail, address: str) -> Notification:
    # Nobody tells whether two calls mean one email, so each is another one.
    key: UUID = new_uid()
    notification = send(
        kind=STORED_EMAIL, to=Recipient(email=address), context={}, dedupe_key=str(key)
    )
    StoredEmail.objects.create(
        notification=notification,
        sender=email.sender,
        subject=email.subject,
        # PostgreSQL keeps no NUL, and no mail program shows one.
        text=email.text.replace("\x00", ""),
        html=(email.html or "").replace("\x00", ""),
        reply_to=list(email.reply_to),
        headers=dict(email.headers),
        attachments=[
            {
                "filename": attachment.filename,
                "content_type": attachment.content_type,
                "content": base64.b64encode(attachment.content).decode(),
            }
            for attachment in email.attachments
        ],
    )
    return notification
