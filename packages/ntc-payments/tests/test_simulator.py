"""The pretend company, asked over its socket like a real one."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import struct
import threading
import time
from typing import Any

import pytest
from ntc_payments.simulator.companies.pretend import sign
from ntc_payments.simulator.faults import Faults, InvalidFault

from tests.conftest import listening_simulator
from tests.merchant import ORDER, Merchant, MerchantHandler, call


@pytest.fixture
def merchant():
    """Return a factory of merchants that listen."""
    servers = []

    def make(**options: Any) -> Merchant:
        server = Merchant(**options)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def fresh():
    """Run a company with empty books."""
    with listening_simulator() as running:
        yield running


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reference": ""}, "invalid_reference"),
        ({"reference": "A" * 21}, "invalid_reference"),
        ({"reference": "A-1"}, "invalid_reference"),
        ({"reference": 1}, "invalid_reference"),
        ({"currency": "USD"}, "invalid_currency"),
        ({"amount": "500"}, "invalid_amount"),
        ({"amount": 500.5}, "invalid_amount"),
        ({"amount": True}, "invalid_amount"),
        ({"amount": 99}, "invalid_amount"),
        ({"amount": 5_000_001}, "invalid_amount"),
        ({"phone": "+255712345678"}, "invalid_phone"),
        ({"phone": "254712345678"}, "invalid_phone"),
        ({"phone": 255712345678}, "invalid_phone"),
        ({"callback_url": "ftp://x"}, "invalid_callback_url"),
        ({"callback_url": None}, "invalid_callback_url"),
    ],
)
def test_wrong_order_is_refused_without_a_prompt(company, changes, code):
    """As picky as a real company."""
    company.turn_dial()
    before = len(company.prompts(waiting_only=False))

    status, answer = call(company, "POST", "/v1/collections", {**ORDER, **changes})

    assert (status, answer["code"]) == (400, code)
    assert len(company.prompts(waiting_only=False)) == before


def test_merchant_side_needs_the_key_and_the_rest_is_not_there(company):
    """401, 404, and a body that is no JSON."""
    company.turn_dial()
    assert call(company, "POST", "/v1/collections", ORDER, key="wrong")[0] == 401
    assert call(company, "GET", "/v1/collections/NONE", key="wrong")[0] == 401
    assert call(company, "GET", "/v1/collections/NONE")[0] == 404
    assert call(company, "GET", "/v1/elsewhere")[0] == 404
    assert call(company, "POST", "/v1/collections", b"[1]")[1]["code"] == "invalid_body"
    assert call(company, "POST", "/v1/collections", b"{")[1]["code"] == "invalid_body"
    assert call(company, "POST", "/phone/prompts/none/approve", {})[0] == 404
    assert call(company, "GET", "/health") == (200, {"status": "ok"})


def test_large_body_is_refused_unread(company):
    """And the connection closed."""
    status, answer = call(company, "POST", "/v1/collections", b"x" * (64 * 1024 + 1))

    assert (status, answer["code"]) == (413, "too_large")


def test_reference_is_used_once(fresh):
    """The second order with it is refused, whatever its content; the phone shows one prompt."""
    assert call(fresh, "POST", "/v1/collections", ORDER)[0] == 201

    status, answer = call(fresh, "POST", "/v1/collections", {**ORDER, "amount": 900})

    assert (status, answer["code"]) == (409, "duplicate_reference")
    assert [prompt["amount"] for prompt in fresh.prompts()] == [500]


def test_prompt_is_answered_once(fresh):
    """Approved, and then neither declined nor canceled."""
    call(fresh, "POST", "/v1/collections", ORDER)

    assert fresh.approve(reference="A1")["status"] == "PAID"

    uid = fresh.prompts_of("A1")[0]["uid"]
    assert call(fresh, "POST", f"/phone/prompts/{uid}/decline", {})[0] == 409
    assert call(fresh, "POST", "/v1/collections/A1/cancel", {})[0] == 409
    assert call(fresh, "GET", "/v1/collections/A1")[1]["status"] == "PAID"
    assert fresh.prompts() == []


def test_prompt_that_nobody_answers_expires_and_says_so(merchant):
    """With a callback, as for every other end."""
    shop = merchant()
    with listening_simulator(prompt_seconds=0.3) as simulator:
        call(simulator, "POST", "/v1/collections", {**ORDER, "callback_url": shop.url})
        [(_, body)] = shop.wait_for(1)

    event = json.loads(body)
    assert event["type"] == "collection.expired"
    assert event["data"]["reference"] == "A1"


def test_callback_is_signed_and_repeated_until_it_is_taken(fresh, merchant):
    """The same event id each time, a fresh time stamp, a signature over both."""
    shop = merchant(refusals=2)
    call(fresh, "POST", "/v1/collections", {**ORDER, "callback_url": shop.url})

    fresh.approve(reference="A1")
    deliveries = shop.wait_for(3)
    time.sleep(1.2)

    assert len(shop.deliveries) == 3
    assert len({json.loads(body)["id"] for _, body in deliveries}) == 1
    for headers, body in deliveries:
        timestamp = headers["x-simulator-timestamp"]
        secret = fresh.options["webhook_secret"]
        assert headers["x-simulator-signature"] == sign(secret, timestamp=timestamp, body=body)
        assert abs(int(timestamp) - time.time()) < 30


def test_callback_to_nobody_is_repeated_when_somebody_listens(fresh, merchant):
    """Refused connections are retried like refusals."""
    shop = merchant()
    url = shop.url
    shop.shutdown()
    shop.server_close()
    call(fresh, "POST", "/v1/collections", {**ORDER, "callback_url": url})
    fresh.approve(reference="A1")
    time.sleep(0.4)

    port = int(url.split(":")[2].split("/")[0])
    late = Merchant.__new__(Merchant)
    late.refusals, late.deliveries = 0, []
    http.server.ThreadingHTTPServer.__init__(late, ("127.0.0.1", port), MerchantHandler)
    threading.Thread(target=late.serve_forever, args=(0.05,), daemon=True).start()
    try:
        assert len(late.wait_for(1)) == 1
    finally:
        late.shutdown()
        late.server_close()


@pytest.mark.parametrize(("fault", "count"), [("drop", 0), ("duplicate", 2)])
def test_dial_drops_and_doubles_callbacks(fresh, merchant, fault, count):
    """As networks do."""
    shop = merchant()
    fresh.turn_dial(callback=fault, callback_delay_seconds=0.1)
    call(fresh, "POST", "/v1/collections", {**ORDER, "callback_url": shop.url})

    fresh.decline(reference="A1")
    shop.wait_for(2, seconds=1.5)

    assert len(shop.deliveries) == count


def test_merchant_who_hangs_up_is_no_error(fresh, capfd):
    """And the next one is served."""
    fresh.turn_dial(query="hang", hang_seconds=0.3, times=1)
    address = ("127.0.0.1", int(fresh.base_url.rsplit(":", 1)[1]))
    with socket.create_connection(address) as connection:
        key = fresh.options["api_key"]
        connection.sendall(
            f"GET /v1/collections/A1 HTTP/1.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        )
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.6)

    assert call(fresh, "GET", "/v1/collections/A1")[0] == 404
    assert capfd.readouterr().err == ""


def test_dial_counts_and_can_be_read(fresh):
    """`times` faults, then a good day again; `delay_seconds` holds back every answer."""
    fresh.turn_dial(query="error", times=1, delay_seconds=0.2)
    assert call(fresh, "GET", "/faults")[1]["query"] == "error"
    started = time.monotonic()

    statuses = [call(fresh, "GET", "/v1/collections/A1")[0] for _ in range(2)]

    assert statuses == [502, 404]
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(
    "values",
    [{"wind": 1}, {"start": "sulk"}, {"times": -1}, {"hang_seconds": "long"}, {"times": True}],
)
def test_dial_refuses_positions_it_does_not_have(company, values):
    """A typing error in a test must not test nothing."""
    with pytest.raises(InvalidFault):
        Faults.parse(values)
    assert call(company, "PUT", "/faults", values)[0] == 400


def ask_as(simulator: Any, method: str, path: str, **headers: str) -> int:
    """Return the status of a request with these headers, as a browser would send them."""
    connection = http.client.HTTPConnection(simulator.base_url.removeprefix("http://"), timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in {"Content-Length": "0", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8001"},
        {"Host": ""},
        {"Host": "[broken"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "localhost:8001", "Origin": "http://evil.example"},
    ],
)
def test_a_page_of_another_site_presses_no_buttons(fresh, headers):
    """Nor does a name that its owner has pointed at this machine."""
    call(fresh, "POST", "/v1/collections", ORDER)
    [prompt] = fresh.prompts()

    for method, path in [
        ("GET", "/phone/prompts"),
        ("POST", f"/phone/prompts/{prompt['uid']}/approve"),
        ("POST", f"/phone/prompts/{prompt['uid']}/decline"),
        ("PUT", "/faults"),
    ]:
        assert ask_as(fresh, method, path, **headers) == 403

    assert fresh.prompts() == [prompt]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8001"},
        {"Host": "LOCALHOST"},
        {"Host": "[::1]:8001"},
        {"Host": "127.0.0.1", "Origin": "http://localhost:8000"},
    ],
)
def test_this_machine_has_several_names(fresh, headers):
    assert ask_as(fresh, "GET", "/phone/prompts", **headers) == 200


def test_the_merchants_side_asks_for_the_key_only(fresh):
    """Whatever the merchant calls this machine."""
    key = {"Authorization": f"Bearer {fresh.options['api_key']}"}

    assert ask_as(fresh, "GET", "/v1/collections/A1", Host="simulator:8001", **key) == 404
