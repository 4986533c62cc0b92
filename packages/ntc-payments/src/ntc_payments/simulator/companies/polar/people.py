"""Polar's customers, their portal and their subscriptions."""

from __future__ import annotations

import json
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ntc_payments.simulator.companies.base import Company
from ntc_payments.simulator.companies.polar import shapes
from ntc_payments.simulator.exchange import Answer
from ntc_payments.simulator.store import Draft, Store

__all__ = ["API_VERSION", "People"]

API_VERSION = "2026-10"
_MONTH_SECONDS = 30 * 24 * 3600
_REASONS = (
    "customer_service|low_quality|missing_features|switched_service|too_complex|"
    "too_expensive|unused|other"
)


class People(Company):
    """Who buys."""

    def __init__(self, *, store: Store, secrets: Mapping[str, str]) -> None:
        super().__init__(store=store, secrets=secrets)
        #: Held while something is read, judged and written.
        self.lock = threading.RLock()

    def draft(self, event: str, data: Mapping[str, Any]) -> list[Draft]:
        """Return a webhook, or none where no endpoint is set."""
        url = self.store.recall(self.name, "callback_url")
        body = {
            "type": event,
            "timestamp": shapes.iso(time.time()),
            "api_version": API_VERSION,
            "data": data,
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return [Draft(url=url, body=text)] if url else []

    # Customers.

    def create_customer(self, values: Mapping[str, Any]) -> Answer:
        """Add a customer: email and external id are of one only."""
        if not values.get("email"):
            raise shapes.invalid("email", "Field required")
        with self.lock:
            for name in ("email", "external_id"):
                if values.get(name) and self._find(**{name: values[name]}):
                    raise shapes.invalid(name, "A customer with this value exists", values[name])
            return Answer(status=201, body=self._add_customer(values))

    def read_customer(self, query: Mapping[str, str], *, uid: str) -> Answer:
        """Return a customer by Polar's id."""
        del query
        return Answer(body=self._require(id=uid))

    def read_external(self, query: Mapping[str, str], *, uid: str) -> Answer:
        """Return a customer by the merchant's id."""
        del query
        return Answer(body=self._require(external_id=unquote(uid)))

    def list_customers(self, query: Mapping[str, str]) -> Answer:
        """Customers, by email."""
        found = [
            row
            for row in self._kept("customers").values()
            if row["email"] == query.get("email", row["email"])
        ]
        return shapes.listed(reversed(found), query)

    def open_session(self, values: Mapping[str, Any]) -> Answer:
        """Make a way into the portal, for an hour."""
        if values.get("customer_id"):
            customer = self._find(id=values["customer_id"])
        else:
            customer = self._find(external_id=values.get("external_customer_id"))
        if customer is None:
            raise shapes.invalid("customer_id", "Customer does not exist.")
        shapes.read_url(values, "return_url")
        token = f"polar_cst_{secrets.token_urlsafe(24)}"
        return Answer(
            status=201,
            body={
                "id": str(uuid.uuid4()),
                "token": token,
                "expires_at": shapes.iso(time.time() + 3600),
                "customer_portal_url": f"{self.site}/portal?customer_session_token={token}",
                "customer_id": customer["id"],
                "customer": customer,
            },
        )

    def customer_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the customer of a new session or subscription, made where there is none."""
        email = shapes.read_text(values, "customer_email", pattern=r"[^@\s]+@[^@\s]+\.[^@\s]+")
        external_id = shapes.read_text(values, "external_customer_id")
        name = shapes.read_text(values, "customer_name", pattern=r".{1,256}")
        with self.lock:
            if values.get("customer_id"):
                known = self._find(id=values["customer_id"])
                if known is None:
                    raise shapes.invalid("customer_id", "Customer does not exist.")
                return known
            known = self._find(external_id=external_id) if external_id else None
            by_email = self._find(email=email) if email else None
            if known is None and by_email is not None:
                if external_id and by_email["external_id"] not in {None, external_id}:
                    raise shapes.invalid("customer_email", "Belongs to another customer", email)
                known = by_email
            wanted = {"email": email, "external_id": external_id, "name": name}
            return known or self._add_customer(wanted)

    def _add_customer(self, values: Mapping[str, Any]) -> dict[str, Any]:
        customer: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "created_at": shapes.iso(time.time()),
            "email": values.get("email"),
            "external_id": values.get("external_id"),
            "name": values.get("name"),
            "metadata": {},
        }
        self._keep("customers", customer)
        return customer

    def _find(self, **which: Any) -> dict[str, Any] | None:
        [(name, value)] = which.items()
        rows = self._kept("customers").values()
        return next((row for row in rows if value is not None and row[name] == value), None)

    def _require(self, **which: Any) -> dict[str, Any]:
        customer = self._find(**which)
        if customer is None:
            raise shapes.unknown()
        return customer

    # Subscriptions.

    def create_subscription(self, values: Mapping[str, Any]) -> Answer:
        """Begin a free subscription; others begin on a page, which is not played."""
        product_id = shapes.read_uuid("product_id", values.get("product_id"))
        customer = self.customer_of(values)
        now = time.time()
        row = {
            "id": str(uuid.uuid4()),
            "created_at": shapes.iso(now),
            "modified_at": None,
            "status": "active",
            "amount": 0,
            "currency": "usd",
            "recurring_interval": "month",
            "current_period_start": shapes.iso(now),
            "current_period_end": shapes.iso(now + _MONTH_SECONDS),
            "cancel_at_period_end": False,
            "canceled_at": None,
            "ends_at": None,
            "ended_at": None,
            "customer_id": customer["id"],
            "customer": customer,
            "product_id": product_id,
            "customer_cancellation_reason": None,
            "customer_cancellation_comment": None,
            "metadata": shapes.read_metadata(values),
        }
        self._keep("subscriptions", row)
        self._announce(row, "created", "active")
        return Answer(status=201, body=row)

    def read_subscription(self, query: Mapping[str, str], *, uid: str) -> Answer:
        """Return a subscription."""
        del query
        return Answer(body=self._subscription(uid))

    def change_subscription(self, values: Mapping[str, Any], *, uid: str) -> Answer:
        """Cancel, undo that, or end at once: exactly one of them."""
        chosen = [name for name in ("cancel_at_period_end", "revoke") if name in values]
        if len(chosen) != 1 or not isinstance(values[chosen[0]], bool):
            raise shapes.invalid("body", "Exactly one change, true or false", dict(values))
        reason = shapes.read_text(values, "customer_cancellation_reason", pattern=_REASONS)
        with self.lock:
            row = self._subscription(uid)
            if row["status"] == "canceled":
                raise shapes.refusal(403, "AlreadyCanceledSubscription", "It has ended.")
            if values.get("revoke"):
                return self._revoke(row)
            is_canceled = values.get("cancel_at_period_end") is True
            if is_canceled and row["cancel_at_period_end"]:
                raise shapes.refusal(403, "AlreadyCanceledSubscription", "It is canceled.")
            row |= {
                "cancel_at_period_end": is_canceled,
                "canceled_at": shapes.iso(time.time()) if is_canceled else None,
                "ends_at": row["current_period_end"] if is_canceled else None,
                "customer_cancellation_reason": reason,
                "customer_cancellation_comment": values.get("customer_cancellation_comment"),
            }
            self._keep("subscriptions", row)
            self._announce(row, "updated", "canceled" if is_canceled else "uncanceled")
        return Answer(body=row)

    def _revoke(self, row: dict[str, Any]) -> Answer:
        now = shapes.iso(time.time())
        row |= {"status": "canceled", "canceled_at": now, "ends_at": now, "ended_at": now}
        self._keep("subscriptions", row)
        self._announce(row, "updated", "canceled", "revoked")
        return Answer(body=row)

    def _announce(self, row: Mapping[str, Any], *events: str) -> None:
        for event in events:
            for draft in self.draft(f"subscription.{event}", row):
                self.store.queue(self.name, draft)

    def _subscription(self, uid: str) -> dict[str, Any]:
        row = self._kept("subscriptions").get(uid)
        if row is None:
            raise shapes.unknown()
        return row

    def _kept(self, name: str) -> dict[str, dict[str, Any]]:
        return self.store.recall(self.name, name) or {}

    def _keep(self, name: str, row: Mapping[str, Any]) -> None:
        with self.lock:
            self.store.keep(self.name, name, {**self._kept(name), row["id"]: row})
