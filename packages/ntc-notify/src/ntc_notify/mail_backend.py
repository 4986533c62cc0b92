"""Django's own `send_mail()` by our road: `EMAIL_BACKEND = "ntc_notify.mail_backend.EmailBackend"`.

What any code sends through Django (password resets, error mails, other apps) is queued in
the running transaction, sent by the providers of `NTC_EMAIL_PROVIDERS`, tried again, kept
from suppressed addresses, and accounted for like everything else.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from email.message import Message as MimePart
from email.utils import getaddresses, parseaddr
from html import unescape
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.html import strip_tags
from ntc_core.errors import NtcError

from ntc_notify.providers.mime import may_set_header
from ntc_notify.services.storing import send_stored_email
from ntc_notify.types import Attachment, OutgoingEmail

__all__ = ["EmailBackend"]

_NO_UID = UUID(int=0)
_ANY_TYPE = "application/octet-stream"


class EmailBackend(BaseEmailBackend):
    """Queues what it is given. Sent is therefore what was queued, not what has arrived."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Queue the emails, one message per recipient, and return how many emails were.

        Raises:
            ValueError: an email has parts that we cannot send, or a header of two lines.
            InvalidRecipient, NoReachableAddress: an address cannot work, or no provider is set.
        """
        return sum(self._queue(email) for email in email_messages)

    def _queue(self, email: EmailMessage) -> bool:
        recipients = [parseaddr(text)[1] or text for text in email.recipients()]
        if not recipients:
            return False
        try:
            send_stored_email(_read_email(email), recipients=dict.fromkeys(recipients))
        except (NtcError, ValueError):
            if not self.fail_silently:
                raise
            return False
        return True


def _read_email(email: EmailMessage) -> OutgoingEmail:
    headers = {str(name): str(value) for name, value in email.extra_headers.items()}
    text, html = _read_bodies(email)
    return OutgoingEmail(
        provider_uid=_NO_UID,
        to="",
        sender=_find(headers, "From") or email.from_email or settings.DEFAULT_FROM_EMAIL,
        # A translation that is looked up only now.
        subject=str(email.subject),
        text=text,
        html=html,
        reply_to=_read_reply_to(email, headers),
        # What is ours to say (who, when, under which id) is said of each message anew.
        headers={name: value for name, value in headers.items() if may_set_header(name)},
        attachments=tuple(_read_attachment(attachment) for attachment in email.attachments),
    )


def _read_bodies(email: EmailMessage) -> tuple[str, str | None]:
    """Return text and HTML; an email that is HTML alone gets its words as text."""
    alternatives = {
        str(mimetype): content for content, mimetype in getattr(email, "alternatives", None) or ()
    }
    html = alternatives.pop("text/html", None)
    if alternatives:
        raise ValueError(
            f"ntc_notify sends text and HTML, not {', '.join(sorted(alternatives))}. Attach it as "
            "a file instead."
        )
    body = str(email.body)
    if email.content_subtype == "html":
        return unescape(strip_tags(body)).strip(), body
    return body, None if html is None else str(html)


def _read_reply_to(email: EmailMessage, headers: Mapping[str, str]) -> tuple[str, ...]:
    texts = [str(text) for text in email.reply_to] or [_find(headers, "Reply-To")]
    return tuple(
        f'"{_escape(name)}" <{address}>' if name else address
        for name, address in getaddresses(texts)
        if address
    )


def _escape(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _find(headers: Mapping[str, str], name: str) -> str:
    return next((value for known, value in headers.items() if known.lower() == name.lower()), "")


def _read_attachment(attachment: Any) -> Attachment:
    """Read one of the shapes Django takes: a MIME part, or (name, content, type)."""
    if isinstance(attachment, MimePart):
        return Attachment(
            filename=attachment.get_filename() or "attachment",
            content_type=attachment.get_content_type(),
            content=_read_part(attachment),
        )
    filename, content, mimetype = attachment
    guessed = mimetype or mimetypes.guess_type(filename or "")[0] or _ANY_TYPE
    return Attachment(
        filename=filename or "attachment",
        content_type=guessed.partition(";")[0].strip(),
        content=_read_content(content),
    )


def _read_part(part: MimePart) -> bytes:
    content = part.get_payload(decode=True)
    # None: a part with parts, such as a forwarded email.
    return content if isinstance(content, bytes) else part.as_bytes()


def _read_content(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, EmailMessage):
        return content.message().as_bytes()
    return content.as_bytes() if isinstance(content, MimePart) else str(content).encode()
