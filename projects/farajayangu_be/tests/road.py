"""The whole road over HTTP, from sign-up to receipt, as a client walks it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from ntc_core.testing import assert_success

from .processes import wait_until

__all__ = ["Road"]

API = "/api/v1"
JSON = {"Accept": "application/json"}


@dataclass(kw_only=True)
class Road:
    """A client at the beginning of the road; each method is one step."""

    base_url: str
    phone: str = "0712 345 678"
    phone_e164: str = "+255712345678"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    access: str = ""

    def walk(self) -> dict[str, Any]:
        """Go all the way; return the settled payment."""
        self.sign_up()
        self.sign_in()
        payment = self.subscribe()
        self.approve()
        return self.arrive(payment)

    def sign_up(self) -> None:
        """Register and bring back the code from the mailbox."""
        account = {"phone": self.phone, "password": self.password}
        pending = assert_success(self.post("accounts/register/", account), 202)
        code = re.search(r"\b[0-9]{6}\b", self.wait_for_message(containing="dakika")["body"])
        assert code
        answer = {"registration": pending["registration"], "code": code.group()}
        assert_success(self.post("accounts/verify/", answer), 201)

    def sign_in(self) -> None:
        """Sign in with the spelling of the phone that was used to register."""
        credentials = {
            "identifier": self.phone,
            "password": self.password,
            "transport": "token",
        }
        signed_in = assert_success(self.post("auth/login/", credentials))
        assert signed_in["user"]["phone"] == self.phone_e164
        self.access = signed_in["access"]

    def subscribe(self, **headers: str) -> dict[str, Any]:
        """Choose the first plan and ask for a push."""
        plan = assert_success(self.get("plans/"))["results"][0]
        choice = {"plan": plan["uid"], "method": "mobile_push"}
        payment = assert_success(self.post("subscriptions/", choice, **headers), 201)["payment"]
        assert payment["amount"] == plan["amount"]
        return dict(payment)

    def approve(self) -> None:
        """Press Approve on the pretend phone."""
        prompt = self.wait_for_prompt()
        answer = httpx.post(
            f"{self.base_url}/dev/phone/{prompt['uid']}/approve/", headers=JSON, timeout=20
        )
        assert answer.status_code == 200, answer.text

    def arrive(self, payment: dict[str, Any]) -> dict[str, Any]:
        """Wait until the subscription is active; find the receipt and the payment settled."""

        def is_active() -> bool:
            mine = assert_success(self.get("subscriptions/me/"))
            return bool(mine["status"] == "active")

        wait_until(is_active, what="an active subscription")
        receipt = self.wait_for_message(containing="Asante")
        assert "TZS" in receipt["body"]
        settled = assert_success(self.get(f"payments/{payment['uid']}/"))
        assert settled["status"] == "succeeded"
        return dict(settled)

    def wait_for_prompt(self) -> dict[str, Any]:
        """Return the push prompt that waits on our phone."""
        return self._wait_for_item(
            "/dev/phone/",
            lambda prompt: self.phone_e164 in prompt.values(),
            what="a prompt on the phone",
        )

    def wait_for_message(self, *, containing: str) -> dict[str, Any]:
        """Return the newest message to us with these words."""
        return self._wait_for_item(
            "/dev/mailbox/",
            lambda message: message["to"] == self.phone_e164 and containing in message["body"],
            what=f"a message with {containing!r}",
        )

    def messages(self) -> list[dict[str, Any]]:
        """Return everything that was sent to us, newest first."""
        mailbox = httpx.get(f"{self.base_url}/dev/mailbox/", headers=JSON, timeout=20).json()
        return [message for message in mailbox if message["to"] == self.phone_e164]

    def get(self, path: str) -> httpx.Response:
        """Read from the API."""
        return self._call("GET", path)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        """Write to the API."""
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._call("POST", path, json=body, headers=extra)

    def _call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **sent: Any
    ) -> httpx.Response:
        answer = httpx.request(
            method,
            f"{self.base_url}{API}/{path}",
            headers={**self._headers(), **(headers or {})},
            timeout=20,
            **sent,
        )
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Request-ID"]
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"} if self.access else {}

    def _wait_for_item(
        self, path: str, wanted: Callable[[dict[str, Any]], bool], *, what: str
    ) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            items = httpx.get(f"{self.base_url}{path}", headers=JSON, timeout=20).json()
            return next((item for item in items if wanted(item)), None)

        return dict(wait_until(find, what=what))
