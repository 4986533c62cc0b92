"""Selcom in the simulator: orders and C2B, asked over its socket as the sheet says."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from ntc_payments.simulator.companies.selcom import sign

from tests.conftest import listening_simulator
from tests.merchant import Merchant
from tests.selcom_merchant import SelcomMerchant, digest, now, order

VECTORS = json.loads((Path(__file__).parent / "vectors" / "selcom.json").read_text())["vectors"]
PUSH = {"transid": "T1", "order_id": "INV-1", "msisdn": "255712345671"}
CARDS = {
    "payment_methods": "ALL",
    "billing.firstname": "Asha",
    "billing.lastname": "Juma",
    "billing.address_1": "Plot 12",
    "billing.city": "Dar es Salaam",
    "billing.state_or_region": "Dar es Salaam",
    "billing.postcode_or_pobox": "11101",
    "billing.country": "TZ",
    "billing.phone": "255712345671",
}


def encoded(url: str) -> str:
    return base64.b64encode(url.encode()).decode()


@pytest.fixture
def fresh():
    """Run the companies with empty books."""
    with listening_simulator() as running:
        yield running


@pytest.fixture
def shop(fresh):
    """Return a merchant of Selcom."""
    return SelcomMerchant(fresh)


@pytest.fixture
def hook():
    """Listen for callbacks."""
    server = Merchant()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


# Who calls.


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_digest_is_that_of_the_vendors_clients(vector):
    fields = [(name, value) for name, value in vector["fields"]]

    made = sign(vector["api_secret"], timestamp=vector["timestamp"], fields=fields)

    assert made == vector["expected"]["Digest"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Authorization": "SELCOM bm9ib2R5"}, "Invalid API key"),
        ({"Digest-Method": "RS256"}, "Unknown Digest-Method"),
        ({"Digest": "Zm9yZ2Vk"}, "Invalid Digest"),
        ({"Signed-Fields": "transid,order_id"}, "Signed-Fields"),
        ({"Signed-Fields": "transid,order_id,msisdn,msisdn"}, "Signed-Fields"),
        ({"Signed-Fields": "msisdn,order_id,transid"}, "Invalid Digest"),
        ({"Signed-Fields": ""}, "Signed-Fields"),
    ],
)
def test_call_that_is_not_proven_is_refused(company, changes, message):
    shop = SelcomMerchant(company)

    status, body = shop.call("POST", "/checkout/wallet-payment", PUSH, headers=changes)

    assert (status, body["resultcode"], body["result"]) == (401, "401", "FAIL")
    assert message in body["message"]


@pytest.mark.parametrize(
    ("shift_seconds", "offset", "is_taken"),
    [
        (0, "+03:00", True),
        (0, "+0300", True),
        (-45, "+03:00", True),
        (-90, "+03:00", False),
        (90, "+03:00", False),
        (0, "Z", False),
        (0, ".000+03:00", False),
        (0, "", False),
        (0, "+99:99", False),
        # The digits of UTC under the offset of Dar es Salaam.
        (-3 * 3600, "+03:00", False),
    ],
)
def test_clock_may_be_a_minute_off(company, shift_seconds, offset, is_taken):
    shop = SelcomMerchant(company)
    timestamp = now(shift_seconds, offset=offset)

    status, _ = shop.call(
        "GET", "/checkout/order-status", {"order_id": "NONE"}, timestamp=timestamp
    )

    assert status == (200 if is_taken else 401)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"transid": null, "order_id": "INV-1", "msisdn": "255712345671"}',
        b'{"transid": true, "order_id": "INV-1", "msisdn": "255712345671"}',
        b'{"transid": 1.5, "order_id": "INV-1", "msisdn": "255712345671"}',
        b'{"transid": {"x": 1}, "order_id": "INV-1", "msisdn": "255712345671"}',
    ],
)
def test_what_cannot_be_signed_is_refused(company, body):
    status, answer = SelcomMerchant(company).call(
        "POST", "/checkout/wallet-payment", PUSH, body=body
    )

    assert (status, answer["resultcode"]) == (400, "400")


def test_raw_values_are_signed_and_the_order_is_the_headers(fresh, shop):
    """Letters outside ASCII, reserved characters, and Signed-Fields in another order."""
    fields = order(buyer_name="Zöe Ng'ombe☕ & Co = 100%+#", merchant_remarks="茶")
    names = sorted(fields)
    timestamp = now()
    made = digest(shop.keys["api_secret"], timestamp, [(name, fields[name]) for name in names])

    status, body = shop.call(
        "POST",
        "/checkout/create-order-minimal",
        fields,
        headers={"Digest": made, "Signed-Fields": ",".join(names)},
        timestamp=timestamp,
    )

    assert (status, body["resultcode"]) == (200, "000")


# Orders.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order_id", None),
        ("order_id", ""),
        ("order_id", "A" * 21),
        ("order_id", "A_1"),
        ("buyer_email", None),
        ("buyer_name", ""),
        ("buyer_phone", "0712345671"),
        ("buyer_phone", "+255712345671"),
        ("amount", None),
        ("amount", 0),
        ("amount", -5),
        ("amount", "5000.00"),
        ("currency", "KES"),
        ("no_of_items", None),
        ("no_of_items", 0),
        ("payment_methods", "ALL"),
        ("webhook", "https://shop.example/hook"),
        ("webhook", encoded(encoded("https://shop.example/hook"))),
        ("redirect_url", encoded("ftp://shop.example")),
        ("cancel_url", "//79"),
        ("header_colour", "red"),
        ("expiry", "soon"),
    ],
)
def test_wrong_order_names_its_parameter(company, name, value):
    status, code, body = SelcomMerchant(company).post(
        "/checkout/create-order-minimal", **order(**{name: value})
    )

    assert (status, code) == (412, "412")
    assert body["message"] == f"Parameter {name} is invalid or missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payment_methods", None),
        ("payment_methods", "ALL,CASH"),
        *((name, None) for name in CARDS if name.startswith("billing.")),
        ("billing.country", "Tanzania"),
    ],
)
def test_order_with_cards_needs_an_address(company, name, value):
    status, _, body = SelcomMerchant(company).post(
        "/checkout/create-order", **order(**{**CARDS, name: value})
    )

    assert status == 412
    assert name in body["message"]


def test_another_till_is_not_enabled(company):
    shop = SelcomMerchant(company)

    status, code, body = shop.post("/checkout/create-order-minimal", **order(vendor="TILL1"))

    assert (status, code) == (403, "403")
    assert "(4035)" in body["message"]


def test_order_is_pushed_paid_and_told(fresh, shop, hook):
    """One prompt, a signed webhook, and order-status in the documented shapes."""
    _, code, body = shop.post(
        "/checkout/create-order-minimal", **order(webhook=encoded(hook.url), expiry=60)
    )
    assert (code, len(body["reference"])) == ("000", 10)
    assert set(body["data"][0]) == {
        *("gateway_buyer_uuid", "payment_token", "qr", "payment_gateway_url")
    }
    assert shop.post("/checkout/wallet-payment", **PUSH)[2]["result"] == "PENDING"
    waiting = shop.status_of("INV-1")
    assert (waiting["payment_status"], waiting["transid"], waiting["phone"]) == (
        *("PENDING", None, None),
    )

    fresh.approve(reference="INV-1")

    [(headers, raw)] = hook.wait_for(1)
    told = json.loads(raw)
    names = headers["signed-fields"].split(",")
    assert names == ["transid", "order_id", "reference", "result", "resultcode", "payment_status"]
    fields = [(name, told[name]) for name in names]
    assert headers["digest"] == digest(shop.keys["api_secret"], headers["timestamp"], fields)
    assert headers["digest-method"] == "HS256"
    assert headers["authorization"] == f"SELCOM {encoded(shop.keys['api_key'])}"
    assert (told["order_id"], told["amount"], told["payment_status"]) == (
        *("INV-1", "5000", "COMPLETED"),
    )
    paid = shop.status_of("INV-1")
    assert paid["payment_status"] == "COMPLETED"
    for name in ("transid", "channel", "reference"):
        assert paid[name] == told[name]
    assert paid["msisdn"] == told["phone"] == PUSH["msisdn"]
    assert fresh.books()["selcom"] == {
        "money": {"TZS": {"captured": 500_000, "refunded": 0, "paid_out": 0, "fees": 0}},
        "prompts": {"INV-1": 1},
    }


def test_only_a_success_is_told(fresh, shop, hook):
    """Declined, canceled: silence."""
    shop.post("/checkout/create-order-minimal", **order(webhook=encoded(hook.url)))
    shop.post("/checkout/wallet-payment", **PUSH)
    shop.post("/checkout/create-order-minimal", **order(order_id="B", webhook=encoded(hook.url)))

    fresh.decline(reference="INV-1")
    fresh.decline(reference="B")
    time.sleep(0.5)

    assert hook.deliveries == []
    assert shop.status_of("INV-1")["payment_status"] == "REJECTED"
    assert shop.status_of("B")["payment_status"] == "USERCANCELED"


def test_order_and_transid_are_used_once(fresh, shop):
    """A second push needs a new transid, and counts."""
    shop.post("/checkout/create-order-minimal", **order())

    assert shop.post("/checkout/create-order-minimal", **order(amount=1))[1] == "409"
    assert shop.post("/checkout/wallet-payment", **PUSH)[1] == "111"
    assert shop.post("/checkout/wallet-payment", **PUSH)[1] == "409"
    assert shop.post("/checkout/selcompesa-payment", **{**PUSH, "transid": "T2"})[1] == "111"
    assert fresh.books()["selcom"]["prompts"] == {"INV-1": 2}
    assert shop.status_of("INV-1")["amount"] == "5000"


def test_push_takes_three_parameters(fresh, shop):
    """And an order that waits."""
    shop.post("/checkout/create-order-minimal", **order())

    assert shop.post("/checkout/wallet-payment", **PUSH, remarks="x")[0] == 412
    assert shop.post("/checkout/wallet-payment", **{**PUSH, "msisdn": "0712345671"})[0] == 412
    assert shop.post("/checkout/wallet-payment", **{**PUSH, "order_id": "C"})[1] == "404"
    assert shop.post("/checkout/selcompesa-payment", **PUSH, remarks="x")[1] == "111"
    fresh.approve(reference="INV-1")
    assert shop.post("/checkout/wallet-payment", **{**PUSH, "transid": "T3"})[1] == "400"


def test_waiting_order_is_canceled_once(shop):
    """And is listed with a word of its own."""
    today = now()[:10]
    shop.post("/checkout/create-order-minimal", **order())
    shop.post("/checkout/create-order-minimal", **order(order_id="B"))

    status, body = shop.call("DELETE", "/checkout/cancel-order", {"order_id": "INV-1"})

    assert (status, body["resultcode"], body["data"]) == (200, "000", [])
    again = shop.call("DELETE", "/checkout/cancel-order", {"order_id": "INV-1"})[1]
    assert again["result"] == "FAIL"
    assert shop.status_of("INV-1")["payment_status"] == "CANCELLED"
    listed = shop.get("/checkout/list-orders", fromdate=today, todate=today)["data"]
    assert [(row["order_id"], row["payment_status"]) for row in listed] == [
        ("B", "PENDING"),
        ("INV-1", "CANCEL"),
    ]
    assert (
        shop.get("/checkout/list-orders", fromdate="2020-01-01", todate="2020-01-02")["data"] == []
    )
    assert shop.call("GET", "/checkout/list-orders", {"fromDate": today, "toDate": today})[0] == 412


def test_push_that_nobody_answers_ends(hook):
    """As EXPIRED, a word that is not documented, though the order had an hour."""
    with listening_simulator(prompt_seconds=0.3) as running:
        shop = SelcomMerchant(running)
        shop.post("/checkout/create-order-minimal", **order(expiry=60))
        time.sleep(0.6)
        assert shop.status_of("INV-1")["payment_status"] == "PENDING"
        shop.post("/checkout/wallet-payment", **PUSH)
        time.sleep(0.8)

        assert shop.status_of("INV-1")["payment_status"] == "EXPIRED"
        assert (
            shop.call("DELETE", "/checkout/cancel-order", {"order_id": "INV-1"})[1]["resultcode"]
            == "400"
        )


def test_page_of_a_card_order_is_paid(fresh, shop):
    """The address is base64; the payer comes back where the merchant said."""
    fields = order(**CARDS, redirect_url=encoded(f"{fresh.base_url}/health"))
    body = shop.post("/checkout/create-order", **fields)[2]
    page = base64.b64decode(body["data"][0]["payment_gateway_url"]).decode()

    with urllib.request.urlopen(page, timeout=10) as response:
        assert "5000 TZS" in response.read().decode()
    request = urllib.request.Request(f"{page}/approve", method="POST", data=b"")
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.url == f"{fresh.base_url}/health"

    assert shop.status_of("INV-1")["payment_status"] == "COMPLETED"
    assert fresh.books()["selcom"]["prompts"] == {"INV-1": 1}


def test_digits_of_an_order_are_paid_exactly(fresh, shop):
    body = shop.post("/checkout/create-order-minimal", **order())[2]
    token = body["data"][0]["payment_token"]

    with pytest.raises(urllib.error.HTTPError):
        fresh.pay_bill(company="selcom", number=token, amount=4999)
    assert fresh.pay_bill(company="selcom", number=token, amount=5000)["status"] == "PAID"


# The dial.


def test_dial_speaks_selcom(fresh, shop):
    """Each fault in the envelope; the push has a position of its own."""
    fresh.turn_dial(company="selcom", push="cut_after", times=1)
    shop.post("/checkout/create-order-minimal", **order())
    with pytest.raises(ConnectionError):
        shop.post("/checkout/wallet-payment", **PUSH)
    assert fresh.books()["selcom"]["prompts"] == {"INV-1": 1}
    fresh.turn_dial(company="selcom", query="lie_declined")
    assert shop.status_of("INV-1")["payment_status"] == "FAILED"
    assert shop.get("/walletcashin/query", transid="T9")["result"] == "FAIL"
    fresh.turn_dial(company="selcom", query="not_found")
    assert shop.get("/checkout/order-status", order_id="INV-1")["resultcode"] == "404"
    fresh.turn_dial(company="selcom", query="expired_token")
    assert shop.call("GET", "/checkout/order-status", {"order_id": "INV-1"})[0] == 401
    fresh.turn_dial(company="selcom", query="error_after")
    status, body = shop.call("GET", "/checkout/order-status", {"order_id": "INV-1"})
    assert (status, body["resultcode"]) == (500, "500")
