"""A merchant of Beem."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
import uuid
from typing import Any
from urllib.parse import urlencode

__all__ = ["PAYOUT", "BeemMerchant"]

PAYOUT = {
    "amount": "5000",
    "client_reference_id": "P1",
    "source": {"account_no": "ACC-1", "currency": "TZS"},
    "destination": {
        "mobile": {"wallet_number": "255712345671", "wallet_code": "ABC12345", "currency": "TZS"}
    },
}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class BeemMerchant:
    """Calls Beem in the simulator."""

    def __init__(self, simulator: Any) -> None:
        self.simulator = simulator
        self.keys = simulator.secrets["beem"]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return status and body; of a redirect, its address."""
        pair = f"{self.keys['api_key']}:{self.keys['secret_key']}"
        request = urllib.request.Request(
            f"{self.simulator.base_url}/beem{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={
                "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
                "Content-Type": "application/json",
                **headers,
            },
        )
        try:
            with urllib.request.build_opener(_NoRedirect()).open(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 302:
                    return 302, error.headers["Location"]
                return error.code, json.load(error)

    def check_out(self, *, token: str = "", **changes: Any) -> tuple[int, Any]:
        """Ask for a page; None takes a parameter out."""
        values = {
            "amount": "25000",
            "transaction_id": str(uuid.uuid4()),
            "reference_number": "SAMPLE-1",
            "mobile": "255712345671",
            "sendSource": "true",
            **changes,
        }
        query = urlencode({name: value for name, value in values.items() if value is not None})
        headers = {"beem-secure-token": token} if token else {}
        return self.call("GET", f"/v1/checkout?{query}", **headers)

    def pay_out(self, **changes: Any) -> tuple[int, Any]:
        """Ask for a payout; returns the HTTP status and the body."""
        return self.call("POST", "/transfer", {**PAYOUT, **changes})
