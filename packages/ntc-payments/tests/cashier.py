"""A company that gives back and pays out, on a real socket, and the provider for it.

What it does with the next call is turned by `next_fault`; what it has done is in `made`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from ntc_core.http import HttpClient, NoAnswer
from ntc_core.money import Money
from ntc_core.webhooks.types import VerifiedWebhook, WebhookRequest
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Capabilities,
    Claim,
    FailureCode,
    Observation,
    PaymentMethod,
    PayoutMethod,
    PayoutPreview,
    PayoutRequest,
    RefundRequest,
    StartOutcome,
    StartResult,
    Subject,
)

__all__ = ["Cashier", "CashierProvider", "cashier"]


@dataclass
class Cashier:
    """The company's books and its dial."""

    base_url: str = ""
    #: "refunds/R1" -> status, as the merchant may ask for it.
    states: dict[str, str] = field(default_factory=dict)
    #: Every accepted order, also the same one twice.
    made: list[str] = field(default_factory=list)
    fault: str = ""
    reason: str = "Insufficient balance"
    #: What becomes of an accepted order at once.
    outcome: str = "PENDING"
    lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, path: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if self.fault == "refuse":
                return 400, {"reason": self.reason}
            if self.fault == "busy":
                return 429, {}
            if path in self.states:
                return 409, {}
            self.states[path] = self.outcome
            self.made.append(path)
            return 200, {"id": f"C-{path[-6:]}", "status": self.outcome, "fee": "50"}


class _Handler(BaseHTTPRequestHandler):
    company: Cashier

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = f"{self.path.strip('/')}/{body['reference']}"
        fault = self.company.fault
        if fault == "cut_before":
            self._cut()
            return
        answer = self.company.order(path)
        if fault == "hang":
            time.sleep(3)
        if fault in {"cut_after", "hang"}:
            self._cut()
            return
        self._send(*answer)

    def do_GET(self) -> None:
        if self.path == "/preview":
            self._send(200, {"fee": "50", "name": "ASHA JUMA"})
            return
        status = self.company.states.get(self.path.strip("/"))
        self._send(*((404, {}) if status is None else (200, {"status": status})))

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def cashier() -> Iterator[Cashier]:
    """Run the company for the length of a block."""
    company = Cashier()
    handler = type("Handler", (_Handler,), {"company": company})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    company.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    yield company
    server.shutdown()
    thread.join()
    server.server_close()


_CLAIMS = {
    "DONE": Claim.SUCCESS,
    "FAILED": Claim.FAILURE,
    "RETURNED": Claim.REVERSED,
    "PENDING": Claim.ACCEPTED,
}


class CashierProvider(PaymentProvider):
    """Whatever it is asked to do with money, in whole shillings."""

    name: ClassVar[str] = "cashier"
    title: ClassVar[str] = "Cashier"

    def __init__(self, *, base_url: str, can_refund: bool = True, can_pay_out: bool = True) -> None:
        self.client = HttpClient(base_url=base_url, total_timeout_seconds=1)
        self.capabilities = Capabilities(
            methods=(PaymentMethod.MOBILE_PUSH, PaymentMethod.CARD),
            currencies=("TZS",),
            can_refund=can_refund,
            payout_methods=(PayoutMethod.MOBILE_WALLET, PayoutMethod.BANK_ACCOUNT)
            if can_pay_out
            else (),
            payout_currencies=("TZS",),
            whole_unit_currencies=("TZS",),
        )

    def start(self, request: AttemptRequest) -> StartOutcome:
        return StartOutcome(result=StartResult.ACCEPTED, provider_ref=f"T-{request.reference}")

    def query(self, handle: CallHandle) -> list[Observation]:
        return [Observation(reference=handle.reference, claim=Claim.ACCEPTED)]

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        return VerifiedWebhook(dedupe_key=str(hash(request.body)), event_type="news")

    def read_webhook(self, body: bytes) -> list[Observation]:
        return [_observe(**fact) for fact in json.loads(body)]

    def start_refund(self, request: RefundRequest) -> StartOutcome:
        return self._order("/refunds", request.reference)

    def query_refund(self, handle: CallHandle) -> list[Observation]:
        return self._ask(Subject.REFUND, f"/refunds/{handle.reference}", handle.reference)

    def payout_rail(self, request: PayoutRequest) -> str:
        if request.destination.bank_code == "NOBANK":
            raise ValueError("There is no such bank.")
        return "FAST"

    def preview_payout(self, request: PayoutRequest) -> PayoutPreview:
        answer = self.client.request("GET", "/preview").json()
        return PayoutPreview(
            fee=Money.from_major(answer["fee"], request.money.currency),
            receiver_name=answer["name"],
        )

    def start_payout(self, request: PayoutRequest) -> StartOutcome:
        assert request.rail == "FAST"
        return self._order("/payouts", request.reference)

    def query_payout(self, handle: CallHandle) -> list[Observation]:
        assert handle.rail == "FAST"
        return self._ask(Subject.PAYOUT, f"/payouts/{handle.reference}", handle.reference)

    def _order(self, path: str, reference: str) -> StartOutcome:
        answer = self.client.request("POST", path, json={"reference": reference})
        if answer.status == 429:
            return StartOutcome(result=StartResult.TRY_LATER)
        if answer.status == 409:
            return StartOutcome(result=StartResult.DUPLICATE)
        if answer.status == 400:
            return StartOutcome(
                result=StartResult.REFUSED,
                failure_code=FailureCode.INSUFFICIENT_FUNDS,
                failure_message=answer.json()["reason"],
            )
        if answer.status != 200:
            raise NoAnswer(f"HTTP {answer.status}")
        body = answer.json()
        done = body["status"] == "DONE"
        return StartOutcome(
            result=StartResult.DONE if done else StartResult.ACCEPTED,
            provider_ref=body["id"],
            fee=Money.from_major(body["fee"], "TZS"),
        )

    def _ask(self, subject: Subject, path: str, reference: str) -> list[Observation]:
        answer = self.client.request("GET", path)
        if answer.status == 404:
            return [Observation(reference=reference, subject=subject, claim=Claim.NOT_FOUND)]
        return [_observe(reference, subject.value, answer.json()["status"])]


def _observe(reference: str, subject: str, status: str) -> Observation:
    return Observation(reference=reference, subject=Subject(subject), claim=_CLAIMS[status])
