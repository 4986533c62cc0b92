"""Beem's payouts and balance in the simulator."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.beem_merchant import PAYOUT, BeemMerchant
from tests.conftest import listening_simulator


@pytest.fixture
def fresh():
    """Run the companies with empty books."""
    with listening_simulator() as running:
        yield running


@pytest.fixture
def shop(fresh):
    """Return a merchant of Beem."""
    return BeemMerchant(fresh)


@pytest.mark.parametrize(
    ("last", "code", "paid"),
    [("1", 100, 500_000), ("0", 114, 0), ("9", 101, 0), ("8", 104, 500_000)],
)
def test_last_digit_of_the_receiver_decides(fresh, shop, last, code, paid):
    """Paid, pending, failed, or paid without knowing it."""
    wallet = {**PAYOUT["destination"]["mobile"], "wallet_number": f"25571234567{last}"}

    status, body = shop.pay_out(destination={"mobile": wallet})

    assert (status, body["code"], body["reference_id"]) == (200, code, "P1")
    assert body["transaction_id"]
    money = fresh.books()["beem"]["money"].get("TZS", {"paid_out": 0})
    assert money["paid_out"] == paid


def test_reference_pays_once(fresh, shop):
    shop.pay_out()

    assert shop.pay_out(amount="6000") == (
        400,
        {"code": 105, "message": "Duplicate client_reference_id"},
    )
    assert fresh.books()["beem"]["money"]["TZS"]["paid_out"] == 500_000


@pytest.mark.parametrize(
    "path", ["/transfer", "/v1/transfer", "/webservices/disbursement/transfer"]
)
@pytest.mark.parametrize("amount", [5000, "5000", "5000.00"])
def test_both_addresses_and_every_form_of_an_amount_are_taken(fresh, shop, path, amount):
    body = {**PAYOUT, "amount": amount, "destination": PAYOUT["destination"]["mobile"]}

    status, answer = shop.call("POST", path, {**body, "scheduled_time_utc": "2026-12-01 07:30:00"})

    assert (status, answer["code"]) == (200, 100)
    assert fresh.books()["beem"]["money"]["TZS"]["paid_out"] == 500_000


def wallet(**changes: Any) -> dict[str, Any]:
    return {"destination": {"mobile": {**PAYOUT["destination"]["mobile"], **changes}}}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_reference_id": ""}, 105),
        ({"client_reference_id": 1}, 105),
        ({"source": None}, 105),
        ({"source": {"currency": "TZS"}}, 105),
        ({"source": {"account_no": "ACC-1", "currency": "USD"}}, 105),
        ({"scheduled_time_utc": "01/12/2026"}, 105),
        ({"destination": None}, 105),
        ({"destination": {"mobile": "255712345671"}}, 105),
        (wallet(wallet_code=""), 105),
        (wallet(wallet_number=""), 111),
        (wallet(wallet_number="0712345671"), 102),
        ({"amount": None}, 112),
        ({"amount": "many"}, 113),
        ({"amount": True}, 113),
        ({"amount": "5000.50"}, 113),
        ({"amount": "1000001"}, 103),
    ],
)
def test_wrong_payout_is_refused(fresh, shop, changes, code):
    assert shop.pay_out(**changes)[1]["code"] == code
    assert fresh.books()["beem"]["money"] == {}


def test_balance_counts_collections_and_payouts_on_their_way(fresh, shop):
    fresh.pay_bill(company="beem", number="1", amount=500)
    shop.pay_out()
    shop.pay_out(client_reference_id="P2", **wallet(wallet_number="255712345670"))

    status, body = shop.call("GET", "/v1/credit-balance?app_name=BPAY")

    assert status == 200
    assert body["data"]["credit_bal"].endswith(".0000")
    assert Decimal(body["data"]["credit_bal"]) == 1_000_000 + 500 - 5000 - 5000
    assert shop.call("GET", "/v1/credit-balance?app_name=BANK")[0] == 400
