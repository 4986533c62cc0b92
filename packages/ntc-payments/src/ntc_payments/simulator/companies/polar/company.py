"""Polar as the simulator plays it: see docs/providers/simulator.md."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar

from ntc_payments.simulator.companies.polar import shapes
from ntc_payments.simulator.companies.polar.people import API_VERSION, People
from ntc_payments.simulator.exchange import Answer, Refused, Request, Route, read_object
from ntc_payments.simulator.store import Callback, Draft, DuplicateReference, Movement

__all__ = ["Polar"]

_VERSIONS = ("2026-04", API_VERSION, "2027-01")
_DAY_SECONDS = 24 * 3600.0
_FEE_PERCENT = 4
_DISPUTE_STATUSES = frozenset(
    {"early_warning", "needs_response", "under_review", "won", "lost", "prevented"}
)
_REASONS = "duplicate|fraudulent|customer_request|service_disruption|satisfaction_guarantee|other"

Handler = Callable[..., Answer]


class Polar(People):
    """Checkout sessions, their orders, and refunds."""

    name: ClassVar[str] = "polar"
    prefix: ClassVar[str] = "/polar"
    keys: ClassVar[Mapping[str, str]] = {
        "POLAR_ACCESS_TOKEN": "access_token",
        "POLAR_WEBHOOK_SECRETS": "webhook_secrets",
        "POLAR_PRODUCT_ID": "product_id",
    }

    @classmethod
    def invent(cls, option: str) -> str:
        if option == "webhook_secrets":
            return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        if option == "product_id":
            return str(uuid.uuid4())
        return f"polar_oat_{secrets.token_urlsafe(32)}"

    def routes(self) -> Sequence[Route]:
        reads: tuple[tuple[str, str, Handler], ...] = (
            ("/v1/checkouts/", "query", self.list_checkouts),
            ("/v1/checkouts/(?P<uid>[^/]+)", "query", self.read_checkout),
            ("/v1/orders/", "query", self.list_orders),
            ("/v1/orders/(?P<uid>[^/]+)", "query", self.read_order),
            ("/v1/payments/", "query", self.list_payments),
            ("/v1/refunds/", "query", self.list_refunds),
            ("/v1/disputes/", "query", self.list_disputes),
            ("/v1/subscriptions/(?P<uid>[^/]+)", "query", self.read_subscription),
            ("/v1/customers/", "query", self.list_customers),
            ("/v1/customers/external/(?P<uid>[^/]+)", "query", self.read_external),
            ("/v1/customers/(?P<uid>[^/]+)", "query", self.read_customer),
        )
        writes: tuple[tuple[str, str, str, Handler], ...] = (
            ("POST", "/v1/checkouts/", "start", self.create_checkout),
            ("POST", "/v1/refunds/", "refund", self.create_refund),
            ("POST", "/v1/customers/", "other", self.create_customer),
            ("POST", "/v1/customer-sessions/", "other", self.open_session),
            ("POST", "/v1/subscriptions/", "other", self.create_subscription),
            ("PATCH", "/v1/subscriptions/(?P<uid>[^/]+)", "cancel", self.change_subscription),
        )
        collection = r"(?P<path>/v1/(checkouts|orders|payments|refunds|subscriptions|customers))"
        return (
            *(Route("GET", path, act, self._open(handler)) for path, act, handler in reads),
            *(Route(how, path, act, self._open(handler)) for how, path, act, handler in writes),
            *(Route(how, collection, "other", self.redirect) for how in ("GET", "POST")),
        )

    # The door.

    def _open(self, handler: Handler) -> Handler:
        """Look at version and token; the handler gets the body, or the query of a GET."""

        def handle(request: Request, **groups: str) -> Answer:
            version = request.headers.get("polar-version", API_VERSION)
            if version not in _VERSIONS:
                raise Refused(HTTPStatus.NOT_FOUND, {"detail": "Not Found"})
            headers = {"Polar-Version": version, "X-Polar-Sandbox": "1"}
            try:
                self._require_token(request)
                values = request.query if request.method == "GET" else _read_body(request)
                answer = handler(values, **groups)
            except Refused as refused:
                refused.answer = replace(
                    refused.answer, headers={**headers, **refused.answer.headers}
                )
                raise
            return replace(answer, headers=headers)

        return handle

    def _require_token(self, request: Request) -> None:
        given = request.headers.get("authorization")
        if not given:
            raise shapes.refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")
        expected = f"Bearer {self.secrets['access_token']}"
        is_right = hmac.compare_digest(given.encode(), expected.encode())
        if not is_right or request.fault == "expired_token":
            text = "The access token provided is expired, revoked, malformed, or invalid."
            refused = Refused(
                HTTPStatus.UNAUTHORIZED, {"error": "invalid_token", "error_description": text}
            )
            refused.answer = replace(refused.answer, headers={"WWW-Authenticate": "Bearer"})
            raise refused

    def redirect(self, request: Request, *, path: str) -> Answer:
        """A collection has a slash at its end."""
        del request
        location = f"{self.site}{self.prefix}{path}/"
        return Answer(status=HTTPStatus.TEMPORARY_REDIRECT, body="", headers={"Location": location})

    # Checkout sessions.

    def create_checkout(self, values: Mapping[str, Any]) -> Answer:
        """Make a page. There is no idempotency: the same call makes another one."""
        movement = self._read_checkout(values)
        try:
            movement = self.store.add(movement)
        except DuplicateReference as error:
            movement = self.store.add(replace(movement, reference=f"{error}/{movement.uid}"))
        return Answer(status=HTTPStatus.CREATED, body=shapes.checkout_row(movement, site=self.site))

    def _read_checkout(self, values: Mapping[str, Any]) -> Movement:
        if "organization_id" in values:
            raise shapes.invalid("organization_id", "Not with a token of an organization")
        products = values.get("products")
        if not isinstance(products, list) or not products:
            raise shapes.invalid("products", "List should have at least 1 item", products)
        ids = [shapes.read_uuid("products", product) for product in products]
        if ids != [self.secrets["product_id"]] * len(ids):
            raise shapes.invalid("products", "Product does not exist.", products)
        price, currency, is_inclusive = shapes.read_price(values, ids[0])
        net, tax = shapes.split_tax(price, is_inclusive=is_inclusive)
        uid = str(uuid.uuid4())
        success_url = shapes.read_url(values, "success_url")
        metadata = shapes.read_metadata(values)
        return Movement(
            uid=uid,
            company=self.name,
            kind="collection",
            reference=str(metadata.get("reference", uid)),
            company_ref=str(uuid.uuid4()),
            amount_minor=net + tax,
            currency=currency.upper(),
            expires_at=time.time() + _DAY_SECONDS,
            details={
                "price": price,
                "net": net,
                "tax": tax,
                "is_inclusive": is_inclusive,
                "product_id": ids[0],
                "metadata": metadata,
                "return_url": success_url and success_url.replace("{CHECKOUT_ID}", uid),
                "cancel_url": shapes.read_url(values, "return_url"),
                "allow_discount_codes": values.get("allow_discount_codes", True),
                "customer": self.customer_of(values),
                "payments": [],
            },
        )

    def read_checkout(self, query: Mapping[str, str], *, uid: str) -> Answer:
        """Return a session."""
        del query
        movement = self.store.find(company=self.name, kind="collection", uid=uid)
        if movement is None:
            raise shapes.unknown()
        return Answer(body=shapes.checkout_row(movement, site=self.site))

    def list_checkouts(self, query: Mapping[str, str]) -> Answer:
        """Sessions, by filter."""
        rows = (shapes.checkout_row(each, site=self.site) for each in self._movements("collection"))
        return shapes.listed(_filtered(rows, query), query)

    def list_payments(self, query: Mapping[str, str]) -> Answer:
        """Every try to pay on a page."""
        rows = (
            {**payment, "checkout_id": movement.uid}
            for movement in self._movements("collection")
            for payment in reversed(movement.details["payments"])
        )
        return shapes.listed(_filtered(rows, query), query)

    # Orders and refunds.

    def read_order(self, query: Mapping[str, str], *, uid: str) -> Answer:
        """Return an order."""
        del query
        return Answer(body=self._order(self._paid(uid) or _raise(shapes.unknown())))

    def list_orders(self, query: Mapping[str, str]) -> Answer:
        """Orders, by filter."""
        paid = self._movements("collection", status="PAID")
        return shapes.listed(_filtered(map(self._order, paid), query), query)

    def create_refund(self, values: Mapping[str, Any]) -> Answer:
        """Give money back at once. The same call gives back again while something is left."""
        uid = shapes.read_uuid("order_id", values.get("order_id"))
        shapes.read_text({"reason": "", **values}, "reason", pattern=_REASONS)
        amount = values.get("amount")
        if type(amount) is not int or amount <= 0:
            raise shapes.invalid("amount", "Input should be greater than 0", amount)
        with self.lock:
            paid = self._paid(uid) or _raise(shapes.invalid("order_id", "Order not found", uid))
            order = self._order(paid)
            if not order["refundable_amount"]:
                raise shapes.refusal(403, "RefundedAlready", "Order is already fully refunded.")
            if amount > order["refundable_amount"]:
                raise shapes.invalid("amount", "More than the refundable amount", amount)
            tax = order["refundable_tax_amount"]
            if amount < order["refundable_amount"]:
                share = shapes.tax_share(amount, net=order["net_amount"], tax=order["tax_amount"])
                tax = min(tax, share)
            refund = self.store.add(_refund(values, paid, net=amount, tax=tax))
            done = self.store.change(refund.uid, status="PAID", tell=self.tell) or refund
        return Answer(status=HTTPStatus.CREATED, body=shapes.refund_row(done))

    def list_refunds(self, query: Mapping[str, str]) -> Answer:
        """Refunds, by filter."""
        rows = map(shapes.refund_row, self._movements("refund"))
        return shapes.listed(_filtered(rows, query), query)

    def list_disputes(self, query: Mapping[str, str]) -> Answer:
        """Disputes, by filter."""
        rows = reversed(self._kept("disputes").values())
        found = [
            row
            for row in rows
            if all(row[name] == query[name] for name in ("order_id", "status") if name in query)
        ]
        return shapes.listed(found, query)

    def _order(self, movement: Movement) -> dict[str, Any]:
        return shapes.order_row(
            movement,
            [
                refund
                for refund in self._movements("refund")
                if refund.details["order_id"] == movement.company_ref
            ],
        )

    def _paid(self, order_id: str) -> Movement | None:
        which = {"company_ref": order_id, "status": "PAID"}
        return self.store.find(company=self.name, kind="collection", **which)

    def _movements(self, kind: str, **which: str) -> list[Movement]:
        return self.store.list_movements(company=self.name, kind=kind, limit=1_000_000, **which)

    # What the payer does, and what is told.

    def pay(self, movement: Movement) -> Movement | None:
        fee_minor = movement.amount_minor * _FEE_PERCENT // 100
        payments = [*movement.details["payments"], _payment("succeeded")]
        return self._end(movement, "PAID", fee_minor=fee_minor, details={"payments": payments})

    def decline(self, movement: Movement) -> Movement | None:
        """The card is refused: the session is open again."""
        payments = [*movement.details["payments"], _payment("failed")]
        details = {"payments": payments}
        return self.store.change(movement.uid, status="PENDING", details=details, tell=self.tell)

    def renew(self, movement: Movement) -> Movement | None:
        """Charge the next month, with the metadata of the first one."""
        with self.lock:
            if movement.status != "PAID" or "billing_reason" in movement.details:
                return None
            uid = str(uuid.uuid4())
            period = replace(
                movement,
                uid=uid,
                reference=uid,
                company_ref=str(uuid.uuid4()),
                status="PENDING",
                fee_minor=0,
                is_shown=False,
                prompts=0,
                created_at=time.time(),
                expires_at=0.0,
                updated_at=0.0,
                details={
                    **movement.details,
                    "billing_reason": "subscription_cycle",
                    "payments": [],
                },
            )
            return self.pay(self.store.add(period))

    def dispute(self, movement: Movement, status: str) -> bool:
        if movement.status != "PAID" or status not in _DISPUTE_STATUSES:
            return False
        with self.lock:
            rows = self._kept("disputes").values()
            known = [row["id"] for row in rows if row["order_id"] == movement.company_ref]
            uid = known[0] if known else str(uuid.uuid4())
            self._keep("disputes", shapes.dispute_row(movement, status, uid=uid))
        return True

    def tell(self, movement: Movement) -> Sequence[Draft]:
        if movement.kind == "refund":
            order = self._order(
                self._paid(movement.details["order_id"]) or _raise(shapes.unknown())
            )
            refund = shapes.refund_row(movement)
            events = [("refund.created", refund), ("order.updated", order)]
            events.append(("order.refunded", order))
        else:
            session = shapes.checkout_row(movement, site=self.site)
            name = "expired" if movement.status == "EXPIRED" else "updated"
            events = [(f"checkout.{name}", session)]
            if movement.status == "PAID":
                order = self._order(movement)
                is_renewal = "billing_reason" in movement.details
                events = [] if is_renewal else events
                events = [("order.created", order), ("order.paid", order), *events]
        return [draft for event, data in events for draft in self.draft(event, data)]

    def callback_headers(self, callback: Callback) -> dict[str, str]:
        timestamp = str(int(time.time()))
        secret = self.secrets["webhook_secrets"].split(",")[0].strip()
        signature = shapes.sign(
            secret, event_id=callback.event_id, timestamp=timestamp, body=callback.body.encode()
        )
        return {
            "webhook-id": callback.event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature,
            "webhook-api-version": API_VERSION,
            "User-Agent": "polar.sh webhooks",
        }

    def internal_error(self) -> Any:
        return {"error": "InternalServerError", "detail": "Something broke."}

    def lie(self, answer: Answer) -> Answer:
        rows = answer.body.get("items", [answer.body])
        for row in rows:
            row["status"] = "void" if "paid" in row else "failed"
        return answer

    def not_found(self) -> Answer:
        return replace(shapes.unknown().answer, headers={"Polar-Version": API_VERSION})


def _read_body(request: Request) -> dict[str, Any]:
    return read_object(request, refuse=lambda sentence: shapes.invalid("body", sentence))


def _raise(refused: Refused) -> Any:
    raise refused


def _payment(status: str) -> dict[str, Any]:
    reason = "card_declined" if status == "failed" else None
    return {
        "id": str(uuid.uuid4()),
        "created_at": shapes.iso(time.time()),
        "status": status,
        "decline_reason": reason,
        "decline_message": reason and "Your card was declined.",
    }


def _refund(values: Mapping[str, Any], paid: Movement, *, net: int, tax: int) -> Movement:
    uid = str(uuid.uuid4())
    return Movement(
        company=Polar.name,
        kind="refund",
        reference=uid,
        company_ref=uid,
        amount_minor=net + tax,
        currency=paid.currency,
        is_shown=False,
        prompts=0,
        details={
            "net": net,
            "tax": tax,
            "reason": values["reason"],
            "order_id": paid.company_ref,
            "customer_id": paid.details["customer"]["id"],
            "revoke_benefits": bool(values.get("revoke_benefits", False)),
            "metadata": shapes.read_metadata(values),
        },
    )


def _filtered(rows: Any, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows that fit every filter; an unknown one is ignored."""
    names = ("id", "status", "order_id", "checkout_id", "product_id", "customer_id")
    found = []
    for row in rows:
        wanted = [(row.get(name), query[name]) for name in names if name in query]
        wanted += [
            (str(row["metadata"].get(name[len("metadata[") : -1])), value)
            for name, value in query.items()
            if name.startswith("metadata[")
        ]
        since, before = query.get("created_after", ""), query.get("created_before", "9")
        is_between = since <= row["created_at"] < before
        if is_between and all(given == value for given, value in wanted):
            found.append(row)
    return found
