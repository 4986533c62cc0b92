"""Selcom's payouts in the simulator: three rails over one float."""

from __future__ import annotations

import pytest

from tests.conftest import listening_simulator
from tests.selcom_merchant import SelcomMerchant

FLOAT = {"vendor": "FLOAT60000001", "pin": "000000"}
WALLET = {
    "transid": "P1",
    "utilitycode": "CASHIN",
    "utilityref": "255712345671",
    "amount": 5000,
    **FLOAT,
}
PESA = {"transid": "P1", "utilityref": "255712345671", "amount": 5000, **FLOAT}
BANK = {
    "transid": "P1",
    "recipientFiCode": "CRDBBANK",
    "recipientAccount": "0150123451",
    "recipientName": "Asha Juma",
    "senderAccount": "60000001",
    "senderName": "Faraja",
    "amount": 5000,
    **FLOAT,
    "msisdn": "255712345671",
    "purpose": "SALARY",
}
RAILS = [
    ("walletcashin", "/walletcashin/process", WALLET, "utilityref"),
    ("selcompesa", "/selcompesa/cashin", PESA, "utilityref"),
    ("qwiksend", "/qwiksend/process", BANK, "recipientAccount"),
]


@pytest.fixture
def shop():
    """Return a merchant of a Selcom with empty books."""
    with listening_simulator() as running:
        yield SelcomMerchant(running)


@pytest.mark.parametrize("way", RAILS)
@pytest.mark.parametrize(
    ("last", "answered", "asked"),
    [("1", "000", "000"), ("0", "111", "111"), ("9", "111", "010"), ("8", "999", "000")],
)
def test_last_digit_of_the_receiver_decides(shop, way, last, answered, asked):
    """Paid, in progress, failed afterwards, or paid without saying so."""
    rail, path, fields, receiver = way
    values = {**fields, receiver: fields[receiver][:-1] + last}

    status, code, body = shop.post(path, **values)

    assert (status, code, body["transid"]) == (200, answered, "P1")
    told = shop.get(f"/{rail}/query", transid="P1")
    assert (told["resultcode"], told["reference"]) == (asked, body["reference"])
    assert bool(told["data"]) == (asked == "000")
    others = {name for name, _, _, _ in RAILS} - {rail}
    for other in others:
        assert shop.get(f"/{other}/query", transid="P1")["result"] == "AMBIGOUS"
    paid = 500_000 if asked == "000" else 0
    money = shop.simulator.books()["selcom"]["money"].get("TZS", {"paid_out": 0})
    assert money["paid_out"] == paid


@pytest.mark.parametrize(("path", "fields"), [rail[1:3] for rail in RAILS])
def test_transid_pays_once(shop, path, fields):
    """The second call is refused, whatever it says."""
    shop.post(path, **fields)

    assert shop.post(path, **{**fields, "amount": 6000})[1] == "409"
    assert shop.simulator.books()["selcom"]["money"]["TZS"]["paid_out"] == 500_000


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"utilityref": "25571234567"}, (200, "010")),
        ({"utilityref": "255212345671"}, (200, "010")),
        ({"amount": 999}, (200, "013")),
        ({"amount": 1_000_001}, (200, "990")),
        ({"amount": "5000.00"}, (412, "412")),
        ({"utilitycode": "MPESA"}, (412, "412")),
        ({"transid": "P 1"}, (412, "412")),
        ({"transid": "P" * 21}, (412, "412")),
        ({"vendor": "TILL60000001"}, (403, "403")),
        ({"pin": "111111"}, (403, "403")),
    ],
)
def test_wrong_wallet_payout_is_refused(shop, changes, expected):
    """And nothing leaves."""
    status, code, _ = shop.post("/walletcashin/process", **{**WALLET, **changes})

    assert (status, code) == expected
    assert shop.simulator.books()["selcom"]["money"] == {}


@pytest.mark.parametrize("name", BANK)
def test_bank_payout_needs_every_parameter(shop, name):
    fields = {key: value for key, value in BANK.items() if key != name}

    assert shop.post("/qwiksend/process", **fields)[0] == 412


def test_local_form_of_a_number_is_taken(shop):
    assert shop.post("/walletcashin/process", **{**WALLET, "utilityref": "0712345671"})[1] == "000"


def test_float_is_prepaid(shop):
    """What is pending is reserved, what failed is not; collected money does not count."""
    for transid, last in (("P1", "1"), ("P2", "0"), ("P3", "9")):
        shop.post(
            "/walletcashin/process",
            **{**WALLET, "transid": transid, "utilityref": f"25571234567{last}"},
        )

    _, code, body = shop.post("/vendor/balance", transid="B1", **FLOAT)

    assert (code, body["data"]) == ("000", [{"balance": "990000"}])
    assert shop.post("/vendor/balance", transid="B1", **{**FLOAT, "pin": "1"})[0] == 403


def test_names_are_looked_up(shop):
    """With the transid that the payout will have."""
    for path, fields in (
        ("/walletcashin/namelookup", {"utilitycode": "VMCASHIN", "utilityref": "255712345671"}),
        ("/selcompesa/namelookup", {"utilityref": "255712345671"}),
        ("/qwiksend/lookup", {"bank": "NMB", "account": "0150123451"}),
        ("/qwiksend/lookup/", {"bank": "NMB", "account": "0150123451"}),
    ):
        body = shop.get(path, **fields, transid="P1")
        assert (body["transid"], body["data"]) == ("P1", [{"name": "ASHA JUMA"}])
    assert shop.call("GET", "/qwiksend/lookup", {"bank": "NOPE", "transid": "P1"})[0] == 412
