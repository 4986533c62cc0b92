"""How ClickPesa collects: pushes, cards, pages and control numbers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ntc_payments.simulator.companies.clickpesa import shapes
from ntc_payments.simulator.companies.clickpesa.account import Account, listed
from ntc_payments.simulator.exchange import Answer
from ntc_payments.simulator.store import Movement

__all__ = ["Collecting"]

_DAY_SECONDS = 24 * 3600.0
#: A control number has no end of its own.
_FOREVER_SECONDS = 3650 * _DAY_SECONDS
_PUSH_FEE = 150


class Collecting(Account):
    """Every way in which a payer pays."""

    def preview_push(self, values: Mapping[str, Any]) -> Answer:
        """Tell the networks; the reference is not used up."""
        _read_push(values)
        methods = [
            {"name": name, "status": "AVAILABLE", "fee": _PUSH_FEE}
            for name in ("TIGO-PESA", "M-PESA", "AIRTEL-MONEY", "HALOPESA")
        ]
        if "phoneNumber" in values:
            shapes.network_of(values["phoneNumber"])
        return Answer(body={"activeMethods": methods})

    def start_push(self, values: Mapping[str, Any]) -> Answer:
        """Put a prompt on a phone."""
        reference, amount_minor = _read_push(values)
        channel = shapes.network_of(values.get("phoneNumber"))
        movement = self._add(
            shapes.new_movement(reference, amount_minor, "TZS", way="push", channel=channel),
            phone=str(values["phoneNumber"]),
        )
        row = shapes.payment_row(movement, client_id=self.secrets["client_id"], as_text=True)
        del row["paymentReference"], row["paymentPhoneNumber"], row["message"]
        del row["updatedAt"], row["customer"]
        return Answer(body=row)

    def preview_card(self, values: Mapping[str, Any]) -> Answer:
        """Tell the cards that are taken."""
        _read_card(values)
        return Answer(body={"activeMethods": [{"name": "VISA", "status": "AVAILABLE", "fee": 0}]})

    def start_card(self, values: Mapping[str, Any]) -> Answer:
        """Make the page of a card payment."""
        reference, amount_minor = _read_card(values)
        customer = values.get("customer")
        if not isinstance(customer, dict):
            raise shapes.refusal(400, ["customer must be an object"])
        if "id" not in customer:
            for name in ("fullName", "email", "phoneNumber"):
                shapes.read_text(customer, name)
        movement = self._add(
            shapes.new_movement(reference, amount_minor, "USD", way="card", channel="CARD"),
            expires_at=time.time() + _DAY_SECONDS,
        )
        return self._page("cardPaymentLink", movement)

    def start_page(self, values: Mapping[str, Any]) -> Answer:
        """Make a checkout link; it can be paid more than once."""
        reference = shapes.read_reference(values)
        currency = shapes.read_choice(values, "orderCurrency", "TZS", "USD")
        if "totalPrice" not in values and "orderItems" not in values:
            raise shapes.refusal(400, "Total Price is required")
        places = 0 if currency == "TZS" else 2
        amount_minor = (
            shapes.read_text_amount(values, "totalPrice", places=places)
            if "totalPrice" in values
            else _sum_items(values["orderItems"])
        )
        callback_url = ""
        if "callbackUrl" in values:
            callback_url = shapes.read_text(values, "callbackUrl", pattern=r"https?://.+")
        movement = self._add(
            shapes.new_movement(reference, amount_minor, currency, way="page", channel="CARD"),
            expires_at=time.time() + _DAY_SECONDS,
            callback_url=callback_url,
            description=str(values.get("description", "")),
        )
        return self._page("checkoutLink", movement)

    def query_payment(self, query: Mapping[str, str], *, reference: str) -> Answer:
        """Every payment under a reference."""
        del query
        first = self.store.find(company=self.name, kind="collection", reference=reference)
        found = [first, *self._repeats(first)] if first else []
        rows = [self._payment(movement) for movement in found if shapes.visible(movement)]
        if not rows:
            raise shapes.refusal(404, f"Invalid or missing payment: {reference}")
        return Answer(body=rows)

    def list_payments(self, query: Mapping[str, str]) -> Answer:
        """Payments by filter."""
        movements = self.store.list_movements(company=self.name, kind="collection", limit=1_000_000)
        return listed(map(self._payment, filter(shapes.visible, movements)), query)

    # Control numbers.

    def customer_number(self, values: Mapping[str, Any]) -> Answer:
        """Make a number that one customer pays on again and again."""
        shapes.read_text(values, "customerName")
        if not values.get("customerEmail") and not values.get("customerPhone"):
            raise shapes.refusal(400, ["customerEmail or customerPhone is required"])
        return self.order_number(values, is_for_order=False)

    def order_number(self, values: Mapping[str, Any], *, is_for_order: bool = True) -> Answer:
        """Make a number for one payment."""
        bill = _read_bill({"billPaymentMode": "ALLOW_PARTIAL_AND_OVER_PAYMENT", **values})
        number = f"55{secrets.randbelow(10**12):012d}"
        if "billReference" in values:
            number = shapes.read_reference(values, "billReference")
        movement = replace(
            shapes.new_movement(
                number, bill.pop("billAmountMinor", 0), "TZS", way="bill", channel="BILLPAY"
            ),
            is_shown=False,
            prompts=0,
        )
        movement = self._add(
            movement,
            expires_at=time.time() + _FOREVER_SECONDS,
            details={
                **movement.details,
                **bill,
                "is_for_order": is_for_order,
                "billStatus": "ACTIVE",
                "billCustomerName": values.get("customerName", ""),
            },
        )
        return Answer(body=_bill(movement))

    def query_number(self, query: Mapping[str, str], *, number: str) -> Answer:
        """Tell what a number is for."""
        del query
        return Answer(body=_bill(self._number(number)))

    def change_number(self, values: Mapping[str, Any], *, number: str) -> Answer:
        """Close a number, or change what is to be paid on it."""
        movement = self._number(number)
        bill = _read_bill(values)
        if "billStatus" in values:
            bill["billStatus"] = shapes.read_choice(values, "billStatus", "ACTIVE", "INACTIVE")
        amount_minor = bill.pop("billAmountMinor", movement.amount_minor)
        changed = self.store.change(movement.uid, details=bill, amount_minor=amount_minor)
        if changed is None:
            raise shapes.refusal(400, "The control number is closed")
        return Answer(body=_bill(changed))

    def pay_bill(self, number: str, amount_minor: int) -> Movement | None:
        movement = self.store.find(company=self.name, kind="collection", reference=number)
        if movement is None or movement.details["way"] != "bill" or not movement.is_waiting:
            return None
        details = movement.details
        is_wrong = amount_minor != movement.amount_minor
        if details["billStatus"] != "ACTIVE" or (
            details["billPaymentMode"] == "EXACT" and is_wrong
        ):
            return None
        if details["is_for_order"]:
            return self._end(movement, "PAID", amount_minor=amount_minor)
        return self._pay_again(movement, amount_minor)

    # Both.

    def pay(self, movement: Movement) -> Movement | None:
        if movement.status == "PAID" and movement.details["way"] == "page":
            return self._pay_again(movement, movement.amount_minor)
        return super().pay(movement)

    def _pay_again(self, movement: Movement, amount_minor: int) -> Movement | None:
        """Add one more payment under the reference of the first."""
        times = int(movement.details.get("times", 0)) + 1
        self.store.change(movement.uid, allowed=(movement.status,), details={"times": times})
        again = shapes.new_movement(
            f"{movement.reference}/{times}",
            amount_minor,
            movement.currency,
            way=movement.details["way"],
            channel=movement.details["channel"],
        )
        details = {**again.details, "order_reference": movement.reference}
        again = replace(again, details=details, is_shown=False, prompts=0)
        return self._end(self._add(again, callback_url=movement.callback_url), "PAID")

    def _repeats(self, first: Movement) -> list[Movement]:
        numbers = range(1, int(first.details.get("times", 0)) + 1)
        found = (
            self.store.find(company=self.name, reference=f"{first.reference}/{number}")
            for number in numbers
        )
        return [movement for movement in found if movement]

    def _number(self, number: str) -> Movement:
        movement = self.store.find(company=self.name, kind="collection", reference=number)
        if movement is None or movement.details["way"] != "bill":
            raise shapes.refusal(404, f"Invalid or missing control number: {number}")
        return movement

    def _page(self, name: str, movement: Movement) -> Answer:
        link = f"{self.site}/checkout/{movement.uid}"
        return Answer(body={name: link, "clientId": self.secrets["client_id"]})

    def _payment(self, movement: Movement) -> dict[str, Any]:
        return shapes.payment_row(movement, client_id=self.secrets["client_id"], as_text=False)


def _read_push(values: Mapping[str, Any]) -> tuple[str, int]:
    amount_minor = shapes.read_text_amount(values, "amount", places=0)
    shapes.read_choice(values, "currency", "TZS")
    return shapes.read_reference(values), amount_minor


def _read_card(values: Mapping[str, Any]) -> tuple[str, int]:
    amount_minor = shapes.read_text_amount(values, "amount", places=2)
    shapes.read_choice(values, "currency", "USD")
    return shapes.read_reference(values), amount_minor


def _sum_items(items: Any) -> int:
    if not isinstance(items, list) or not items or not all(isinstance(one, dict) for one in items):
        raise shapes.refusal(400, ["orderItems must be a list of objects"])
    return sum(
        shapes.read_number(item, "price") * shapes.read_number(item, "quantity") // 100
        for item in items
    )


def _read_bill(values: Mapping[str, Any]) -> dict[str, Any]:
    bill: dict[str, Any] = {}
    if "billAmount" in values:
        bill["billAmountMinor"] = shapes.read_number(values, "billAmount")
    if "billPaymentMode" in values:
        modes = ("ALLOW_PARTIAL_AND_OVER_PAYMENT", "EXACT")
        bill["billPaymentMode"] = shapes.read_choice(values, "billPaymentMode", *modes)
    if "billDescription" in values:
        bill["billDescription"] = shapes.read_text(values, "billDescription", pattern=r".{0,500}")
    return bill


def _bill(movement: Movement) -> dict[str, Any]:
    details = movement.details
    return {
        "billPayNumber": movement.reference,
        "billDescription": details.get("billDescription", ""),
        "billCustomerName": details["billCustomerName"],
        "billAmount": shapes.major(movement.amount_minor),
        "billPaymentMode": details["billPaymentMode"],
        "billStatus": details["billStatus"],
    }
