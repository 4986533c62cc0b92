"""The HTTP side: Beem's paths below /beem, the dial, and a desk to look behind the scenes.

What a merchant asks belongs to Beem; the desk is the simulator's own and needs no key, so it
answers only under names of this machine. See docs/providers/beem-sms.md.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from ntc_notify.simulator.beem import Beem
from ntc_notify.simulator.exchange import Answer, Refused, Request, Route
from ntc_notify.simulator.faults import Faults, InvalidFault
from ntc_notify.simulator.store import Store

__all__ = ["SimulatorServer"]

PREFIX = "/beem"
MAX_BODY_BYTES = 1024 * 1024
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class _Broken(Exception):
    """The connection ends in a way of its own; nothing more is sent."""


class SimulatorServer(ThreadingHTTPServer):
    """Serves until `shutdown()`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], beem: Beem, *, allowed_hosts: Iterable[str] = ()
    ) -> None:
        self.beem = beem
        self.allowed_hosts = _LOCAL_HOSTS | {address[0].lower()} | {*map(str.lower, allowed_hosts)}
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a merchant who hung up first; report anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: SimulatorServer
    protocol_version = "HTTP/1.1"
    server_version = "PretendBeem/1"
    timeout = 30

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: paths carry phone numbers, and tests read the output."""

    def _serve(self) -> None:
        fault = "none"
        try:
            request = Request.of(
                method=self.command,
                target=self.path,
                headers=dict(self.headers.items()),
                body=self._read_body(),
            )
            route = self._find_route(request)
            if route is None:
                answer = self._ask_desk(request)
            else:
                fault = self.server.beem.dial.bite(route.action)
                answer = self._ask_beem(route, request, fault)
        except Refused as refused:
            answer = refused.answer
        except _Broken:
            self.close_connection = True
            return
        self._send(answer, truncated=fault == "truncated")

    def _find_route(self, request: Request) -> Route | None:
        for route in self.server.beem.routes():
            if (request.method, request.path) == (route.method, f"{PREFIX}{route.path}"):
                return route
        return None

    # Beem, and its bad days.

    def _ask_beem(self, route: Route, request: Request, fault: str) -> Answer:
        beem = self.server.beem
        if fault in {"hang_before", "cut_before"}:
            self._break(hang=fault == "hang_before")
        early = {
            "error_before": Answer(status=500, body={"message": "Something broke."}),
            "timeout_code": beem.timeout(),
            "unavailable": Answer(status=503, body={"message": "Maintenance"}),
            "busy": beem.busy(),
        }
        if fault in early:
            return early[fault]
        try:
            answer = route.handler(request)
        except Refused as refused:
            answer = refused.answer
        time.sleep(beem.dial.faults.delay_seconds)
        if fault in {"hang_after", "cut_after"}:
            self._break(hang=fault == "hang_after")
        if fault == "error_after":
            return Answer(status=500, body={"message": "Something broke."})
        if fault == "html":
            return Answer(status=502, body="<html>Bad gateway</html>")
        return answer

    def _break(self, *, hang: bool) -> None:
        if hang:
            time.sleep(self.server.beem.dial.faults.hang_seconds)
        # Closed without a byte: the merchant cannot know what happened.
        self.connection.shutdown(socket.SHUT_RDWR)
        raise _Broken

    # The desk.

    def _ask_desk(self, request: Request) -> Answer:
        if request.path.startswith(f"{PREFIX}/"):
            raise Refused(HTTPStatus.NOT_FOUND, {"message": "There is nothing here."})
        if (request.method, request.path) == ("GET", "/health"):
            return Answer(body={"status": "ok"})
        self._require_known_host()
        handlers: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "/messages"): lambda _: [asdict(sms) for sms in self._store.list_sms()],
            ("GET", "/pins"): lambda _: [asdict(pin) for pin in self._store.list_pins()],
            ("GET", "/faults"): lambda _: self.server.beem.dial.wire(),
            ("PUT", "/faults"): self._turn_dial,
            ("PUT", "/callbacks"): self._keep_callback_url,
            ("PUT", "/credits"): self._keep_credits,
        }
        handler = handlers.get((request.method, request.path))
        if handler is None:
            raise Refused(
                HTTPStatus.NOT_FOUND,
                {"message": "Known: /messages, /pins, /faults, /callbacks, /credits, /health."},
            )
        return Answer(body=handler(request.json() or {}))

    @property
    def _store(self) -> Store:
        return self.server.beem.store

    def _turn_dial(self, values: dict[str, Any]) -> Any:
        try:
            self.server.beem.dial.turn(Faults.parse(values))
        except InvalidFault as error:
            raise Refused(HTTPStatus.BAD_REQUEST, {"message": str(error)}) from error
        return self.server.beem.dial.wire()

    def _keep_callback_url(self, values: dict[str, Any]) -> Any:
        url = values.get("beem", "")
        if not isinstance(url, str) or (url and urlsplit(url).scheme not in {"http", "https"}):
            raise Refused(
                HTTPStatus.BAD_REQUEST, {"message": '{"beem": "http(s)://…"} is expected.'}
            )
        self._store.keep("callback_url", url)
        return {}

    def _keep_credits(self, values: dict[str, Any]) -> Any:
        number = values.get("credits")
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise Refused(HTTPStatus.BAD_REQUEST, {"message": '{"credits": 1000} is expected.'})
        self._store.keep("credits", str(number))
        return {}

    def _require_known_host(self) -> None:
        """Refuse a page of another site: one it sends, or one whose name now leads here."""
        urls = [f"//{self.headers.get('Host', '')}"]
        if (origin := self.headers.get("Origin")) is not None:
            urls.append(origin)
        if not all(_host_of(url) in self.server.allowed_hosts for url in urls):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                {"message": "Asked under a name that is not ours; see --allow-host."},
            )

    # HTTP.

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"message": "Body too large."})
        return self.rfile.read(int(length))

    def _send(self, answer: Answer, *, truncated: bool) -> None:
        is_text = isinstance(answer.body, str)
        payload = (answer.body if is_text else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        kind = "text/html; charset=utf-8" if is_text else "application/json"
        headers = {"Content-Type": kind, "Content-Length": str(len(payload)), **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if truncated:
            payload = payload[: len(payload) // 2]
            self.close_connection = True
        self.wfile.write(payload)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
