"""The simulator's ClickPesa, asked over its socket as its sheet says."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ntc_payments.simulator.companies.clickpesa import ClickPesa, shapes
from ntc_payments.simulator.server import SimulatorServer
from ntc_payments.simulator.store import Store
from ntc_payments.simulator.world import World

from tests.conftest import listening_simulator
from tests.merchant import Merchant

VECTORS = json.loads((Path(__file__).parent / "vectors" / "clickpesa.json").read_text())
PUSH = {"amount": "10000", "currency": "TZS", "phoneNumber": "255712345678"}
CARD = {"amount": "25.50", "currency": "USD", "customer": {"id": "C1"}}
WALLET = {"amount": 10000, "currency": "TZS", "phoneNumber": "255754000001"}
BANK = {
    "amount": 30000,
    "currency": "TZS",
    "accountNumber": "0150000001",
    "accountName": "Juma Ally",
    "bic": "CORUTZTZ",
    "transferType": "ACH",
}
USSD = "payments/initiate-ussd-push-request"
PAYOUT = "payouts/create-mobile-money-payout"


class Client:
    """A merchant with the keys."""

    def __init__(self, base_url: str, secrets: dict[str, str]) -> None:
        self.base_url, self.secrets = f"{base_url}/clickpesa/", secrets
        self.token = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(
            self.base_url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": self.token, **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def sign_in(self) -> None:
        keys = {"client-id": self.secrets["client_id"], "api-key": self.secrets["api_key"]}
        status, answer = self.ask("POST", "generate-token", **keys)
        assert (status, answer["success"]) == (200, True)
        self.token = answer["token"]

    def write(self, path: str, body: Any, *, method: str = "POST") -> tuple[int, Any]:
        """Send a body with its checksum."""
        checksum = checksum_of(self.secrets["checksum_key"], body)
        return self.ask(method, path, {**body, "checksum": checksum})

    def get(self, path: str) -> tuple[int, Any]:
        return self.ask("GET", path)


def checksum_of(key: str, body: Any) -> str:
    """The algorithm again: sorted, no spaces, UTF-8."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def running():
    with listening_simulator() as simulator:
        yield simulator


@pytest.fixture
def client(running) -> Client:
    client = Client(running.base_url, running.secrets["clickpesa"])
    client.sign_in()
    return client


@pytest.fixture
def shop():
    server = Merchant()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "vector",
    VECTORS["algorithms"]["clickpesa-canonical"],
    ids=lambda vector: vector["id"],
)
def test_checksum_agrees_with_the_vectors(vector):
    """Text and digest."""
    expected = vector["expected"]

    assert shapes.canonical(vector["payload"]) == expected["canonical"]
    assert shapes.checksum(vector["checksum_key"], vector["payload"]) == expected["checksum"]


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("1000.0", "1000"),
        ("2500.50", "2500.5"),
        ("-0.0", "0"),
        ("0.00001", "0.00001"),
        ("1e-7", "1e-7"),
        ("1.5e22", "1.5e+22"),
        ("1e999", "null"),
        ("9007199254740993", "9007199254740992"),
        ('{"b":1,"10":2,"9":3}', '{"9":3,"10":2,"b":1}'),
    ],
)
def test_numbers_are_hashed_as_javascript_writes_them(wire, text):
    """After a trip through its parser."""
    assert shapes.canonical({"n": json.loads(wire)}) == f'{{"n":{text}}}'


def test_nothing_is_answered_without_keys_and_token(running):
    """403 for the keys, 401 for the token."""
    client = Client(running.base_url, running.secrets["clickpesa"])
    keys = {"client-id": client.secrets["client_id"], "api-key": "other"}

    assert client.ask("POST", "generate-token", **keys)[0] == 403
    keys = {"client-id": "other", "api-key": client.secrets["api_key"]}
    assert client.ask("POST", "generate-token", **keys)[1]["message"] == "Invalid client details"
    assert client.get("account/balance") == (401, {"message": "Unauthorized"})
    client.token = "Bearer guessed"
    assert client.write(USSD, {**PUSH, "orderReference": "A1"})[0] == 401
    client.sign_in()
    client.token = f"Bearer {client.token}"
    assert client.get("account/balance")[0] == 401


def test_token_is_refused_where_the_dial_says_so(running, client):
    """As after its hour."""
    running.turn_dial(company="clickpesa", query="expired_token", token="expired_token", times=1)

    assert client.get("payments/A1")[0] == 401
    assert client.ask("POST", "generate-token")[0] == 401
    assert client.get("payments/A1")[0] == 404


def test_checksum_is_required_where_there_is_a_key(client):
    """Missing, wrong, of another body: 400, and nothing is made."""
    body = {**PUSH, "orderReference": "A1"}
    expected = {"statusCode": 400, "message": ["Invalid checksum"], "error": "Bad Request"}

    assert client.ask("POST", USSD, body) == (400, expected)
    assert client.ask("POST", USSD, {**body, "checksum": "0" * 64}) == (400, expected)
    signed = {**body, "checksum": checksum_of(client.secrets["checksum_key"], body)}
    assert client.ask("POST", USSD, {**signed, "amount": "1"}) == (400, expected)
    assert client.get("payments/A1")[0] == 404
    assert client.ask("POST", USSD, signed)[0] == 200
    assert client.ask("POST", USSD, [1])[0] == 400


class WithoutChecksum(ClickPesa):
    """An application whose checksum is off, and whose tokens end at once or never."""

    keys: ClassVar = {"CLICKPESA_CLIENT_ID": "client_id", "CLICKPESA_API_KEY": "api_key"}


class ShortTokens(WithoutChecksum):
    """Tokens that have ended."""

    token_seconds: ClassVar[float] = 0


@pytest.mark.parametrize(("company", "status"), [(WithoutChecksum, 200), (ShortTokens, 401)])
def test_application_without_a_checksum_and_with_an_old_token(company, status):
    """The one needs none, the other is asked to sign in again."""
    world = World(Store(":memory:"), environment={}, companies=[company])
    server = SimulatorServer(("127.0.0.1", 0), world)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    client = Client(world["clickpesa"].site, dict(world["clickpesa"].secrets))
    client.sign_in()

    assert client.ask("POST", USSD, {**PUSH, "orderReference": "A1"})[0] == status

    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "base", "changes"),
    [
        (USSD, PUSH, {"amount": 10000}),
        (USSD, PUSH, {"amount": "100.50"}),
        (USSD, PUSH, {"amount": "0"}),
        (USSD, PUSH, {"currency": "USD"}),
        (USSD, PUSH, {"orderReference": "A-1"}),
        (USSD, PUSH, {"orderReference": "A" * 21}),
        (USSD, PUSH, {"orderReference": None}),
        (USSD, PUSH, {"phoneNumber": "+255712345678"}),
        (USSD, PUSH, {"phoneNumber": "255720000000"}),
        (USSD, PUSH, {"phoneNumber": None}),
        ("payments/preview-ussd-push-request", PUSH, {"phoneNumber": "0712345678"}),
        ("payments/preview-card-payment", CARD, {"currency": "TZS"}),
        ("payments/initiate-card-payment", CARD, {"amount": "25.505"}),
        ("payments/initiate-card-payment", CARD, {"customer": "Asha"}),
        ("payments/initiate-card-payment", CARD, {"customer": {"fullName": "Asha"}}),
        ("checkout-link/generate-checkout-url", {"orderCurrency": "TZS"}, {}),
        ("checkout-link/generate-checkout-url", {"totalPrice": "5"}, {"orderCurrency": "KES"}),
        ("checkout-link/generate-checkout-url", {"orderCurrency": "TZS"}, {"totalPrice": "1.5"}),
        ("checkout-link/generate-checkout-url", {"orderCurrency": "TZS"}, {"orderItems": []}),
        (
            "checkout-link/generate-checkout-url",
            {"orderCurrency": "TZS", "totalPrice": "5"},
            {"callbackUrl": "ftp://x"},
        ),
        ("billpay/create-order-control-number", {}, {"billAmount": "500"}),
        ("billpay/create-order-control-number", {}, {"billAmount": 0.005}),
        ("billpay/create-order-control-number", {}, {"billPaymentMode": "ROUGHLY"}),
        ("billpay/create-order-control-number", {}, {"billReference": "A-1"}),
        ("billpay/create-customer-control-number", {}, {"customerPhone": "255712345678"}),
        ("billpay/create-customer-control-number", {}, {"customerName": "Asha"}),
        (PAYOUT, WALLET, {"amount": "10000"}),
        (PAYOUT, WALLET, {"amount": True}),
        (PAYOUT, WALLET, {"amount": -1}),
        (PAYOUT, WALLET, {"amount": float("inf")}),
        (PAYOUT, WALLET, {"amount": float("nan")}),
        (PAYOUT, WALLET, {"currency": "KES"}),
        (PAYOUT, WALLET, {"phoneNumber": "255720000000"}),
        ("payouts/create-bank-payout", BANK, {"bic": "NOBODY"}),
        ("payouts/create-bank-payout", BANK, {"transferType": "SWIFT"}),
        ("payouts/create-bank-payout", BANK, {"amount": 100}),
        ("payouts/create-bank-payout", BANK, {"accountName": ""}),
        ("payouts/create-bank-payout", BANK, {"accountNumber": "1"}),
    ],
)
def test_wrong_body_is_refused_and_makes_nothing(client, path, base, changes):
    """With a sentence, or a list of them."""
    status, answer = client.write(path, {"orderReference": "A1", **base, **changes})

    assert status == 400
    assert answer["message"]
    assert client.get("payments/A1")[0] == 404
    assert client.get("payments/all")[1]["totalCount"] == 0
    assert client.get("payouts/A1")[0] == 404


def test_push_is_previewed_shown_and_paid(running, client, shop):
    """The preview uses nothing up; the callback carries its checksum."""
    running.options_of("clickpesa", callback_url=shop.url)
    body = {**PUSH, "orderReference": "A1"}

    preview = client.write("payments/preview-ussd-push-request", body)[1]
    status, started = client.write(USSD, body)

    assert {method["status"] for method in preview["activeMethods"]} == {"AVAILABLE"}
    assert status == 200
    assert started.pop("id").startswith("CP")
    assert started.pop("createdAt").endswith("Z")
    assert started == {
        "status": "PROCESSING",
        "channel": "TIGO-PESA",
        "orderReference": "A1",
        "collectedAmount": "10000",
        "collectedCurrency": "TZS",
        "clientId": client.secrets["client_id"],
    }
    assert client.get("payments/A1")[1][0]["status"] == "PROCESSING"
    running.approve(reference="A1")
    [row] = client.get("payments/A1")[1]
    assert (row["status"], row["collectedAmount"]) == ("SUCCESS", 10000)
    [(_, raw)] = shop.wait_for(1)
    event = json.loads(raw)
    assert event.pop("checksum") == checksum_of(client.secrets["checksum_key"], event)
    assert event["event"] == "PAYMENT RECEIVED"
    assert (event["data"]["orderReference"], event["data"]["collectedAmount"]) == ("A1", "10000")
    assert running.books()["clickpesa"] == {
        "money": {"TZS": {"captured": 1000000, "refunded": 0, "paid_out": 0, "fees": 0}},
        "prompts": {"A1": 1},
    }


def test_declined_push_fails_and_says_so(running, client, shop):
    """There is no other word."""
    running.options_of("clickpesa", callback_url=shop.url)
    client.write(USSD, {**PUSH, "orderReference": "A1"})

    running.decline(reference="A1")

    assert client.get("payments/A1")[1][0]["status"] == "FAILED"
    assert json.loads(shop.wait_for(1)[0][1])["event"] == "PAYMENT FAILED"


def test_reference_is_used_once(running, client):
    """For every way of paying."""
    client.write(USSD, {**PUSH, "orderReference": "A1"})

    status, answer = client.write(USSD, {**PUSH, "orderReference": "A1", "amount": "9"})

    expected = "Order reference A1 already used: Create a different reference"
    assert (status, answer["message"]) == (409, expected)
    assert len(running.prompts()) == 1


def test_card_is_paid_on_its_page(running, client):
    """Until then it is no payment."""
    client.write("payments/preview-card-payment", {**CARD, "orderReference": "A1"})
    status, answer = client.write(
        "payments/initiate-card-payment", {**CARD, "orderReference": "A1"}
    )

    assert status == 200
    assert client.get("payments/A1")[1]["message"] == "Invalid or missing payment: A1"
    with urllib.request.urlopen(answer["cardPaymentLink"]) as page:
        assert b"25.50 USD" in page.read()
    running.approve(reference="A1")
    [row] = client.get("payments/A1")[1]
    assert (row["status"], row["collectedAmount"]) == ("SUCCESS", 25.5)


def test_page_is_paid_twice_and_tells_both_addresses(running, client, shop):
    """Each payment is a row of its own."""
    running.options_of("clickpesa", callback_url=shop.url)
    body = {
        "orderReference": "A1",
        "orderCurrency": "TZS",
        "orderItems": [{"name": "Chai", "price": 1500, "quantity": 2}],
        "callbackUrl": f"{shop.url}/own",
    }
    client.write("checkout-link/generate-checkout-url", body)
    running.approve(reference="A1")

    running.approve(reference="A1")

    rows = client.get("payments/A1")[1]
    assert [(row["orderReference"], row["collectedAmount"]) for row in rows] == [("A1", 3000)] * 2
    assert len({row["id"] for row in rows}) == 2
    assert len(shop.wait_for(4)) == 4
    assert client.get("payments/all?limit=1&orderReference=A1&orderBy=ASC")[1]["totalCount"] == 2
    assert client.get("payments/all?status=FAILED")[1] == {"data": [], "totalCount": 0}
    assert client.get("payments/all?startDate=2020-01-01&endDate=31-12-2020")[1]["totalCount"] == 0
    assert client.get("payments/all?startDate=yesterday")[0] == 400
    assert client.get("payments/all?skip=x")[0] == 400


def test_number_of_an_order_takes_one_payment_of_its_amount(running, client):
    """EXACT; then it is closed."""
    body = {"billReference": "12345678901234", "billAmount": 90900, "billPaymentMode": "EXACT"}
    status, answer = client.write("billpay/create-order-control-number", body)

    assert (status, answer["billPayNumber"], answer["billAmount"]) == (200, "12345678901234", 90900)
    assert client.write("billpay/create-order-control-number", body)[0] == 409
    assert client.get("payments/12345678901234")[0] == 404
    with pytest.raises(urllib.error.HTTPError):
        running.pay_bill(company="clickpesa", number="12345678901234", amount=90000)
    running.pay_bill(company="clickpesa", number="12345678901234", amount=90900)
    [row] = client.get("payments/12345678901234")[1]
    assert (row["status"], row["orderReference"]) == ("SUCCESS", "12345678901234")
    with pytest.raises(urllib.error.HTTPError):
        running.pay_bill(company="clickpesa", number="12345678901234", amount=90900)
    change = {"billAmount": 5}
    assert client.write("billpay/12345678901234", change, method="PATCH")[0] == 400


def test_number_of_a_customer_is_paid_again_and_again_until_it_is_closed(running, client):
    """Any amount, each a row."""
    body = {"customerName": "Asha", "customerPhone": "255712345678", "billDescription": "Ada"}
    number = client.write("billpay/create-customer-control-number", body)[1]["billPayNumber"]

    for amount in (1000, 2000):
        running.pay_bill(company="clickpesa", number=number, amount=amount)

    rows = client.get(f"payments/{number}")[1]
    assert [row["collectedAmount"] for row in rows] == [1000, 2000]
    change = {"billStatus": "INACTIVE", "billAmount": 12.5}
    changed = client.write(f"billpay/{number}", change, method="PATCH")[1]
    assert (changed["billStatus"], changed["billAmount"]) == ("INACTIVE", 12.5)
    assert client.get(f"billpay/{number}")[1] == changed
    assert client.get("billpay/000")[0] == 404
    for wrong in (number, "000"):
        with pytest.raises(urllib.error.HTTPError):
            running.pay_bill(company="clickpesa", number=wrong, amount=1000)


def test_payout_costs_a_fee_that_the_balance_bears(running, client, shop):
    """Previewed, made once, told."""
    running.options_of("clickpesa", callback_url=shop.url)
    body = {**WALLET, "orderReference": "P1"}
    before = client.get("account/balance")[1][0]["balance"]

    preview = client.write("payouts/preview-mobile-money-payout", body)[1]
    status, made = client.write(PAYOUT, body)

    assert (preview["amount"], preview["fee"], preview["balance"]) == (10471, 471, before)
    assert (status, made["status"], made["amount"], made["fee"]) == (
        200,
        "AUTHORIZED",
        "10471.00",
        "471.00",
    )
    assert client.get("payouts/P1")[1][0]["status"] == "SUCCESS"
    assert client.get("account/balance")[1][0]["balance"] == before - 10471
    event = json.loads(shop.wait_for(1)[0][1])
    assert event.pop("checksum") == checksum_of(client.secrets["checksum_key"], event)
    assert (event["event"], event["data"]["status"]) == ("PAYOUT INITIATED", "SUCCESS")
    assert client.write(PAYOUT, body)[0] == 409
    again = client.write(PAYOUT, {**body, "orderReference": "P2"})
    assert again[0] == 429
    assert "seconds" in again[1]["message"]


@pytest.mark.parametrize(
    ("receiver", "statuses"),
    [
        ("255754000000", ["AUTHORIZED", "AUTHORIZED"]),
        ("255754000009", ["FAILED", "FAILED"]),
        ("255754000008", ["SUCCESS", "REVERSED"]),
        ("255754000001", ["SUCCESS", "SUCCESS"]),
    ],
)
def test_last_digit_says_what_becomes_of_a_payout(client, receiver, statuses):
    """0 waits, 9 fails, 8 comes back once its success was told."""
    client.write(PAYOUT, {**WALLET, "orderReference": "P1", "phoneNumber": receiver})

    assert [client.get("payouts/P1")[1][0]["status"] for _ in range(2)] == statuses


def test_bank_payout_and_too_little_float(client):
    """By ACH; and more than there is."""
    status, made = client.write("payouts/create-bank-payout", {**BANK, "orderReference": "P1"})

    assert (status, made["channel"], made["transferType"]) == (200, "BANK TRANSFER", "ACH")
    assert {"name": "CRDB Bank", "bic": "CORUTZTZ"} in client.get("list/banks")[1]
    rich = {**WALLET, "orderReference": "P2", "amount": 1_000_000}
    assert client.write(PAYOUT, rich) == (400, {"message": "Insufficient balance"})
    assert client.get("payouts/all?transferType=ACH")[1]["totalCount"] == 1


def test_statement_adds_up(running, client):
    """Opening, every line, closing."""
    client.write(USSD, {**PUSH, "orderReference": "A1"})
    running.approve(reference="A1")
    client.write(PAYOUT, {**WALLET, "orderReference": "P1"})

    statement = client.get("account/statement?currency=TZS")[1]

    assert [
        (line["entry"], line["amount"], line["orderReference"])
        for line in statement["transactions"]
    ] == [("Credit", 10000, "A1"), ("Debit", 10000, "P1"), ("Debit", 471, "P1")]
    account = statement["accountDetails"]
    assert account["openingBalance"] == 1_000_000
    assert account["closingBalance"] == client.get("account/balance")[1][0]["balance"]
    empty = client.get("account/statement?currency=USD&startDate=2020-01-01&endDate=2020-01-02")[1]
    assert empty["transactions"] == []
    assert client.get("account/statement")[0] == 400


def test_dial_lies_and_forgets(running, client):
    """About what was paid."""
    client.write(USSD, {**PUSH, "orderReference": "A1"})
    running.approve(reference="A1")

    running.turn_dial(company="clickpesa", query="lie_declined", times=2)
    assert client.get("payments/A1")[1][0]["status"] == "FAILED"
    assert "data" in client.get("payments/all")[1]
    running.turn_dial(company="clickpesa", query="not_found", times=1)
    assert client.get("payments/A1")[0] == 404
    running.turn_dial(company="clickpesa", query="error_after", times=1)
    assert client.get("payments/A1")[0] == 500
