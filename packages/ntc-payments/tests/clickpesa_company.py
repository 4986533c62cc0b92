"""ClickPesa as its documentation describes it, scripted: a server on a real socket.

Imports nothing of ours. What it was sent is kept, so that a test can look at it.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["BODIES", "VECTORS", "Call", "Company", "running_company"]

_FOLDER = Path(__file__).parent / "vectors"
#: Bodies of the documentation; every value in them is invented.
BODIES: dict[str, Any] = json.loads((_FOLDER / "clickpesa_bodies.json").read_text())
VECTORS: dict[str, Any] = json.loads((_FOLDER / "clickpesa.json").read_text())["algorithms"]


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass
class Company:
    """The script: what is answered to which path, in order; the last answer stays."""

    base_url: str = ""
    calls: list[Call] = field(default_factory=list)
    token_seconds: float = 0.0
    #: Tokens that are no longer taken.
    revoked: set[str] = field(default_factory=set)
    _script: dict[str, list[tuple[int, bytes, Mapping[str, str]]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(
        self, path: str, body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Add an answer; bytes are sent as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._script.setdefault(path, []).append((status, raw, headers or {}))

    def calls_to(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    def take(self, call: Call) -> tuple[int, bytes, Mapping[str, str]]:
        if call.path == "/generate-token":
            time.sleep(self.token_seconds)
        with self._lock:
            self.calls.append(call)
            if call.headers.get("authorization") in self.revoked:
                return 401, b'{"message": "Unauthorized"}', {}
            answers = self._script.get(call.path)
            if answers is None:
                number = len(self.calls_to("/generate-token"))
                if call.path == "/generate-token":
                    return 200, b'{"success": true, "token": "Bearer token-%d"}' % number, {}
                return 404, b'{"message": "Cannot GET it", "statusCode": 404}', {}
            return answers.pop(0) if len(answers) > 1 else answers[0]


@contextlib.contextmanager
def running_company() -> Iterator[Company]:
    """Run it on a free port."""
    company = Company()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            call = Call(
                method=self.command,
                path=parts.path,
                query=dict(parse_qsl(parts.query)),
                headers={name.lower(): value for name, value in self.headers.items()},
                text=self.rfile.read(length).decode(),
            )
            status, body, headers = company.take(call)
            if status == 0:  # cut: the request was read, nothing is said
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the caller gave up
                self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    company.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield company
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
