"""Beem in the simulator, asked over its socket as the sheet says."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ntc_payments.simulator.companies.beem import Beem
from ntc_payments.simulator.exchange import Refused, Request
from ntc_payments.simulator.store import Store

from tests.beem_merchant import BeemMerchant
from tests.conftest import listening_simulator
from tests.merchant import Merchant

VECTORS = json.loads((Path(__file__).parent / "vectors" / "beem.json").read_text())
SAMPLES = {vector["name"]: vector for vector in VECTORS["callbacks"]}


@pytest.fixture
def fresh():
    """Run the companies with empty books."""
    with listening_simulator() as running:
        yield running


@pytest.fixture
def shop(fresh):
    """Return a merchant of Beem."""
    return BeemMerchant(fresh)


@pytest.fixture
def hook(fresh):
    """Listen for callbacks, and say so on the dashboard."""
    server = Merchant()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    fresh.options_of("beem", callback_url=server.url)
    yield server
    server.shutdown()
    server.server_close()


def error_of(src: str) -> str:
    """Return the message of a page that is an error, or nothing."""
    parts = urlsplit(src)
    return parse_qs(parts.query)["message"][0] if parts.path.endswith("/checkout/error") else ""


def test_options_are_those_of_the_provider(fresh):
    """Three addresses below the prefix, and what the dashboard gave."""
    options = fresh.options_of("beem", total_timeout_seconds=1)

    base = f"{fresh.base_url}/beem"
    assert {name: options[name] for name in options if name.endswith("_url")} == {
        "checkout_base_url": base,
        "balance_base_url": base,
        "disbursement_base_url": base,
    }
    assert (options["reference_prefix"], options["paybill_number"]) == ("SAMPLE-", "000123")


@pytest.mark.parametrize("vector", VECTORS["authorizations"], ids=lambda vector: vector["api_key"])
def test_authorization_is_the_vectors(vector):
    """And no other."""
    keys = {"api_key": vector["api_key"], "secret_key": vector["secret_key"]}
    beem = Beem(store=Store(":memory:"), secrets=keys)

    def ask(authorization: str) -> Any:
        headers = {"Authorization": authorization}
        target = "/v1/credit-balance?app_name=BPAY"
        return beem.read_balance(Request.of(method="GET", target=target, headers=headers, body=b""))

    assert ask(vector["authorization"]).status == 200
    for wrong in (f"{vector['authorization']}x", f"Basic {vector['api_key']}", ""):
        with pytest.raises(Refused) as refused:
            ask(wrong)
        assert (refused.value.answer.status, refused.value.answer.body["code"]) == (401, 120)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/checkout"),
        ("POST", "/v1/whitelist/add-to-list"),
        ("POST", "/transfer"),
        ("GET", "/v1/credit-balance"),
    ],
)
def test_every_call_needs_the_keys(company, method, path):
    status, body = BeemMerchant(company).call(method, path, {}, Authorization="Basic azpz")

    assert (status, body["code"]) == (401, 120)


# Checkout.


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mobile": "0712345671"}, 100),
        ({"mobile": "+255712345671"}, 100),
        ({"amount": None}, 101),
        ({"amount": "0"}, 101),
        ({"amount": "25000.00"}, 101),
        ({"amount": "25,000"}, 101),
        ({"transaction_id": None}, 102),
        ({"transaction_id": "1"}, 102),
        ({"transaction_id": str(uuid.UUID(int=1))}, 102),
        ({"transaction_id": uuid.uuid4().hex}, 102),
    ],
)
def test_wrong_parameter_has_its_code(company, changes, code):
    status, body = BeemMerchant(company).check_out(**changes)

    assert (status, body["code"]) == (400, code)


@pytest.mark.parametrize(
    "changes",
    [
        {"reference_number": None},
        {"reference_number": "OTHER-1"},
        {"reference_number": "SAMPLE-"},
        {"currency": "USD"},
    ],
)
def test_other_errors_hide_in_the_page(fresh, shop, changes):
    """HTTP 200, and nobody is asked for money."""
    status, body = shop.check_out(**changes)

    assert status == 200
    assert error_of(body["src"]).startswith("Invalid ")
    assert fresh.books()["beem"]["prompts"] == {}


def test_transaction_and_reference_are_used_once(fresh, shop):
    one = str(uuid.uuid4())
    shop.check_out(transaction_id=one)

    again = shop.check_out(transaction_id=one, reference_number="SAMPLE-2")[1]
    other = shop.check_out(reference_number="SAMPLE-1")[1]

    assert error_of(again["src"]) == "Transaction already exists"
    assert error_of(other["src"]) == "Reference number already exists"
    assert fresh.books()["beem"]["prompts"] == {"SAMPLE-1": 1}


def test_page_comes_as_json_or_as_a_redirect(fresh, shop):
    status, body = shop.check_out(mobile=None, currency="TZS")
    assert (status, error_of(body["src"])) == (200, "")
    with urllib.request.urlopen(body["src"], timeout=10) as response:
        assert "25000 TZS" in response.read().decode()

    status, address = shop.check_out(sendSource="false", reference_number="SAMPLE-2")

    assert status == 302
    assert address.startswith(f"{fresh.base_url}/checkout/")


@pytest.mark.parametrize(("answer", "status"), [("approve", "success"), ("decline", "failed")])
def test_end_of_a_checkout_is_told_with_its_token(fresh, shop, hook, answer, status):
    """In the shape of the official sample; other payments have other tokens."""
    transaction_id = str(uuid.uuid4())
    shop.check_out(token="another", reference_number="SAMPLE-2")
    shop.check_out(token="cb-token-1", transaction_id=transaction_id)

    getattr(fresh, answer)(reference="SAMPLE-1")

    [(headers, body)] = hook.wait_for(1)
    told = json.loads(body)
    sample = json.loads(SAMPLES["checkout paid, as in the official sample"]["body"])
    assert headers["beem-secure-token"] == "cb-token-1"
    assert {name: type(value) for name, value in told.items()} == {
        name: type(value) for name, value in sample.items()
    }
    del told["timestamp"]
    assert told == {
        "amount": "25000",
        "referenceNumber": "SAMPLE-1",
        "status": status,
        "transactionID": transaction_id,
        "msisdn": "255712345671",
    }
    captured = fresh.books()["beem"]["money"].get("TZS", {"captured": 0})["captured"]
    assert captured == (2_500_000 if status == "success" else 0)


def test_checkout_without_a_token_is_told_without_one(fresh, shop, hook):
    shop.check_out()

    fresh.approve(reference="SAMPLE-1")

    [(headers, _)] = hook.wait_for(1)
    assert "beem-secure-token" not in headers


def test_page_that_nobody_used_is_told_to_nobody():
    """It ends, in silence."""
    server = Merchant()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    with listening_simulator(prompt_seconds=0.2) as running:
        running.options_of("beem", callback_url=server.url)
        BeemMerchant(running).check_out()
        time.sleep(1)
        [prompt] = running.prompts_of("SAMPLE-1")
    server.shutdown()
    server.server_close()

    assert prompt["status"] == "EXPIRED"
    assert server.deliveries == []


def test_site_is_put_on_the_whitelist(company):
    shop = BeemMerchant(company)
    path = "/v1/whitelist/add-to-list"

    taken = shop.call("POST", path, {"website": "https://shop.example"})

    assert taken == (200, {"status": 200, "message": "successful"})
    for wrong in ({}, {"website": "shop.example"}, {"website": 1}, []):
        assert shop.call("POST", path, wrong)[0] == 400


# Pay bill.


def test_number_is_paid_and_told(fresh, hook):
    """Nobody is asked; each payment has an id of its own and no token."""
    for _ in range(2):
        fresh.pay_bill(company="beem", number="123456789012", amount=500)

    first, second = hook.wait_for(2)
    told = json.loads(first[1])
    sample = json.loads(SAMPLES["collection, sample spelling"]["body"])
    assert set(told) == set(sample)
    assert (told["reference_number"], told["amount_collected"], told["paybill_number"]) == (
        *("123456789012", "500.00", "000123"),
    )
    assert told["transaction_id"] != json.loads(second[1])["transaction_id"]
    assert "beem-secure-token" not in first[0]
    assert fresh.books()["beem"]["money"]["TZS"]["captured"] == 100_000


def test_number_that_no_handset_sends_is_nobodys(fresh):
    with pytest.raises(urllib.error.HTTPError):
        fresh.pay_bill(company="beem", number="a b", amount=500)


def test_dial_speaks_beem(fresh, shop):
    """A refusal of the keys, and a 500 with a code."""
    fresh.turn_dial(company="beem", start="expired_token")
    assert shop.check_out()[0] == 401
    fresh.turn_dial(company="beem", payout="error_after")
    assert shop.pay_out() == (500, {"code": 104, "message": "Network timeout"})
    assert fresh.books()["beem"]["money"]["TZS"]["paid_out"] == 500_000
