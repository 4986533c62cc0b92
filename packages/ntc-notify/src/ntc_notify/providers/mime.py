"""An email as bytes, for every provider that takes it whole. Plain Python.

Seven bits only, so that no server has to offer 8BITMIME; lines end in CRLF. The same
message gives the same `Message-ID`, because it is made of our own id of the call.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import Any

from ntc_notify.types import OutgoingEmail

__all__ = ["bare_address", "build_email", "header_address", "may_set_header"]

#: What says who sends to whom, and how the body is to be read, follows from the message.
_OURS = frozenset(
    {"message-id", "date", "from", "to", "cc", "bcc", "sender", "reply-to", "return-path"}
    | {"subject", "auto-submitted", "mime-version"}
)
_HEADER_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322, 3.6.8
_ADDRESS_HEADERS = frozenset({"from", "to", "reply-to"})
_LONGEST_LINE = 78  # RFC 5322, 2.1.1
#: A line that ends anywhere but before a fold or at the header's own end.
_BROKEN_LINE = re.compile(rb"\r\n(?![ \t]|\Z)|\r(?!\n)|(?<!\r)\n")


def build_email(message: OutgoingEmail) -> EmailMessage:
    """Return the email with all its parts; `as_bytes()` is what travels.

    Raises:
        ValueError, MessageError: an address, a header or a part cannot be written as email.
    """
    email = EmailMessage(policy=_POLICY)
    email["Message-ID"] = f"<{message.provider_uid}@{_domain(message.sender)}>"
    email["Date"] = format_datetime(datetime.now(UTC))
    email["From"] = header_address(message.sender)
    email["To"] = header_address(message.to)
    if message.reply_to:
        email["Reply-To"] = [header_address(text) for text in message.reply_to]
    email["Subject"] = message.subject
    # RFC 3834: no out-of-office answers to a machine.
    email["Auto-Submitted"] = "auto-generated"
    for name, value in message.headers.items():
        if not may_set_header(name):
            raise ValueError(
                "OutgoingEmail.headers has a name that is none, or that the message itself says."
            )
        email[name] = value
    email.set_content(message.text)
    if message.html is not None:
        email.add_alternative(message.html, subtype="html")
    for attachment in message.attachments:
        maintype, _, subtype = attachment.content_type.partition("/")
        email.add_attachment(
            attachment.content, maintype=maintype, subtype=subtype, filename=attachment.filename
        )
    return email


def may_set_header(name: str) -> bool:
    """Tell whether `OutgoingEmail.headers` may have that name."""
    low = name.lower()
    is_name = _HEADER_NAME.fullmatch(name) is not None
    return is_name and low not in _OURS and not low.startswith("content-")


def header_address(text: str) -> Address:
    """Return `Name <address>` as a header takes it; raises as `bare_address()`."""
    return Address(display_name=parseaddr(text)[0], addr_spec=bare_address(text))


def bare_address(text: str) -> str:
    """Return the address without a name, its domain in ASCII (IDNA).

    Raises:
        ValueError: it has no domain, or characters that only SMTPUTF8 could carry.
    """
    local, _, domain = parseaddr(text)[1].rpartition("@")
    if not local.isascii() or not local or not domain:
        raise ValueError("An email address is ASCII before the @ and has a domain after it.")
    return f"{local}@{domain.encode('idna').decode('ascii')}"


def _domain(address: str) -> str:
    return bare_address(address).rpartition("@")[2]


class _Policy(EmailPolicy):
    """Folds as the standard library does, except that one header stays one header.

    The library reads `=?utf-8?q?a=0d=0aBcc:_b?=` in what it is given, and writes down two
    lines; only its newest versions refuse that (CVE-2024-6923).
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        folded = self._fold_readably(name, value)
        if _BROKEN_LINE.search(folded):
            raise ValueError(f"The header {name} would be more than one.")
        return folded

    def _fold_readably(self, name: str, value: Any) -> bytes:
        """Fold, but never encode a long ASCII word.

        The library turns a word that fits into no line, such as the address in
        List-Unsubscribe or a long Message-ID, into `=?utf-8?q?…?=`, and nobody reads it back
        there.
        """
        text = str(value)
        words = text.split(" ")
        has_long_word = any(len(word) >= _LONGEST_LINE - 1 for word in words)
        if not (has_long_word and text.isascii()) or _is_structured(name):
            return super().fold_binary(name, value)
        lines = [f"{name}:"]
        for word in words:
            # The name is never alone on the first line: some readers stumble over that.
            if len(lines[-1]) + 1 + len(word) > _LONGEST_LINE and not lines[-1].endswith(":"):
                lines.append("")
            lines[-1] += f" {word}"
        return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _is_structured(name: str) -> bool:
    return name.lower() in _ADDRESS_HEADERS or name.lower().startswith("content-")


_POLICY = _Policy(cte_type="7bit", linesep="\r\n")
