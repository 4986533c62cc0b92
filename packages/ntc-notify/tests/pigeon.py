"""An SMS company of its own over HTTP, and a provider for it; the company counts every copy."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
from ntc_notify.providers.base import SmsProvider
from ntc_notify.types import Capabilities, OutgoingSms, SendOutcome


@dataclass
class Pigeons:
    """What arrived: number -> copies that a person has read."""

    port: int = 0
    deduplicates: bool = False
    read: Counter[str] = field(default_factory=Counter)
    uids: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def options(self) -> dict[str, Any]:
        """Return what the provider needs."""
        return {
            "class": f"{__name__}.PigeonProvider",
            "url": f"http://127.0.0.1:{self.port}/",
            "deduplicates": self.deduplicates,
        }

    def take(self, messages: list[dict[str, str]]) -> None:
        with self.lock:
            for message in messages:
                if self.deduplicates and message["uid"] in self.uids:
                    continue
                self.uids.add(message["uid"])
                self.read[message["to"]] += 1


@contextmanager
def pigeons(*, deduplicates: bool) -> Iterator[Pigeons]:
    """Run the company until the block ends."""
    company = Pigeons(deduplicates=deduplicates)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            company.take(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    company.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield company
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class PigeonProvider(SmsProvider):
    """Hands messages to the company, one or many in a call."""

    name: ClassVar[str] = "pigeon"

    def __init__(self, *, url: str, deduplicates: bool, batch_size: int = 1) -> None:
        self.url = url
        self.client = httpx.Client(timeout=20, trust_env=False)
        self.capabilities = Capabilities(deduplicates=deduplicates, batch_size=batch_size)

    def send(self, message: OutgoingSms, /) -> SendOutcome:
        return self.send_batch([message])[0]

    def send_batch(self, messages: Sequence[OutgoingSms], /) -> list[SendOutcome]:
        facts = [{"to": each.to, "uid": str(each.provider_uid)} for each in messages]
        self.client.post(self.url, json=facts).raise_for_status()
        return [SendOutcome.accepted(provider_ref=str(each.provider_uid)) for each in messages]
