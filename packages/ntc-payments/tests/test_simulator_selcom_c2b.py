"""Selcom's C2B in the simulator: the merchant is asked, and told, with a bearer token."""

from __future__ import annotations

import http.server
import json
import threading
import time
import urllib.error

import pytest

from tests.conftest import listening_simulator
from tests.selcom_merchant import SelcomMerchant


@pytest.fixture
def fresh():
    """Run the companies with empty books."""
    with listening_simulator() as running:
        yield running


@pytest.fixture
def shop(fresh):
    """Return a merchant of Selcom."""
    return SelcomMerchant(fresh)


class Counter(http.server.ThreadingHTTPServer):
    """A merchant whose C2B paths answer what `answers` says."""

    def __init__(self) -> None:
        self.answers = {"lookup": "000", "validation": "000", "notification": "000"}
        self.echo = True
        self.asked: list[tuple[str, str, dict]] = []
        super().__init__(("127.0.0.1", 0), _CounterHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/c2b/"

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


class _CounterHandler(http.server.BaseHTTPRequestHandler):
    server: Counter

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], question))
        code = self.server.answers[self.path.rsplit("/", 1)[1]]
        reference = question["reference"] if self.server.echo else "other"
        answer = json.dumps({"reference": reference, "resultcode": code, "message": ""})
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def counter(fresh):
    """Run a merchant who is asked, and tell Selcom where."""
    server = Counter()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    fresh.options_of("selcom", callback_url=server.url)
    yield server
    server.shutdown()
    server.server_close()


def test_number_is_asked_about_paid_and_told(fresh, shop, counter):
    """Lookup, validation, notification: with the token, and the same reference."""
    paid = fresh.pay_bill(company="selcom", number="123456789012", amount=5000)

    deadline = time.monotonic() + 10
    while len(counter.asked) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert counter.paths() == ["/c2b/lookup", "/c2b/validation", "/c2b/notification"]
    token = f"Bearer {shop.keys['c2b_token']}"
    assert {authorization for _, authorization, _ in counter.asked} == {token}
    lookup, validation, notification = (question for _, _, question in counter.asked)
    assert "amount" not in lookup
    assert validation == notification == {**lookup, "amount": 5000}
    assert notification["utilityref"] == "123456789012"
    assert notification["reference"] == paid["transaction_id"]
    for which in ({"reference": notification["reference"]}, {"transid": notification["transid"]}):
        answer = shop.get("/c2b/query-status", **which)
        assert (answer["resultcode"], answer["reference"]) == ("000", paid["transaction_id"])
        assert "Payment successful" in answer["message"]


@pytest.mark.parametrize(("refused", "asked"), [("lookup", 1), ("validation", 2)])
def test_number_that_the_merchant_refuses_is_not_paid(fresh, counter, refused, asked):
    """The money goes back; no notification follows."""
    counter.answers[refused] = "010"

    with pytest.raises(urllib.error.HTTPError):
        fresh.pay_bill(company="selcom", number="1", amount=5000)

    time.sleep(0.3)
    assert len(counter.asked) == asked
    assert fresh.books()["selcom"]["money"] == {}


def test_answer_to_another_question_is_a_no(fresh, counter):
    counter.echo = False

    with pytest.raises(urllib.error.HTTPError):
        fresh.pay_bill(company="selcom", number="1", amount=5000)


def test_merchant_who_cannot_be_asked_is_not_paid(fresh):
    """Nobody listens, or nobody was named."""
    with pytest.raises(urllib.error.HTTPError):
        fresh.pay_bill(company="selcom", number="1", amount=5000)
    fresh.options_of("selcom", callback_url="http://127.0.0.1:9/c2b")
    with pytest.raises(urllib.error.HTTPError):
        fresh.pay_bill(company="selcom", number="1", amount=5000)


def test_number_is_pushed_to_a_phone(fresh, shop, counter):
    """The end comes by notification, with the channel's id; a no is only found by asking."""
    bill = {
        "transid": "P1",
        "utilityref": "123456789012",
        "amount": 5000,
        "vendor": shop.keys["vendor"],
        "msisdn": "255712345671",
    }
    assert shop.post("/wallet/pushussd", **bill)[1] == "000"
    assert shop.post("/wallet/pushussd", **bill)[1] == "409"
    assert shop.post("/wallet/pushussd", **{**bill, "transid": "P2"})[1] == "000"
    assert shop.post("/wallet/pushussd", **{**bill, "transid": "P3", "vendor": "X"})[0] == 403
    assert shop.get("/c2b/query-status", transid="P1")["resultcode"] == "111"
    assert shop.get("/checkout/order-status", order_id="P1")["resultcode"] == "404"

    fresh.approve(reference="P1")
    fresh.decline(reference="P2")

    deadline = time.monotonic() + 10
    while not counter.asked and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    [(path, _, told)] = counter.asked
    assert (path, told["utilityref"]) == ("/c2b/notification", "123456789012")
    assert told["transid"] != "P1"
    assert shop.get("/c2b/query-status", transid="P1")["resultcode"] == "000"
    assert shop.get("/c2b/query-status", transid="P2")["result"] == "FAIL"
    assert shop.get("/c2b/query-status", transid="P9")["resultcode"] == "404"
