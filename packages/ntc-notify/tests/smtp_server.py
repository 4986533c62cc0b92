"""A real SMTP server on a socket (aiosmtpd) that misbehaves by recipient, and one by script."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USERNAME = "faraja"
_REPLIES = {
    "refuse": "550 5.1.1 <{}>: no such user",
    "throttle": "451 4.7.1 <{}>: try again later",
}


class Handler:
    """Takes every email, except that some recipients have a story of their own."""

    def __init__(self) -> None:
        #: Set while a client waits for an answer that will not come.
        self.stalled = threading.Event()
        #: What happens to every email, whoever it is for: refuse, throttle, silent, drip, cut
        #: or garbage.
        self.mode = ""
        self.emails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(self,  # noqa: N802 - aiosmtpd calls it
                          server: SMTP, session: Session, envelope: Envelope,
                          address: str, options: list[str]) -> str:  # fmt: skip
        replies = {
            "unknown-user": "550 5.1.1 <unknown-user@example.com>: no such user",
            "no-relay": "550 5.7.1 relaying denied",
            "greylisted": "451 4.7.1 try again later",
        }
        envelope.rcpt_tos.append(address)
        if self.mode in _REPLIES:
            return _REPLIES[self.mode].format(address)
        if address.startswith("stall-before@"):
            await self._stall()
        return replies.get(address.partition("@")[0], "250 OK")

    async def handle_MAIL(self,  # noqa: N802 - aiosmtpd calls it
                          server: SMTP, session: Session, envelope: Envelope,
                          address: str, options: list[str]) -> str:  # fmt: skip
        if address.startswith("stranger@"):
            return "553 sender not allowed"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        story = envelope.rcpt_tos[0].partition("@")[0]
        if story == "spam":
            return "554 content refused"
        if story == "busy":
            return "421 too busy"
        self.envelopes.append(envelope)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.emails.append(parsed)
        if self.mode == "silent":
            await asyncio.sleep(60)
        if self.mode == "drip":
            for _ in range(1000):
                server.transport.write(b"2")
                await asyncio.sleep(0.05)
        if self.mode == "garbage":
            return "what?"
        if story in {"slow", "slowish"}:
            await asyncio.sleep(3 if story == "slow" else 0.2)
        if story == "stall-after":
            await self._stall()
        if story == "lost" or self.mode == "cut":
            server.transport.abort()
        return "250 2.0.0 OK queued as 4Z1"

    async def _stall(self) -> None:
        """Let one client wait for ever; the next one gets its answer."""
        if not self.stalled.is_set():
            self.stalled.set()
            await asyncio.sleep(60)


class Smtp:
    """A running server."""

    def __init__(self, controller: Any, handler: Handler, password: str) -> None:
        self.port = controller.server.sockets[0].getsockname()[1]
        self.handler = handler
        self.password = password

    @property
    def emails(self) -> list[EmailMessage]:
        return self.handler.emails


@contextmanager
def run_smtp(*, password: str = "", **options: Any) -> Iterator[Smtp]:
    """Run a server on a free port of 127.0.0.1 until the block ends."""
    handler = Handler()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        good = isinstance(data, LoginPassword) and data.password == password.encode()
        # handled=False: the server itself answers 535.
        return AuthResult(success=good and data.login == USERNAME.encode(), handled=False)

    controller = Controller(
        handler, hostname="127.0.0.1", port=0, authenticator=authenticate, **options
    )
    # Controller.start() connects to itself and needs to know the port beforehand.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    try:
        yield Smtp(controller, handler, password)
    finally:
        controller.stop()


@contextmanager
def run_script(*replies: bytes | float | None) -> Iterator[int]:
    """Serve one connection: send a reply after every line that comes; yields the port.

    A number waits that many seconds and goes on with the next reply; None closes the
    connection. Replies before the first line are the greeting. In DATA the script reads
    up to the final dot.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            in_data = False
            for reply in replies:
                if reply is None:
                    return
                if isinstance(reply, float):
                    if stop.wait(reply):
                        return
                    continue
                try:
                    connection.sendall(reply)
                except OSError:
                    return
                if not reply.endswith(b"\n"):
                    continue  # the line goes on with the next part
                in_data = reply.startswith(b"354")
                line = lines.readline()
                while in_data and line and line != b".\r\n":
                    line = lines.readline()

    stop = threading.Event()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        thread.join(timeout=10)
        listener.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1 and return (certificate, key)."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key
