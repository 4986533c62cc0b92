"""The company's HTTP interface. See docs/providers/simulator.md."""

from __future__ import annotations

import hmac
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ntc_payments.simulator.faults import FaultDial, Faults, InvalidFault
from ntc_payments.simulator.store import Collection, DuplicateReference, Store

__all__ = ["SimulatorServer"]

MAX_BODY_BYTES = 64 * 1024
#: Whole shillings, as mobile money has them.
MINIMUM_AMOUNT, MAXIMUM_AMOUNT = 100, 5_000_000

_REFERENCE = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
_PHONE = re.compile(r"255[67][0-9]{8}", re.ASCII)
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class _Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}


class _Cut(Exception):
    """The connection ends without an answer."""


Answer = tuple[HTTPStatus, Any]


class SimulatorServer(ThreadingHTTPServer):
    """Serves until `shutdown()`.

    `allowed_hosts` are names, besides its own address and this machine's, under which what
    needs no key may be asked: a web page that a developer looks at must not press buttons here.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        *,
        store: Store,
        dial: FaultDial,
        api_key: str,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        self.store = store
        self.dial = dial
        self.api_key = api_key
        self.allowed_hosts = _LOCAL_HOSTS | {address[0].lower()} | {*map(str.lower, allowed_hosts)}
        super().__init__(address, _Handler)

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
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: paths carry references, and tests read the output."""

    def _serve(self, method: str) -> None:
        path = urlsplit(self.path).path
        try:
            body = self._read_body()
            status, answer = self._route(method, path)(body)
        except _Refused as refused:
            status, answer = refused.status, refused.body
        except _Cut:
            self.close_connection = True
            # Closed without a byte: the merchant cannot know what happened.
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if path.startswith("/v1/"):
            time.sleep(self.server.dial.faults.delay_seconds)
        self._send(status, answer)

    def _route(self, method: str, path: str) -> Callable[[bytes], Answer]:
        for wanted_method, pattern, name in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and wanted_method == method:
                if path.startswith("/v1/"):
                    self._require_key()
                elif name != "health":
                    self._require_known_host()
                handler = getattr(self, name)
                return lambda body: handler(body, **found.groupdict())
        raise _Refused(HTTPStatus.NOT_FOUND, "no_such_path", "There is nothing here.")

    # The merchant's side.

    def start_collection(self, body: bytes) -> Answer:
        order = _read_order(body)
        fault = self.server.dial.bite("start")
        self._fail_before(fault)
        try:
            collection = self.server.store.create(**order)
        except DuplicateReference:
            raise _Refused(
                HTTPStatus.CONFLICT, "duplicate_reference", "This reference was used before."
            ) from None
        return self._fail_after(fault) or (HTTPStatus.CREATED, collection.wire())

    def _fail_before(self, fault: str) -> None:
        if fault == "busy":
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, "busy", "Not accepted. Send it again.")
        if fault == "error_before":
            raise _Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something broke.")
        if fault in {"hang_before", "cut_before"}:
            self._hang(fault)

    def _fail_after(self, fault: str) -> Answer | None:
        if fault == "error_after":
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"code": "internal", "message": "It broke."}
        if fault == "html":
            return HTTPStatus.OK, "<html><body>Bad gateway</body></html>"
        if fault in {"hang_after", "cut_after"}:
            self._hang(fault)
        return None

    def _hang(self, fault: str) -> None:
        if fault.startswith("hang"):
            time.sleep(self.server.dial.faults.hang_seconds)
        raise _Cut

    def read_collection(self, _: bytes, *, reference: str) -> Answer:
        fault = self.server.dial.bite("query")
        if fault == "error":
            raise _Refused(HTTPStatus.BAD_GATEWAY, "internal", "Something broke.")
        if fault == "hang":
            self._hang(fault)
        collection = self.server.store.find(reference=reference)
        if collection is None or fault == "not_found":
            raise _Refused(HTTPStatus.NOT_FOUND, "not_found", "No collection has this reference.")
        answer = collection.wire()
        if fault == "lie_declined":
            answer["status"] = "DECLINED"
        return HTTPStatus.OK, answer

    def cancel_collection(self, _: bytes, *, reference: str) -> Answer:
        return self._settle(self.server.store.find(reference=reference), "CANCELED")

    # The phone's side.

    def list_prompts(self, _: bytes) -> Answer:
        query = parse_qs(urlsplit(self.path).query)
        prompts = self.server.store.list_collections(waiting_only="all" not in query)
        return HTTPStatus.OK, [_prompt(collection) for collection in prompts]

    def answer_prompt(self, _: bytes, *, uid: str, answer: str) -> Answer:
        status = {"approve": "PAID", "decline": "DECLINED"}[answer]
        return self._settle(self.server.store.find(uid=uid), status)

    def _settle(self, collection: Collection | None, status: str) -> Answer:
        if collection is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "not_found", "There is no such prompt.")
        if not self.server.store.settle(reference=collection.reference, status=status):
            raise _Refused(HTTPStatus.CONFLICT, "not_waiting", "This prompt has ended.")
        settled = self.server.store.find(reference=collection.reference)
        return HTTPStatus.OK, _prompt(settled or collection)

    # The tester's side.

    def read_faults(self, _: bytes) -> Answer:
        return HTTPStatus.OK, self.server.dial.wire()

    def turn_faults(self, body: bytes) -> Answer:
        try:
            self.server.dial.turn(Faults.parse(_read_object(body)))
        except InvalidFault as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "invalid_fault", str(error)) from error
        return HTTPStatus.OK, self.server.dial.wire()

    def health(self, _: bytes) -> Answer:
        return HTTPStatus.OK, {"status": "ok"}

    # HTTP.

    def _require_key(self) -> None:
        given = self.headers.get("Authorization", "")
        expected = f"Bearer {self.server.api_key}"
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise _Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", "The API key is not valid.")

    def _require_known_host(self) -> None:
        """Refuse a page of another site: one it sends, or one whose name now leads here."""
        urls = [f"//{self.headers.get('Host', '')}"]
        if (origin := self.headers.get("Origin")) is not None:
            urls.append(origin)
        if not all(_host_of(url) in self.server.allowed_hosts for url in urls):
            raise _Refused(
                HTTPStatus.FORBIDDEN,
                "foreign_host",
                "Asked under a name that is not ours. Start with --allow-host NAME to add it.",
            )

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "Body too large.")
        return self.rfile.read(int(length))

    def _send(self, status: HTTPStatus, answer: Any) -> None:
        is_text = isinstance(answer, str)
        payload = (answer if is_text else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if is_text else "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if status is HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(payload)


_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("POST", r"/v1/collections", "start_collection"),
    ("GET", r"/v1/collections/(?P<reference>[^/]+)", "read_collection"),
    ("POST", r"/v1/collections/(?P<reference>[^/]+)/cancel", "cancel_collection"),
    ("GET", r"/phone/prompts", "list_prompts"),
    ("POST", r"/phone/prompts/(?P<uid>[^/]+)/(?P<answer>approve|decline)", "answer_prompt"),
    ("GET", r"/faults", "read_faults"),
    ("PUT", r"/faults", "turn_faults"),
    ("GET", r"/health", "health"),
)


def _prompt(collection: Collection) -> dict[str, object]:
    return collection.wire() | {
        "uid": collection.uid,
        "description": collection.description,
        "created_at": collection.created_at,
        "expires_at": collection.expires_at,
    }


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise _Refused(HTTPStatus.BAD_REQUEST, "invalid_body", "Expected a JSON object.")
    return values


def _read_order(body: bytes) -> dict[str, Any]:
    order = _read_object(body)
    reference, amount = order.get("reference"), order.get("amount")
    currency, phone = order.get("currency"), order.get("phone")
    callback_url = order.get("callback_url", "")
    is_whole = isinstance(amount, int) and not isinstance(amount, bool)
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        _refuse("reference", "1 to 20 letters and digits")
    if currency != "TZS":
        _refuse("currency", "TZS")
    if not is_whole or not MINIMUM_AMOUNT <= amount <= MAXIMUM_AMOUNT:  # type: ignore[operator]  # is_whole
        _refuse("amount", f"whole shillings from {MINIMUM_AMOUNT} to {MAXIMUM_AMOUNT}")
    if not isinstance(phone, str) or not _PHONE.fullmatch(phone):
        _refuse("phone", "a Tanzanian mobile number as 255 and 9 digits")
    if not isinstance(callback_url, str) or not re.match(r"(https?://|$)", callback_url):
        _refuse("callback_url", "an http or https URL, or nothing")
    return {
        "reference": reference,
        "amount": amount,
        "currency": currency,
        "phone": phone,
        "description": str(order.get("description", ""))[:100],
        "callback_url": callback_url,
    }


def _refuse(name: str, expected: str) -> None:
    raise _Refused(HTTPStatus.BAD_REQUEST, f"invalid_{name}", f"{name} must be {expected}.")
