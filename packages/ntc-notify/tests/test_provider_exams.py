"""The exam, passed by every provider whose company can be played here."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from ntc_core.webhooks.types import WebhookRequest
from ntc_notify.providers.email_smtp import SmtpProvider
from ntc_notify.providers.mailbox import MailboxProvider, read_mailbox
from ntc_notify.providers.sms_beem import BeemSmsProvider
from ntc_notify.testing import (
    HttpProviderSuite,
    HttpReply,
    NotifyProviderSuite,
    ReceivedRequest,
    Story,
)
from ntc_notify.testing.http_peer import free_port
from ntc_notify.testing.suite import PHONE, REFERENCE, TEXT
from ntc_notify.types import Channel, MessageState

from tests.smtp_server import Smtp, run_smtp

SECRET = "c2lyaS15YS1tdGloYW5p"
PATH_SECRET = "njia-ya-siri-7781"


class TestBeem(HttpProviderSuite):
    channel = Channel.SMS
    secrets = (SECRET, PATH_SECRET)
    accepted = HttpReply.json({"successful": True, "code": 100, "request_id": 1, "valid": 1})
    # Companies like to repeat what they refuse, and to whom.
    refused = HttpReply.json(
        {"code": 101, "message": f"Bad dest_addr {PHONE[1:]} for {TEXT}"}, status=400
    )

    def make_provider(self, base_url: str) -> BeemSmsProvider:
        return BeemSmsProvider(
            api_key="mtihani",
            secret_key=SECRET,
            sender_id="FARAJA",
            webhook_secret=PATH_SECRET,
            sms_base_url=base_url,
            dlr_base_url=base_url,
            timeout_seconds=1.0,
        )

    def accept(self, request: ReceivedRequest) -> HttpReply:
        wanted = len(request.json()["recipients"])
        answer = json.loads(self.accepted.body) | {"valid": wanted}
        return HttpReply.json(answer)

    def make_receipt(self, state: MessageState) -> WebhookRequest:
        word = {MessageState.DELIVERED: "DELIVERED", MessageState.FAILED: "UNDELIVERED"}[state]
        body = {"request_id": REFERENCE, "recipient_id": 1, "dest_addr": PHONE[1:], "Status": word}
        return WebhookRequest(
            method="POST",
            path=f"/api/v1/webhooks/notify/beem-{PATH_SECRET}/",
            headers={},
            query={},
            body=json.dumps(body).encode(),
            received_at=datetime.now(UTC),
        )


class TestSmtp(NotifyProviderSuite):
    channel = Channel.EMAIL
    foreign_loggers = ("mail.log",)
    stories = frozenset(Story) - {Story.BROKEN}  # SMTP has no 5xx that says nothing

    @contextmanager
    def running(self, story):
        with run_smtp() as server:
            server.handler.mode = story.value
            port = free_port() if story is Story.ABSENT else server.port
            yield (
                SmtpProvider(host="127.0.0.1", port=port, security="none", timeout_seconds=1.0),
                SmtpPeer(server),
            )


class SmtpPeer:
    """What the exam wants to know of a mail server."""

    def __init__(self, server: Smtp) -> None:
        self._envelopes = server.handler.envelopes

    @property
    def deliveries(self) -> int:
        return len(self._envelopes)

    messages = deliveries

    @property
    def received(self) -> bytes:
        # Headers alone: in a text such a line is only text.
        heads = [each.content.partition(b"\r\n\r\n")[0] for each in self._envelopes]
        return b"\r\n".join([*heads, *(repr(each.rcpt_tos).encode() for each in self._envelopes)])

    def let_go(self) -> None:
        """Its silence ends with the server."""


class TestMailbox(NotifyProviderSuite):
    channel = Channel.EMAIL
    stories = frozenset({Story.ACCEPT})

    @contextmanager
    def running(self, story):
        with TemporaryDirectory() as folder:
            yield MailboxProvider(directory=folder), Folder(Path(folder))


class TestMailboxForSms(TestMailbox):
    channel = Channel.SMS


class Folder:
    """What the exam wants to know of the mailbox."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def deliveries(self) -> int:
        return len(read_mailbox(self._path))

    messages = deliveries

    @property
    def received(self) -> bytes:
        return b""

    def let_go(self) -> None:
        """It answers at once."""
