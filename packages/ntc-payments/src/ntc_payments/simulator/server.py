"""The HTTP side of the companies: it finds who is asked, and lets the dial go wrong.

What a merchant asks belongs to a company; the phone, the dial and the books are the
simulator's own. See docs/providers/simulator.md.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from ntc_payments.simulator.desk import Desk
from ntc_payments.simulator.exchange import Answer, Refused, Request
from ntc_payments.simulator.world import World

__all__ = ["SimulatorServer"]

MAX_BODY_BYTES = 64 * 1024
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
#: Statuses that a company answers with before it has done anything.
_BEFORE = {
    "error_before": HTTPStatus.INTERNAL_SERVER_ERROR,
    "error": HTTPStatus.BAD_GATEWAY,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "busy": HTTPStatus.TOO_MANY_REQUESTS,
    "busy_bare": HTTPStatus.TOO_MANY_REQUESTS,
}


class _Broken(Exception):
    """The connection ends in a way of its own; nothing more is sent."""


class SimulatorServer(ThreadingHTTPServer):
    """Serves until `shutdown()`.

    `allowed_hosts` are names, besides its own address and this machine's, under which what
    needs no key may be asked: a web page that a developer looks at must not press buttons here.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], world: World, *, allowed_hosts: Iterable[str] = ()
    ) -> None:
        self.world = world
        self.desk = Desk(world)
        self.allowed_hosts = _LOCAL_HOSTS | {address[0].lower()} | {*map(str.lower, allowed_hosts)}
        super().__init__(address, _Handler)
        host, port = self.server_address[:2]
        for company in world.companies:
            company.site = f"http://{host!s}:{port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a merchant who hung up first; report anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: SimulatorServer
    protocol_version = "HTTP/1.1"
    server_version = "PretendMoney/1"
    timeout = 30

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: paths carry references, and tests read the output."""

    def _serve(self) -> None:
        fault, dial = "none", None
        try:
            request = Request.of(
                method=self.command,
                target=self.path,
                headers=dict(self.headers.items()),
                body=self._read_body(),
            )
            found = self.server.world.find_route(request.method, request.path)
            if found is None:
                answer = self._ask_desk(request)
            else:
                company, route, groups, path = found
                dial = company.dial
                fault = dial.bite(route.action)
                self._fail_before(fault, company.internal_error())
                request = replace(request, path=path, fault=fault)
                answer = route.handler(request, **groups)
                if fault == "not_found":
                    answer = company.not_found()
                elif fault == "lie_declined":
                    answer = company.lie(answer)
                answer = self._fail_after(fault, answer, company.internal_error())
        except Refused as refused:
            answer = refused.answer
        except _Broken:
            self.close_connection = True
            return
        if dial is not None:
            time.sleep(dial.faults.delay_seconds)
        self._send(answer, fault=fault)

    def _ask_desk(self, request: Request) -> Answer:
        company = self.server.world.company_at(request.path)
        if company is not None:
            raise Refused(
                HTTPStatus.NOT_FOUND,
                {"code": "no_such_path", "message": "There is nothing here."},
            )
        if request.path != "/health":
            self._require_known_host()
        return self.server.desk.serve(request)

    # The dial.

    def _fail_before(self, fault: str, body: Any) -> None:
        if fault in _BEFORE:
            headers = {"Retry-After": "1"} if fault in {"busy", "unavailable"} else {}
            refused = Refused(_BEFORE[fault], body)
            refused.answer = replace(refused.answer, headers=headers)
            raise refused
        if fault in {"hang_before", "cut_before", "reset_before", "hang"}:
            self._break(fault)

    def _fail_after(self, fault: str, answer: Answer, body: Any) -> Answer:
        if fault in {"hang_after", "cut_after", "reset_after"}:
            self._break(fault)
        if fault == "error_after":
            return Answer(status=HTTPStatus.INTERNAL_SERVER_ERROR, body=body)
        if fault == "html":
            return Answer(body="<html><body>Bad gateway</body></html>")
        return answer

    def _break(self, fault: str) -> None:
        if fault.startswith("hang"):
            time.sleep(self._hang_seconds())
        if fault.startswith("reset"):
            # Closed with a reset instead of an end: the merchant's socket gets an error.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            # Closed without a byte: the merchant cannot know what happened.
            self.connection.shutdown(socket.SHUT_RDWR)
        raise _Broken

    def _hang_seconds(self) -> float:
        return max(company.dial.faults.hang_seconds for company in self.server.world.companies)

    # HTTP.

    def _require_known_host(self) -> None:
        """Refuse a page of another site: one it sends, or one whose name now leads here."""
        urls = [f"//{self.headers.get('Host', '')}"]
        if (origin := self.headers.get("Origin")) is not None:
            urls.append(origin)
        if not all(_host_of(url) in self.server.allowed_hosts for url in urls):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                {
                    "code": "foreign_host",
                    "message": "Asked under a name that is not ours. "
                    "Start with --allow-host NAME to add it.",
                },
            )

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                {"code": "too_large", "message": "Body too large."},
            )
        return self.rfile.read(int(length))

    def _send(self, answer: Answer, *, fault: str) -> None:
        is_text = isinstance(answer.body, str)
        payload = (answer.body if is_text else json.dumps(answer.body)).encode()
        headers = {
            "Content-Type": "text/html; charset=utf-8" if is_text else "application/json",
            "Content-Length": str(len(payload)),
            **answer.headers,
        }
        if fault == "truncated":
            payload = payload[: len(payload) // 2]
            self.close_connection = True
        if fault in {"drip_headers", "drip_body"}:
            self._drip(answer.status, headers, payload, from_body=fault == "drip_body")
            return
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def _drip(
        self, status: int, headers: Mapping[str, str], payload: bytes, *, from_body: bool
    ) -> None:
        """Send a byte at a time, each just before a read would time out."""
        head = f"HTTP/1.1 {int(status)} OK\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        data = head.encode() + payload
        at_once = len(head) if from_body else 0
        self.wfile.write(data[:at_once])
        rest = data[at_once:]
        pause = self._hang_seconds() / max(1, len(rest))
        for place in range(len(rest)):
            time.sleep(pause)
            self.wfile.write(rest[place : place + 1])
            self.wfile.flush()
        self.close_connection = True


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
