"""ClickPesa as the simulator plays it: see docs/providers/simulator.md."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from ntc_payments.simulator.companies.clickpesa import shapes
from ntc_payments.simulator.companies.clickpesa.collecting import Collecting
from ntc_payments.simulator.companies.clickpesa.paying_out import PayingOut
from ntc_payments.simulator.exchange import Answer, Request, Route, read_object
from ntc_payments.simulator.store import Draft, Movement

__all__ = ["ClickPesa"]

Handler = Callable[..., Answer]


class ClickPesa(Collecting, PayingOut):
    """Pushes, cards, pages, control numbers and payouts."""

    name: ClassVar[str] = "clickpesa"
    prefix: ClassVar[str] = "/clickpesa"
    keys: ClassVar[Mapping[str, str]] = {
        "CLICKPESA_CLIENT_ID": "client_id",
        "CLICKPESA_API_KEY": "api_key",
        "CLICKPESA_CHECKSUM_KEY": "checksum_key",
    }
    is_told_callback_url: ClassVar[bool] = True
    token_seconds: ClassVar[float] = 3600
    short_token_seconds: ClassVar[float] = 1

    def routes(self) -> Sequence[Route]:
        payments, payouts, bills = "/payments", "/payouts", "/billpay"
        one, bill = r"/(?P<reference>[^/]+)", rf"{bills}/(?P<number>[^/]+)"
        return (
            Route("POST", "/generate-token", "token", self.generate_token),
            *(
                Route("POST", path, action, self._written(handler))
                for path, action, handler in (
                    (f"{payments}/preview-ussd-push-request", "other", self.preview_push),
                    (f"{payments}/initiate-ussd-push-request", "start", self.start_push),
                    (f"{payments}/preview-card-payment", "other", self.preview_card),
                    (f"{payments}/initiate-card-payment", "start", self.start_card),
                    ("/checkout-link/generate-checkout-url", "start", self.start_page),
                    (f"{bills}/create-order-control-number", "start", self.order_number),
                    (f"{bills}/create-customer-control-number", "start", self.customer_number),
                    (f"{payouts}/preview-mobile-money-payout", "other", self.preview_payout),
                    (f"{payouts}/create-mobile-money-payout", "payout", self.create_payout),
                    (f"{payouts}/preview-bank-payout", "other", self.preview_payout),
                    (f"{payouts}/create-bank-payout", "payout", self.create_payout),
                )
            ),
            Route("PATCH", bill, "other", self._written(self.change_number)),
            *(
                Route("GET", path, action, self._read(handler))
                for path, action, handler in (
                    (f"{payments}/all", "query", self.list_payments),
                    (f"{payments}{one}", "query", self.query_payment),
                    (f"{payouts}/all", "query", self.list_payouts),
                    (f"{payouts}{one}", "query", self.query_payout),
                    (bill, "query", self.query_number),
                    ("/list/banks", "other", self.list_banks),
                    ("/account/balance", "other", self.balance),
                    ("/account/statement", "other", self.statement),
                )
            ),
        )

    # The door.

    def generate_token(self, request: Request) -> Answer:
        """Give a token that lives an hour."""
        if request.fault == "expired_token":
            raise shapes.refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        for header, option, sentence in (
            ("client-id", "client_id", "Invalid client details"),
            ("api-key", "api_key", "Invalid or Expired API-Key"),
        ):
            if not _equal(request.headers.get(header, ""), self.secrets[option]):
                raise shapes.refusal(HTTPStatus.FORBIDDEN, sentence)
        token = f"Bearer {secrets.token_urlsafe(32)}"
        is_short = request.fault == "short_lived"
        seconds = self.short_token_seconds if is_short else self.token_seconds
        self.store.keep(self.name, token, time.time() + seconds)
        return Answer(body={"success": True, "token": token})

    def _require_token(self, request: Request) -> None:
        ends_at = self.store.recall(self.name, request.headers.get("authorization", ""))
        if request.fault == "expired_token" or not ends_at or ends_at <= time.time():
            raise shapes.refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized")

    def _read(self, handler: Handler) -> Handler:
        """Let only who has a token ask; the handler gets the query."""

        def handle(request: Request, **groups: str) -> Answer:
            self._require_token(request)
            return handler(request.query, **groups)

        return handle

    def _written(self, handler: Handler) -> Handler:
        """Let only who has a token, and where there is a key the checksum, change something."""

        def handle(request: Request, **groups: str) -> Answer:
            self._require_token(request)
            values = read_object(request, refuse=lambda text: shapes.refusal(400, [text]))
            if key := self.secrets.get("checksum_key"):
                given = values.get("checksum")
                if not isinstance(given, str) or not _equal(given, shapes.checksum(key, values)):
                    raise shapes.refusal(400, ["Invalid checksum"])
            return handler(values, **groups)

        return handle

    # What it tells, and how it goes wrong.

    def tell(self, movement: Movement) -> Sequence[Draft]:
        if movement.kind == "payout":
            events = {"PAID": "PAYOUT INITIATED", "RETURNED": "PAYOUT REVERSED"}
            event = events.get(movement.status, "")
            data = shapes.payout_row(movement, client_id=self.secrets["client_id"])
        else:
            event = "PAYMENT RECEIVED" if movement.status == "PAID" else "PAYMENT FAILED"
            event = event if shapes.visible(movement) else ""
            data = shapes.payment_row(movement, client_id=self.secrets["client_id"], as_text=True)
        if not event:
            return ()
        body: dict[str, Any] = {"event": event, "data": data}
        if key := self.secrets.get("checksum_key"):
            body["checksum"] = shapes.checksum(key, body)
        text = json.dumps(body, ensure_ascii=False)
        # A page tells its own address only of success.
        own = movement.callback_url if movement.status == "PAID" else ""
        urls = dict.fromkeys((self.store.recall(self.name, "callback_url"), own))
        return [Draft(url=url, body=text) for url in urls if url]

    def lie(self, answer: Answer) -> Answer:
        if not isinstance(answer.body, list):
            return answer
        return Answer(body=[{**row, "status": "FAILED"} for row in answer.body])

    def not_found(self) -> Answer:
        return shapes.refusal(404, "Invalid or missing payment: ?").answer


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
