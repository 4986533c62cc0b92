"""The local mailbox: messages become files that `/dev/mailbox/` shows. Plain Python.

It plays the provider of both channels on a developer's machine and in tests. Every
message is one JSON file, named by our provider-side id, so a message that is sent again
under the same id is still one message, as with a company that removes duplicates.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from ntc_notify.providers.base import EmailProvider, SmsProvider
from ntc_notify.types import Capabilities, Channel, OutgoingEmail, OutgoingMessage, SendOutcome

__all__ = ["KeptMessage", "MailboxProvider", "read_mailbox"]


@dataclass(frozen=True, kw_only=True)
class KeptMessage:
    """A message as it lies in the mailbox."""

    to: str
    channel: str
    subject: str
    body: str
    sent_at: datetime
    html: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what `/dev/mailbox/` answers: `{to, channel, subject, body, sent_at}`."""
        return {
            "to": self.to,
            "channel": self.channel,
            "subject": self.subject,
            "body": self.body,
            "sent_at": self.sent_at.isoformat().replace("+00:00", "Z"),
        }


class MailboxProvider(EmailProvider, SmsProvider):
    """Keeps emails and SMS in a folder, codes included."""

    name: ClassVar[str] = "mailbox"
    is_local: ClassVar[bool] = True
    capabilities = Capabilities(deduplicates=True, batch_size=1000)

    def __init__(self, *, directory: str) -> None:
        self.directory = Path(directory)

    def send(self, message: OutgoingMessage, /) -> SendOutcome:
        is_email = isinstance(message, OutgoingEmail)
        content = {
            "to": message.to,
            "channel": str(Channel.EMAIL if is_email else Channel.SMS),
            "subject": message.subject if isinstance(message, OutgoingEmail) else "",
            "body": message.text,
            "html": (message.html or "") if isinstance(message, OutgoingEmail) else "",
            "sent_at": datetime.now(UTC).isoformat(),
        }
        try:
            self._write(f"{message.provider_uid}.json", json.dumps(content, ensure_ascii=False))
        except OSError as error:
            return SendOutcome.retry(f"The mailbox folder cannot be written: {error.strerror}")
        return SendOutcome.accepted(provider_ref=str(message.provider_uid), delivered=True)

    def send_batch(self, messages: Sequence[OutgoingMessage], /) -> list[SendOutcome]:
        return [self.send(message) for message in messages]

    def _write(self, name: str, text: str) -> None:
        """Write the file whole or not at all; only this user can read it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.directory, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).replace(self.directory / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def read_mailbox(directory: str | Path) -> list[KeptMessage]:
    """Return the messages in the folder, newest first; an absent folder is empty."""
    kept = [_read(path) for path in Path(directory).glob("*.json")]
    return sorted(kept, key=lambda message: message.sent_at, reverse=True)


def _read(path: Path) -> KeptMessage:
    content = json.loads(path.read_text(encoding="utf-8"))
    return KeptMessage(**content | {"sent_at": datetime.fromisoformat(content["sent_at"])})
