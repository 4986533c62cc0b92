"""Email by any backend of Django's, such as one of django-anymail's. The one provider with Django.

A backend raises what it likes, and `EMAIL_TIMEOUT` bounds a read and not a call. So the
call runs in a thread of its own that is left behind at the deadline. What it comes to:

| The backend | Outcome |
| --- | --- |
| says that it sent one | accepted |
| says that it sent none; no connection, no sign-in, 4xx, HTTP 429 | retry |
| 5xx to the recipient or the content | refused |
| 5xx to the sender or the policy (5.7.x), another HTTP 4xx | refused, another may take it |
| raises anything else, says nothing, or does not end | unknown |
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from email.errors import MessageError
from typing import Any, ClassVar

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import connections

from ntc_notify.providers.base import LONGEST_CALL_SECONDS, EmailProvider
from ntc_notify.providers.mime import bare_address, may_set_header
from ntc_notify.providers.reasons import make_reason
from ntc_notify.types import OutgoingEmail, SendOutcome

__all__ = ["DjangoEmailProvider"]

_OUR_BACKEND = "ntc_notify.mail_backend."
_DJANGO_BACKENDS = "django.core.mail.backends."
#: Calls in flight in this process, those left behind included.
MOST_CALLS = 16
_slots = threading.BoundedSemaphore(MOST_CALLS)

_TEMPORARY, _PERMANENT = 400, 500
_TOO_MANY = 429
# "5.7.1": class, subject, detail. Subject 7 is policy: about us, not about the recipient.
_POLICY_CODE = re.compile(rb"5\.7\.\d{1,3}\b")
_NOT_CONNECTED = (
    smtplib.SMTPConnectError,
    smtplib.SMTPHeloError,
    smtplib.SMTPAuthenticationError,
    smtplib.SMTPNotSupportedError,
    ConnectionRefusedError,
    socket.gaierror,
    ssl.SSLCertVerificationError,
)


class DjangoEmailProvider(EmailProvider):
    """Hands emails to a Django email backend, over a new connection each."""

    name: ClassVar[str] = "django"

    def __init__(
        self,
        *,
        backend: str = "",
        options: Mapping[str, Any] | None = None,
        timeout_seconds: float = 20.0,
    ) -> None:
        """Args:
        backend: dotted path of the backend's class; "": EMAIL_BACKEND.
        options: keyword arguments for it.
        timeout_seconds: for one call; what has not ended by then is left behind.
        """
        if not 0 < timeout_seconds <= LONGEST_CALL_SECONDS:
            raise ValueError(f"timeout_seconds must be above 0, at most {LONGEST_CALL_SECONDS:g}.")
        self._backend = backend or settings.EMAIL_BACKEND
        if self._backend.startswith(_OUR_BACKEND):
            raise ValueError(
                "backend is ntc_notify's own, which would send each email to itself for ever. "
                "Set 'backend' to the one that brings emails out."
            )
        self._options = dict(options or {})
        self.timeout_seconds = timeout_seconds
        # Django's own, except one, keep what they are given: on the screen, in a file.
        is_djangos = self._backend.startswith(_DJANGO_BACKENDS)
        self.is_local = is_djangos and ".smtp." not in self._backend  # type: ignore[misc]

    def send(self, message: OutgoingEmail, /) -> SendOutcome:
        try:
            email = _write(message)
        except (ValueError, MessageError) as error:
            return SendOutcome.refused(f"It cannot be written as an email: {type(error).__name__}")
        deadline = time.monotonic() + self.timeout_seconds
        if not _slots.acquire(timeout=self.timeout_seconds / 2):
            return SendOutcome.retry(f"{MOST_CALLS} calls of backends hang already.")
        call = _Call(lambda: self._send_one(email))
        threading.Thread(target=call.run, name="ntc-email", daemon=True).start()
        return call.wait(deadline - time.monotonic())

    def prove_access(self) -> None:
        """Open the backend's connection and close it; what needs none has nothing to open."""
        connection = get_connection(self._backend, fail_silently=False, **self._options)
        connection.open()
        connection.close()

    def _send_one(self, email: EmailMultiAlternatives) -> SendOutcome:
        connection = get_connection(self._backend, fail_silently=False, **self._options)
        sent = connection.send_messages([email])
        if sent is None:
            return SendOutcome.unknown("The backend did not say whether it sent it.")
        if not sent:
            return SendOutcome.retry("The backend says that it sent nothing.")
        # django-anymail's backends leave the company's id here.
        told = getattr(getattr(email, "anymail_status", None), "message_id", None)
        return SendOutcome.accepted(provider_ref=str(told or email.extra_headers["Message-ID"]))


class _Call:
    """One call in a thread: it ends with an outcome, or is left behind."""

    def __init__(self, send: Callable[[], SendOutcome]) -> None:
        self._send = send
        self._ended = threading.Event()
        self._outcome = SendOutcome.unknown("The backend did not end before the deadline.")

    def run(self) -> None:
        try:
            self._outcome = self._send()
        except Exception as error:  # noqa: BLE001 - a backend raises what it likes
            self._outcome = _read_error(error)
        finally:
            # A backend may have looked into the database, which would stay connected.
            connections.close_all()
            _slots.release()
            self._ended.set()

    def wait(self, seconds: float) -> SendOutcome:
        if not self._ended.wait(seconds):
            return SendOutcome.unknown("The backend did not end before the deadline.")
        return self._outcome


def _write(message: OutgoingEmail) -> EmailMultiAlternatives:
    if not all(may_set_header(name) for name in message.headers):
        raise ValueError("A header has a name that is none, or that the message itself says.")
    domain = bare_address(message.sender).rpartition("@")[2]
    email = EmailMultiAlternatives(
        subject=message.subject,
        body=message.text,
        from_email=message.sender,
        to=[bare_address(message.to)],
        reply_to=list(message.reply_to),
        headers={
            **message.headers,
            "Message-ID": f"<{message.provider_uid}@{domain}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    if message.html is not None:
        email.attach_alternative(message.html, "text/html")
    for attachment in message.attachments:
        email.attach(attachment.filename, attachment.content, attachment.content_type)
    # Builds all of it: what Django finds wrong is found before anything can have left.
    email.message()
    return email


def _read_error(error: Exception) -> SendOutcome:
    reason = _reason(error)
    if isinstance(error, _NOT_CONNECTED):
        return SendOutcome.retry(reason)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        is_final = bool(codes) and min(codes) >= _PERMANENT
        about_us = any(_POLICY_CODE.match(text) for _, text in error.recipients.values())
        return _read_code(_PERMANENT if is_final else _TEMPORARY, reason, about_us=about_us)
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        about_us = isinstance(error, smtplib.SMTPSenderRefused) or bool(_POLICY_CODE.match(text))
        return _read_code(error.smtp_code, reason, about_us=about_us)
    return _read_status(getattr(error, "status_code", None), reason)


def _read_code(code: int, reason: str, *, about_us: bool) -> SendOutcome:
    if code >= _PERMANENT:
        return SendOutcome.refused(reason, elsewhere=about_us)
    if code >= _TEMPORARY:
        return SendOutcome.retry(reason)
    return SendOutcome.unknown(reason)


def _read_status(status: object, reason: str) -> SendOutcome:
    """Return what the HTTP status means that an error of django-anymail's carries."""
    if status == _TOO_MANY:
        return SendOutcome.retry(reason)
    if isinstance(status, int) and _TEMPORARY <= status < _PERMANENT:
        return SendOutcome.refused(reason, elsewhere=True)
    return SendOutcome.unknown(reason)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return make_reason(*(f"{code} {_decode(text)}" for code, text in error.recipients.values()))
    if isinstance(error, smtplib.SMTPResponseException):
        return make_reason(error.smtp_code, _decode(error.smtp_error))
    # Its text may be anything, the body included.
    return make_reason(type(error).__name__)


def _decode(text: object) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
