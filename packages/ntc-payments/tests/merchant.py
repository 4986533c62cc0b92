"""A merchant of the pretend company: one who orders, and one who takes callbacks."""

from __future__ import annotations

import http.server
import json
import time
import urllib.error
import urllib.request
from typing import Any

from ntc_payments.testing import RunningSimulator

__all__ = ["ORDER", "Merchant", "MerchantHandler", "call"]

ORDER = {"reference": "A1", "amount": 500, "currency": "TZS", "phone": "255712345678"}


def call(
    simulator: RunningSimulator, method: str, path: str, body: Any = None, key: str | None = None
) -> tuple[int, Any]:
    """Return status and JSON of one request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
    request = urllib.request.Request(
        simulator.base_url + path,
        method=method,
        data=data,
        headers={"Authorization": f"Bearer {key or simulator.options['api_key']}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Merchant(http.server.ThreadingHTTPServer):
    """Takes callbacks, and refuses the first `refusals` of them."""

    def __init__(self, *, refusals: int = 0) -> None:
        self.refusals = refusals
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), MerchantHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def wait_for(self, count: int, seconds: float = 10) -> list[tuple[dict[str, str], bytes]]:
        deadline = time.monotonic() + seconds
        while len(self.deliveries) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return list(self.deliveries)


class MerchantHandler(http.server.BaseHTTPRequestHandler):
    server: Merchant

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.deliveries.append(
            ({name.lower(): value for name, value in self.headers.items()}, body)
        )
        refuse = len(self.server.deliveries) <= self.server.refusals
        self.send_response(503 if refuse else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass
