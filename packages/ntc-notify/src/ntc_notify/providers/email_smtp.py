"""Email over SMTP, by smtplib itself. Plain Python.

One recipient per message: with several, a server may refuse one of them and the call
still looks like a success. What the answers mean:

| Case | Outcome |
| --- | --- |
| not reachable, TLS or sign-in refused, connection lost before the last byte | retry |
| any 4xx | retry |
| 5xx to the sender or the policy (5.7.x) | refused, another provider may take it |
| 5xx to the recipient or the content | refused |
| connection lost or silence after the last byte | unknown: the server may have it |

Source: RFC 5321, 4.2 and 6.1 (the server is responsible once it has answered the final
dot with 250), RFC 3463 (enhanced codes); behaviour measured against aiosmtpd 1.4.6.
"""

from __future__ import annotations

import io
import re
import smtplib
import socket
import ssl
import time
from contextlib import suppress
from email.errors import MessageError
from functools import partial
from typing import Any, ClassVar, Literal

from ntc_notify.providers.base import LONGEST_CALL_SECONDS, EmailProvider
from ntc_notify.providers.mime import bare_address, build_email
from ntc_notify.providers.reasons import make_reason
from ntc_notify.types import OutgoingEmail, SendOutcome

__all__ = ["SmtpProvider"]

Security = Literal["starttls", "tls", "none"]

_OK = range(200, 300)
_GO_ON = range(300, 400)
_TEMPORARY = range(400, 500)
_PERMANENT = range(500, 600)
# "5.7.1": class, subject, detail. Subject 7 is policy: about us, not about the recipient.
_ENHANCED_CODE = re.compile(r"[245]\.(\d{1,3})\.\d{1,3}\b")
_POLICY = "7"
_GOODBYE_SECONDS = 2.0
_LINE_START_DOT = re.compile(rb"^\.", re.MULTILINE)


class SmtpProvider(EmailProvider):
    """Hands emails to one SMTP server, over a new connection each."""

    name: ClassVar[str] = "smtp"
    known_security: ClassVar[tuple[str, ...]] = ("starttls", "tls", "none")

    def __init__(
        self,
        *,
        host: str,
        port: int = 587,
        username: str = "",
        password: str = "",
        security: Security = "starttls",
        timeout_seconds: float = 20.0,
        ca_file: str | None = None,
    ) -> None:
        """Args:
        security: "starttls" (usually port 587; never falls back to plain), "tls" (465),
            or "none", for a server on this machine.
        timeout_seconds: for the whole delivery, however slowly the server drips.
        ca_file: certificates to trust instead of the system's.
        """
        if security not in self.known_security:
            raise ValueError(f"security must be one of {', '.join(self.known_security)}.")
        if not 0 < timeout_seconds <= LONGEST_CALL_SECONDS:
            raise ValueError(f"timeout_seconds must be above 0, at most {LONGEST_CALL_SECONDS:g}.")
        if username and security == "none":
            raise ValueError("A password never travels unencrypted: set security, or no username.")
        if not f"{username}{password}".isascii():
            raise ValueError("username and password must be ASCII; smtplib can send no others.")
        self.host = host
        self.port = port
        self.username = username
        self.security = security
        self.timeout_seconds = timeout_seconds
        self._password = password
        self._tls = None if security == "none" else ssl.create_default_context(cafile=ca_file)

    def send(self, message: OutgoingEmail, /) -> SendOutcome:
        try:
            sender, to = bare_address(message.sender), bare_address(message.to)
            payload = _build_payload(message)
        except (ValueError, MessageError) as error:
            return SendOutcome.refused(f"It cannot be written as an email: {type(error).__name__}")
        try:
            connection = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            return SendOutcome.retry(f"No usable connection to the server: {_reason(error)}")
        with connection:
            return _deliver(connection, sender=sender, to=to, payload=payload)

    def prove_access(self) -> None:
        """Connect, encrypt and sign in as for a message, and say goodbye."""
        with self._connect():
            pass

    def _connect(self) -> _Connection:
        """Return a connection that is encrypted and signed in as configured."""
        connection = _Connection(
            host=self.host,
            port=self.port,
            deadline=_Deadline(self.timeout_seconds),
            tls=self._tls if self.security == "tls" else None,
        )
        try:
            connection.ehlo_or_helo_if_needed()
            if self.security == "starttls":
                connection.starttls(context=self._tls)
                connection.ehlo_or_helo_if_needed()
            if self.username:
                connection.login(self.username, self._password)
        except BaseException:
            connection.close()
            raise
        return connection


def _deliver(connection: _Connection, *, sender: str, to: str, payload: bytes) -> SendOutcome:
    """Hand the message over. Before the final dot every end is certain, after it none is."""
    steps = (
        ("MAIL FROM", partial(connection.mail, sender), _OK),
        ("RCPT TO", partial(connection.rcpt, to), _OK),
        ("DATA", partial(connection.docmd, "DATA"), _GO_ON),
    )
    try:
        for step, command, expected in steps:
            code, text = command()
            if code not in expected:
                return _classify(step, code, text) or SendOutcome.retry(f"{step}: no SMTP answer")
    except (OSError, smtplib.SMTPException) as error:
        return SendOutcome.retry(f"Lost before the message was handed over: {_reason(error)}")
    try:
        connection.send(payload)
        code, text = connection.getreply()
    except (OSError, smtplib.SMTPException) as error:
        return SendOutcome.unknown(f"No answer after the message: {_reason(error)}")
    if code in _OK:
        return SendOutcome.accepted(provider_ref=_decode(text))
    return _classify("Message", code, text) or SendOutcome.unknown("Message: no SMTP answer")


def _classify(step: str, code: int, text: bytes) -> SendOutcome | None:
    """Return what a 4xx or 5xx means; None for anything else."""
    answer = _decode(text)
    # Servers like to repeat the address.
    reason = make_reason(f"{step}: {code}", answer)
    if code in _TEMPORARY:
        return SendOutcome.retry(reason)
    if code not in _PERMANENT:
        return None
    enhanced = _ENHANCED_CODE.match(answer)
    about_us = step == "MAIL FROM" or (enhanced is not None and enhanced[1] == _POLICY)
    return SendOutcome.refused(reason, elsewhere=about_us)


def _build_payload(message: OutgoingEmail) -> bytes:
    """Return the message as bytes that may follow DATA, final dot included."""
    raw = _LINE_START_DOT.sub(b"..", build_email(message).as_bytes())
    return raw.removesuffix(b"\r\n") + b"\r\n.\r\n"


def _decode(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:200]


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        return make_reason(error.smtp_code, _decode(text) if isinstance(text, bytes) else text)
    return make_reason(f"{type(error).__name__}:", error)


class _Deadline:
    """A moment on the monotonic clock after which every wait fails."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: none are.
        """
        remaining = self._at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the total time for one delivery is over")
        return remaining

    def shorten(self, seconds: float) -> None:
        self._at = min(self._at, time.monotonic() + seconds)


class _DeadlineReader(io.RawIOBase):
    """Reads a socket so that a server which drips bytes cannot renew the time-out."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._sock.settimeout(self._deadline.remaining())
        return self._sock.recv_into(buffer)


class _Connection(smtplib.SMTP):
    """smtplib with one deadline over everything, and TLS from the first byte if asked."""

    def __init__(
        self, *, host: str, port: int, deadline: _Deadline, tls: ssl.SSLContext | None
    ) -> None:
        self._deadline = deadline
        self._tls_from_start = tls
        super().__init__(host, port, local_hostname=_own_name(), timeout=deadline.remaining())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 - the deadline counts
        """Try every address of the host within the one deadline."""
        last_error: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(self._deadline.remaining())
                sock.connect(address)
                if self._tls_from_start is None:
                    return sock
                sock.settimeout(self._deadline.remaining())
                return self._tls_from_start.wrap_socket(sock, server_hostname=host)
            except OSError as error:
                sock.close()
                last_error = error
        raise last_error

    def send(self, s: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._deadline.remaining())
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_DeadlineReader(self.sock, self._deadline))
        return super().getreply()

    def __exit__(self, *_: object) -> None:
        """Say goodbye, but never let it change what has come of the message."""
        self._deadline.shorten(_GOODBYE_SECONDS)
        with suppress(OSError, smtplib.SMTPException):
            self.docmd("QUIT")
        self.close()


def _own_name() -> str:
    """Return what we call ourselves in EHLO, without asking DNS as smtplib would."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"
