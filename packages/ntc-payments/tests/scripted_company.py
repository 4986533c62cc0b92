"""A company that answers what the test wrote down, on a real socket. Imports nothing of ours."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Call", "ScriptedCompany", "scripted_company"]


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    path: str
    target: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass
class ScriptedCompany:
    """The script: "GET /path" -> answers in order; the last one stays."""

    base_url: str = ""
    calls: list[Call] = field(default_factory=list)
    _script: dict[str, list[tuple[int, bytes, Mapping[str, str]]]] = field(default_factory=dict)

    def answer(
        self,
        to: str,
        body: Any = b"",
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Add an answer to calls such as "POST /v1/x"; bytes are sent as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._script.setdefault(to, []).append((status, raw, headers or {}))

    def calls_to(self, to: str) -> list[Call]:
        return [call for call in self.calls if f"{call.method} {call.path}" == to]

    def take(self, call: Call) -> tuple[int, bytes, Mapping[str, str]]:
        self.calls.append(call)
        answers = self._script.get(f"{call.method} {call.path}")
        if answers is None:
            return 599, f"{call.method} {call.path} is not in the script".encode(), {}
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextlib.contextmanager
def scripted_company() -> Iterator[ScriptedCompany]:
    """Run it on a free port."""
    company = ScriptedCompany()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            call = Call(
                method=self.command,
                path=parts.path,
                target=self.path,
                query=dict(parse_qsl(parts.query)),
                headers={name.lower(): value for name, value in self.headers.items()},
                text=self.rfile.read(length).decode(),
            )
            status, body, headers = company.take(call)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the caller gave up
                self.wfile.write(body)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - the names that http.server calls

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
