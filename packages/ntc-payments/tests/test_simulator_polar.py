"""The simulator's Polar, asked over its socket as its sheet says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ntc_payments.simulator.companies.polar import shapes

from tests.conftest import listening_simulator
from tests.merchant import Merchant

VECTORS = json.loads((Path(__file__).parent / "vectors" / "polar.json").read_text())


class Client:
    """A merchant with a token."""

    def __init__(self, base_url: str, secrets: dict[str, str]) -> None:
        self.base_url, self.secrets = f"{base_url}/polar/v1/", secrets
        self.headers = {"Authorization": f"Bearer {secrets['access_token']}"}
        self.answered: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            self.base_url + path,
            method=method,
            data=data,
            headers={**self.headers, "Polar-Version": "2026-10", **headers},
        )
        opener = urllib.request.build_opener(Stay)
        try:
            with opener.open(request, timeout=10) as response:
                self.answered = dict(response.headers)
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                self.answered = dict(error.headers)
                return error.code, json.loads(error.read() or b"null")

    def get(self, path: str) -> tuple[int, Any]:
        return self.ask("GET", path)

    def checkout(self, **changes: Any) -> tuple[int, Any]:
        product = self.secrets["product_id"]
        price = {
            "amount_type": "fixed",
            "price_amount": 2_950_000,
            "price_currency": "tzs",
            "tax_behavior": "inclusive",
            **changes.pop("price", {}),
        }
        body = {
            "products": [product],
            "prices": {product: [price]},
            "currency": "tzs",
            "metadata": {"reference": "A1"},
            "success_url": "https://app.example.com/done?id={CHECKOUT_ID}",
            **changes,
        }
        return self.ask("POST", "checkouts/", body)


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


@pytest.fixture
def running():
    with listening_simulator() as simulator:
        yield simulator


@pytest.fixture
def client(running) -> Client:
    return Client(running.base_url, running.secrets["polar"])


@pytest.fixture
def shop(running):
    server = Merchant()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    running.options_of("polar", callback_url=server.url)
    yield server
    server.shutdown()
    server.server_close()


def events_of(shop: Merchant, count: int) -> list[tuple[str, Any]]:
    """Return type and data of what was delivered, by the time in it."""
    bodies = [json.loads(raw) for _, raw in shop.wait_for(count)]
    assert len(bodies) == count
    return [(one["type"], one["data"]) for one in sorted(bodies, key=lambda one: one["timestamp"])]


@pytest.mark.parametrize(
    "vector",
    [
        row
        for row in VECTORS["signatures"]
        if row["secret_kind"] == "standard"
        and row["expected"] == "valid"
        and " " not in row["headers"].get("webhook-signature", "")
        and "legacy" not in row["name"]
    ],
    ids=lambda vector: vector["name"],
)
def test_signature_agrees_with_the_vectors(vector):
    """Of the standard secrets, with padding and without."""
    headers = {name.lower(): value for name, value in vector["headers"].items()}

    signature = shapes.sign(
        vector["secret"],
        event_id=headers["webhook-id"],
        timestamp=headers["webhook-timestamp"],
        body=base64.b64decode(vector["body_base64"]),
    )

    assert signature == headers["webhook-signature"]


def test_token_and_version_are_looked_at(running, client):
    """Two shapes of 401; an unknown version is a 404; the answer repeats the version."""
    status, answer = client.ask("GET", "orders/", Authorization="Bearer polar_oat_other")
    assert (status, answer["error"]) == (401, "invalid_token")
    assert client.answered["WWW-Authenticate"] == "Bearer"
    status, answer = client.ask("GET", "orders/", Authorization="")
    assert (status, answer["error"]) == (401, "Unauthorized")
    assert client.ask("GET", "orders/", **{"Polar-Version": "2025-01"})[0] == 404
    assert client.get("orders/")[0] == 200
    assert client.answered["Polar-Version"] == "2026-10"
    assert client.answered["X-Polar-Sandbox"] == "1"
    assert client.get("orders")[0] == 307
    assert client.answered["Location"].endswith("/polar/v1/orders/")
    running.turn_dial(company="polar", query="expired_token", times=1)
    assert client.get("orders/")[1]["error"] == "invalid_token"


@pytest.mark.parametrize("kind", ["checkouts", "orders", "subscriptions", "customers"])
def test_unknown_object_is_named_so(client, kind):
    """Polar's own 404, which is not that of a removed version."""
    status, answer = client.get(f"{kind}/0a4a5bd4-9c1e-4f0e-8a51-7a1f0f6a9b02")

    assert (status, answer["error"]) == (404, "ResourceNotFound")


@pytest.mark.parametrize(
    "changes",
    [
        {"products": []},
        {"products": ["no-uuid"]},
        {"products": ["0a4a5bd4-9c1e-4f0e-8a51-7a1f0f6a9b02"]},
        {"organization_id": "0a4a5bd4-9c1e-4f0e-8a51-7a1f0f6a9b02"},
        {"currency": "TZS"},
        {"currency": "usd"},
        {"prices": []},
        {"prices": {}},
        {"price": {"price_amount": 199_999}},
        {"price": {"price_amount": 2_950_000.0}},
        {"price": {"amount_type": "free"}},
        {"price": {"tax_behavior": "sometimes"}},
        {"metadata": {"k" * 41: "v"}},
        {"metadata": {"k": ""}},
        {"metadata": {"k": None}},
        {"metadata": {str(number): 1 for number in range(51)}},
        {"success_url": "/done"},
        {"success_url": "https://x.test/" + "a" * 2083},
        {"customer_email": "nobody"},
        {"customer_id": "0a4a5bd4-9c1e-4f0e-8a51-7a1f0f6a9b02"},
    ],
)
def test_wrong_session_is_refused_and_not_made(client, changes):
    """422 with the place."""
    status, answer = client.checkout(**changes)

    assert (status, answer["error"]) == (422, "RequestValidationError")
    assert answer["detail"][0]["loc"]
    assert client.get("checkouts/")[1]["pagination"] == {"total_count": 0, "max_page": 0}


def test_page_is_paid_after_a_decline_and_tells_it_in_order(running, client, shop):
    """A decline opens the session again; the order comes before the session's success."""
    status, session = client.checkout(customer_email="asha@example.com")
    assert (status, session["status"], session["total_amount"]) == (201, "open", 2_950_000)
    assert session["net_amount"] + session["tax_amount"] == 2_950_000

    running.decline(reference="A1")
    assert client.get(f"checkouts/{session['id']}")[1]["status"] == "open"
    assert client.get(f"orders/?checkout_id={session['id']}")[1]["items"] == []
    assert events_of(shop, 1)[0][1]["status"] == "open"
    running.approve(reference="A1")

    names = [name for name, _ in events_of(shop, 4)]
    assert names == ["checkout.updated", "order.created", "order.paid", "checkout.updated"]
    [order] = client.get(f"orders/?checkout_id={session['id']}&metadata[reference]=A1")[1]["items"]
    assert (order["status"], order["total_amount"], order["currency"]) == ("paid", 2_950_000, "tzs")
    assert client.get(f"orders/{order['id']}")[1] == order
    assert client.get("orders/?metadata[reference]=A2")[1]["items"] == []
    assert client.get("orders/?created_after=2100-01-01T00:00:00Z")[1]["items"] == []
    tries = client.get(f"payments/?checkout_id={session['id']}")[1]["items"]
    assert [one["status"] for one in tries] == ["succeeded", "failed"]
    assert session["success_url"] == f"https://app.example.com/done?id={session['id']}"
    assert running.books()["polar"]["money"]["TZS"]["captured"] == 2_950_000


def test_every_webhook_is_signed(running, client, shop):
    """With the standard key, over id, time and bytes."""
    client.checkout()
    running.approve(reference="A1")

    for headers, raw in shop.wait_for(3):
        key = base64.b64decode(client.secrets["webhook_secrets"].removeprefix("whsec_"))
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
        digest = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{digest}"
        assert headers["webhook-api-version"] == "2026-10"
        assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
        assert json.loads(raw)["api_version"] == "2026-10"
    assert len({headers["webhook-id"] for headers, _ in shop.deliveries}) == 3


def test_same_call_makes_another_session_and_lists_have_pages(client):
    """There is no idempotency key."""
    first, second = client.checkout()[1], client.checkout()[1]

    assert first["id"] != second["id"]
    listed = client.get("checkouts/?limit=1&page=2")[1]
    assert listed["pagination"] == {"total_count": 2, "max_page": 2}
    assert [one["id"] for one in listed["items"]] == [first["id"]]
    assert client.get("checkouts/?sorting=created_at")[1]["items"][0]["id"] == first["id"]
    for wrong in ("limit=101", "limit=x", "page=0"):
        assert client.get(f"checkouts/?{wrong}")[0] == 422


@pytest.mark.parametrize(
    ("behavior", "total"), [("inclusive", 2_950_000), ("exclusive", 3_481_000), (None, 3_481_000)]
)
def test_tax_is_in_the_price_or_on_top(client, behavior, total):
    """As the price says."""
    assert client.checkout(price={"tax_behavior": behavior})[1]["total_amount"] == total


def test_session_without_a_price_has_the_products(client):
    """TZS 25,000 and its tax."""
    body = {"products": [client.secrets["product_id"]]}
    assert client.ask("POST", "checkouts/", body)[1]["total_amount"] == 2_950_000


def test_refund_takes_its_share_of_tax_until_nothing_is_left(running, client, shop):
    """In parts; events in their order."""
    client.checkout()
    running.approve(reference="A1")
    [order] = client.get("orders/")[1]["items"]
    body = {"order_id": order["id"], "reason": "customer_request", "amount": 500_000}
    body["metadata"] = {"reference": "R1"}
    shop.wait_for(3)

    status, refund = client.ask("POST", "refunds/", body)

    assert (status, refund["status"], refund["tax_amount"]) == (201, "succeeded", 90_000)
    names = [name for name, _ in events_of(shop, 6)][3:]
    assert names == ["refund.created", "order.updated", "order.refunded"]
    order = client.get(f"orders/{order['id']}")[1]
    assert (order["status"], order["refunded_amount"]) == ("partially_refunded", 500_000)
    too_much = {**body, "amount": order["refundable_amount"] + 1}
    assert client.ask("POST", "refunds/", too_much)[0] == 422
    rest = {**body, "amount": order["refundable_amount"]}
    assert client.ask("POST", "refunds/", rest)[1]["tax_amount"] == order["refundable_tax_amount"]
    assert client.get(f"orders/{order['id']}")[1]["status"] == "refunded"
    status, answer = client.ask("POST", "refunds/", {**body, "amount": 1})
    assert (status, answer["error"]) == (403, "RefundedAlready")
    assert client.get(f"refunds/?order_id={order['id']}")[1]["pagination"]["total_count"] == 2
    assert client.get(f"refunds/?id={refund['id']}")[1]["items"] == [refund]
    assert running.books()["polar"]["money"]["TZS"]["refunded"] == 2_950_000


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": None},
        {"order_id": "0a4a5bd4-9c1e-4f0e-8a51-7a1f0f6a9b02"},
        {"reason": "because"},
        {"amount": 0},
        {"amount": 1.5},
        {"metadata": []},
    ],
)
def test_wrong_refund_is_refused(running, client, changes):
    """And nothing goes back."""
    client.checkout()
    running.approve(reference="A1")
    order = client.get("orders/")[1]["items"][0]["id"]
    body = {"order_id": order, "reason": "other", "amount": 5, **changes}

    assert client.ask("POST", "refunds/", body)[0] == 422
    assert client.get("refunds/")[1]["items"] == []


def test_customer_is_one_and_gets_into_the_portal(client):
    """By both ids; an email that is somebody else's is refused, at a checkout too."""
    body = {"email": "asha@example.com", "external_id": "user/42", "name": "Asha"}
    status, customer = client.ask("POST", "customers/", body)

    assert status == 201
    assert client.get(f"customers/external/{quote('user/42', safe='')}")[1] == customer
    assert client.get(f"customers/{customer['id']}")[1] == customer
    assert client.get("customers/?email=asha@example.com")[1]["items"] == [customer]
    assert client.ask("POST", "customers/", body)[0] == 422
    assert client.ask("POST", "customers/", {"name": "Asha"})[0] == 422
    other = {"customer_email": "asha@example.com", "external_customer_id": "user_43"}
    assert client.checkout(**other)[0] == 422
    assert client.checkout(customer_email="asha@example.com")[1]["customer_id"] == customer["id"]
    known = client.checkout(customer_id=customer["id"])[1]
    assert known["external_customer_id"] == "user/42"
    for who in ({"customer_id": customer["id"]}, {"external_customer_id": "user/42"}):
        status, session = client.ask("POST", "customer-sessions/", who)
        assert (status, session["customer"]) == (201, customer)
    assert client.ask("POST", "customer-sessions/", {"customer_id": "none"})[0] == 422


def test_subscription_is_canceled_kept_and_revoked(client, shop):
    """Each with its events in order."""
    body = {"product_id": client.secrets["product_id"], "external_customer_id": "user_42"}
    status, made = client.ask("POST", "subscriptions/", body)
    path = f"subscriptions/{made['id']}"

    assert (status, made["status"]) == (201, "active")
    canceled = client.ask("PATCH", path, {"cancel_at_period_end": True})[1]
    assert canceled["ends_at"] == made["current_period_end"]
    assert client.ask("PATCH", path, {"cancel_at_period_end": True})[0] == 403
    assert client.ask("PATCH", path, {"cancel_at_period_end": False})[1]["ends_at"] is None
    assert client.ask("PATCH", path, {})[0] == 422
    assert client.ask("PATCH", path, {"revoke": True, "cancel_at_period_end": True})[0] == 422
    wrong = {"revoke": True, "customer_cancellation_reason": "bored"}
    assert client.ask("PATCH", path, wrong)[0] == 422
    assert client.ask("PATCH", path, {"revoke": True})[1]["status"] == "canceled"
    assert client.ask("PATCH", path, {"revoke": True})[0] == 403
    assert client.get(path)[1]["ended_at"]
    assert [name.removeprefix("subscription.") for name, _ in events_of(shop, 9)] == [
        *("created", "active", "updated", "canceled", "updated", "uncanceled"),
        *("updated", "canceled", "revoked"),
    ]


def test_dial_lies_forgets_and_breaks(running, client):
    """About a paid order."""
    session = client.checkout()[1]
    running.approve(reference="A1")

    running.turn_dial(company="polar", query="lie_declined", times=2)
    assert client.get("orders/")[1]["items"][0]["status"] == "void"
    assert client.get(f"checkouts/{session['id']}")[1]["status"] == "failed"
    running.turn_dial(company="polar", query="not_found", times=1)
    assert client.get("orders/")[1]["error"] == "ResourceNotFound"
    running.turn_dial(company="polar", query="error_before", times=1)
    assert client.get("orders/")[1]["error"] == "InternalServerError"
    assert client.get("orders/")[1]["items"][0]["status"] == "paid"
    assert client.ask("POST", "checkouts/", [1])[0] == 422
