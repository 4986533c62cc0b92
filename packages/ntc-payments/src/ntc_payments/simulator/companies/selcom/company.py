"""Selcom: orders with a page and pushes, numbers paid at the operator's menu, payouts."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from ntc_payments.simulator.companies.selcom.calls import (
    EAST_AFRICA,
    PHONE,
    TRANSID,
    envelope,
    invalid,
    new_number,
    read_amount,
    read_text,
    read_url,
    refusal,
    signed_headers,
)
from ntc_payments.simulator.companies.selcom.payouts import SelcomPayouts
from ntc_payments.simulator.exchange import Answer, Request, Route
from ntc_payments.simulator.posting import post
from ntc_payments.simulator.store import Callback, Draft, Movement

__all__ = ["Selcom"]

_ORDER_ID = r"[A-Za-z0-9-]{1,20}"
_OPERATOR = "MPESA-TZ"
_METHODS = {"ALL", "MASTERPASS", "CARD", "MOBILEMONEYPULL"}
_BILLING = (
    *("firstname", "lastname", "address_1", "city", "state_or_region", "postcode_or_pobox"),
    *("country", "phone"),
)
_ORDER_STATUSES = {
    "PENDING": "PENDING",
    "PAID": "COMPLETED",
    "CANCELED": "CANCELLED",
    # Not documented; an order that is over has to be something.
    "EXPIRED": "EXPIRED",
}
#: Of the checkout webhook, in the documented order.
_SIGNED = ("transid", "order_id", "reference", "result", "resultcode", "payment_status")


class Selcom(SelcomPayouts):
    """See docs/providers/simulator.md, "Selcom"."""

    is_told_callback_url: ClassVar[bool] = True

    def routes(self) -> Sequence[Route]:
        return (
            Route("POST", r"/v1/checkout/create-order-minimal", "start", self.start),
            Route("POST", r"/v1/checkout/create-order", "start", self.start_with_cards),
            Route("POST", r"/v1/checkout/(wallet|selcompesa)-payment", "push", self.push),
            Route("GET", r"/v1/checkout/order-status", "query", self.read_order),
            Route("GET", r"/v1/checkout/list-orders", "other", self.list_orders),
            Route("DELETE", r"/v1/checkout/cancel-order", "cancel", self.cancel),
            Route("POST", r"/v1/wallet/pushussd", "start", self.push_bill),
            Route("GET", r"/v1/c2b/query-status", "query", self.read_bill),
            *super().routes(),
        )

    # Orders.

    def start(self, request: Request) -> Answer:
        """Make an order; the payer is asked on its page, or by a push."""
        fields = self._read(request)
        if "payment_methods" in fields:
            raise invalid("payment_methods")
        return self._make_order(fields)

    def start_with_cards(self, request: Request) -> Answer:
        """Make an order that can be paid by card: it needs an address."""
        fields = self._read(request)
        if not set(read_text(fields, "payment_methods").split(",")) <= _METHODS:
            raise invalid("payment_methods")
        for name in _BILLING:
            read_text(fields, f"billing.{name}", "[A-Z]{2}" if name == "country" else ".+")
        return self._make_order(fields)

    def _make_order(self, fields: Mapping[str, Any]) -> Answer:
        order = self._read_order(fields)
        self._add(order, "order_id")
        page = base64.b64encode(f"{self.site}/checkout/{order.uid}".encode()).decode()
        data = {
            "gateway_buyer_uuid": new_number(),
            "payment_token": order.details["payment_token"],
            "qr": f"QR{order.company_ref}",
            "payment_gateway_url": page,
        }
        return Answer(body=envelope("000", "Payment notification logged", [data]))

    def _read_order(self, fields: Mapping[str, Any]) -> Movement:
        self._require_vendor(fields)
        read_text(fields, "buyer_email", ".*")
        read_text(fields, "no_of_items", "[1-9][0-9]*")
        for name in ("header_colour", "link_colour", "button_colour"):
            if name in fields:
                read_text(fields, name, "#[0-9A-Fa-f]{6}")
        minutes = read_text({"expiry": 0, **fields}, "expiry", "[0-9]{1,6}")
        return Movement(
            company=self.name,
            kind="collection",
            reference=read_text(fields, "order_id", _ORDER_ID),
            company_ref=new_number(),
            amount_minor=read_amount(fields) * 100,
            currency=read_text(fields, "currency", "TZS|USD"),
            phone=read_text(fields, "buyer_phone", PHONE),
            description=f"{read_text(fields, 'buyer_name')} {fields.get('buyer_remarks', '')}",
            callback_url=read_url(fields, "webhook"),
            expires_at=time.time() + int(minutes) * 60 if int(minutes) else 0,
            details={
                "payment_token": new_number()[:8],
                "return_url": read_url(fields, "redirect_url"),
                "cancel_url": read_url(fields, "cancel_url"),
                "transids": [],
            },
        )

    def push(self, request: Request) -> Answer:
        """Put an order on a phone; once more with another transid."""
        fields = self._read(request)
        transid = read_text(fields, "transid", TRANSID)
        phone = read_text(fields, "msisdn", PHONE)
        is_pesa = "selcompesa" in request.path
        for name in fields.keys() - {"transid", "order_id", "msisdn", *(["remarks"] * is_pesa)}:
            raise invalid(name)
        with self._lock:
            order = self._get_order(fields)
            transids = [*order.details["transids"], transid]
            if self.store.recall(self.name, f"transid {transid}") is not None:
                raise refusal("409", "Duplicate transid")
            pushed = self.store.change(
                order.uid,
                phone=phone,
                prompts=len(transids),
                expires_at=min(order.expires_at, time.time() + self.store.prompt_seconds),
                details={"transids": transids},
            )
            if pushed is None:
                raise refusal("400", "Order is not pending")
            self.store.keep(self.name, f"transid {transid}", order.reference)
        text = "Request in progress. You will receive a callback shortly."
        return Answer(body=envelope("111", text, result="PENDING"))

    def read_order(self, request: Request) -> Answer:
        """Tell what became of an order."""
        order = self._get_order(self._read(request))
        is_paid = order.status == "PAID"
        paid = {name: order.details.get(name) for name in ("transid", "channel")}
        last = {"msisdn": order.phone} if is_paid else {"phone": None}
        reference = order.company_ref if is_paid else None
        data = {**_wire(order), **paid, "reference": reference, **last}
        return Answer(body=envelope("000", "Order fetch successful", [data]))

    def list_orders(self, request: Request) -> Answer:
        """List the orders of some days."""
        fields = self._read(request)
        first, last = (
            read_text(fields, name, r"\d{4}-\d\d-\d\d") for name in ("fromdate", "todate")
        )
        orders = [_wire(order) for order in self._list_orders()]
        data = [
            {**row, "payment_status": row["payment_status"].replace("CANCELLED", "CANCEL")}
            for row in orders
            if first <= row["creation_date"][:10] <= last
        ]
        return Answer(body=envelope("000", "Order fetch successful", data))

    def cancel(self, request: Request) -> Answer:
        """End an order that waits."""
        if self._end(self._get_order(self._read(request)), "CANCELED") is None:
            raise refusal("400", "Order is completed or expired")
        return Answer(body=envelope("000", "Order cancelled successfully"))

    def _list_orders(self) -> list[Movement]:
        found = self.store.list_movements(company=self.name, kind="collection")
        return [movement for movement in found if "transids" in movement.details]

    def _get_order(self, fields: Mapping[str, Any]) -> Movement:
        reference = read_text(fields, "order_id", _ORDER_ID)
        order = self.store.find(company=self.name, kind="collection", reference=reference)
        if order is None or "transids" not in order.details:
            raise refusal("404", "Order not found")
        return order

    # C2B: what the payer types is the merchant's number, and the merchant is asked about it.

    def pay_bill(self, number: str, amount_minor: int) -> Movement | None:
        for order in self._list_orders():
            if order.details["payment_token"] == number and order.amount_minor == amount_minor:
                return self.pay(order)
        bill = self._bill(f"MP{new_number()}", number, amount_minor, phone="255740000001")
        bill = replace(bill, details={**bill.details, "transid": bill.reference})
        question = _question(bill)
        # Money that the merchant does not want, or is silent about, goes back by itself.
        if not self._ask("lookup", {k: v for k, v in question.items() if k != "amount"}):
            return None
        if not self._ask("validation", question):
            return None
        return self.pay(self.store.add(bill))

    def push_bill(self, request: Request) -> Answer:
        """Put a merchant's number on a phone; the end is told by a notification."""
        fields = self._read(request)
        self._require_vendor(fields)
        bill = self._bill(
            read_text(fields, "transid", TRANSID),
            read_text(fields, "utilityref"),
            read_amount(fields) * 100,
            phone=read_text(fields, "msisdn", PHONE),
            is_shown=True,
        )
        self._add(bill, "transid")
        text = "Request in progress. You will receive a callback shortly."
        return Answer(body=envelope("000", text, transid=bill.reference))

    def read_bill(self, request: Request) -> Answer:
        """Tell what became of a number's payment, by the transid or by Selcom's reference."""
        fields = self._read(request)
        column = "company_ref" if "transid" not in fields else "reference"
        value = read_text(fields, "reference" if "transid" not in fields else "transid")
        bill = self.store.find(company=self.name, kind="collection", **{column: value})
        if bill is None or "utilityref" not in bill.details:
            raise refusal("404", "Transaction not found")
        code, text = {
            "PAID": ("000", "COMPLETE | CONFIRMED | Payment successful"),
            "PENDING": ("111", "Transaction is being processed"),
        }.get(bill.status, ("400", "Transaction failed"))
        body = envelope(code, text, transid=bill.reference)
        return Answer(body={**body, "reference": bill.company_ref})

    def _bill(
        self, transid: str, number: str, amount_minor: int, *, phone: str, is_shown: bool = False
    ) -> Movement:
        return Movement(
            company=self.name,
            kind="collection",
            reference=transid,
            company_ref=new_number(),
            amount_minor=amount_minor,
            currency="TZS",
            phone=phone,
            description=number,
            is_shown=is_shown,
            details={"utilityref": number},
        )

    def _ask(self, action: str, question: Mapping[str, Any]) -> bool:
        """Ask the merchant; any answer but a clear yes, silence too, is a no."""
        token = {"Authorization": f"Bearer {self.secrets['c2b_token']}"}
        try:
            _, body = post(self._merchant(action), json.dumps(question).encode(), token)
            answer = json.loads(body)
        except (OSError, ValueError):
            return False
        expected = (question["reference"], "000")
        is_object = isinstance(answer, dict)
        return is_object and (answer.get("reference"), answer.get("resultcode")) == expected

    def _merchant(self, action: str) -> str:
        base = self.store.recall(self.name, "callback_url") or ""
        return f"{base.rstrip('/')}/{action}"

    # What the dial says.

    def lie(self, answer: Answer) -> Answer:
        data = answer.body["data"]
        if data and "payment_status" in data[0]:
            row = {**data[0], "payment_status": "FAILED"}
            return Answer(body={**answer.body, "data": [row]})
        return Answer(body=envelope("010", "Transaction failed"))

    def not_found(self) -> Answer:
        return refusal("404", "Order not found").answer

    def internal_error(self) -> Any:
        return envelope("500", "Internal error")

    # Ends and what is told of them.

    def pay(self, movement: Movement) -> Movement | None:
        transid = movement.details.get("transid") or f"MP{new_number()}"
        paid = {"transid": transid, "channel": _OPERATOR}
        return self._end(movement, "PAID", details=paid)

    def tell(self, movement: Movement) -> Sequence[Draft]:
        if movement.status != "PAID":
            return ()
        if "utilityref" in movement.details:
            body = json.dumps(_question(movement))
            return (Draft(url=self._merchant("notification"), body=body),)
        if not movement.callback_url:
            return ()
        body = json.dumps(
            {
                "result": "SUCCESS",
                "resultcode": "000",
                "order_id": movement.reference,
                "transid": movement.details["transid"],
                "reference": movement.company_ref,
                "channel": movement.details["channel"],
                "amount": str(movement.amount_minor // 100),
                "phone": movement.phone,
                "payment_status": "COMPLETED",
            }
        )
        return (Draft(url=movement.callback_url, body=body),)

    def callback_headers(self, callback: Callback) -> dict[str, str]:
        values = json.loads(callback.body)
        if "utilityref" in values:
            return {"Authorization": f"Bearer {self.secrets['c2b_token']}"}
        fields = [(name, values[name]) for name in _SIGNED]
        return signed_headers(self.secrets["api_key"], self.secrets["api_secret"], fields=fields)


def _wire(order: Movement) -> dict[str, Any]:
    status = _ORDER_STATUSES.get(order.status)
    if status is None:
        status = "REJECTED" if order.details["transids"] else "USERCANCELED"
    made = datetime.fromtimestamp(order.created_at, EAST_AFRICA)
    return {
        "order_id": order.reference,
        "creation_date": f"{made:%Y-%m-%d %H:%M:%S}",
        "amount": str(order.amount_minor // 100),
        "payment_status": status,
    }


def _question(bill: Movement) -> dict[str, Any]:
    return {
        "operator": _OPERATOR,
        "transid": bill.details["transid"],
        "reference": bill.company_ref,
        "utilityref": bill.details["utilityref"],
        "amount": bill.amount_minor // 100,
        "msisdn": bill.phone,
    }
