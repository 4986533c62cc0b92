"""ClickPesa: payouts to wallets and banks, balances, statements, banks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer
from ntc_core.money import Money
from ntc_payments.types import (
    CallHandle,
    Claim,
    FailureCode,
    PayoutDestination,
    PayoutMethod,
    PayoutRequest,
    StartResult,
    StatementEntry,
    Subject,
)

from tests.clickpesa_company import BODIES, Company, running_company
from tests.clickpesa_orders import make_provider

REFERENCE = "PAYTEST0001"
CREATE = "/payouts/create-mobile-money-payout"
QUERY = f"/payouts/{REFERENCE}"
WALLET = PayoutDestination(method=PayoutMethod.MOBILE_WALLET, phone_e164="+255700000002")
BANK = PayoutDestination(
    method=PayoutMethod.BANK_ACCOUNT,
    bank_code="TESTTZTZ",
    account_number="0150000001",
    name="Juma Ally",
)


@pytest.fixture
def company() -> Iterator[Company]:
    """Return a company that knows a token and nothing else yet."""
    with running_company() as running:
        yield running


@pytest.fixture
def provider(company):
    return make_provider(company.base_url)


def payout(destination: PayoutDestination = WALLET, **changes) -> PayoutRequest:
    values = {
        "reference": REFERENCE,
        "money": Money.from_major(10000, "TZS"),
        "destination": destination,
        "description": "Wages",
        **changes,
    }
    return PayoutRequest(**values)


def shillings(amount: int) -> Money:
    return Money.from_major(amount, "TZS")


# Money out.


def test_wallet_payout_has_a_number_as_amount(provider, company):
    """What moved is what we ordered; the fee comes on top."""
    company.answer(CREATE, BODIES["create_payout_ok"])

    outcome = provider.start_payout(payout())

    assert (outcome.result, outcome.provider_ref) == (StartResult.ACCEPTED, "PAYTESTCD")
    assert (outcome.money, outcome.fee) == (shillings(10000), shillings(471))
    body = company.calls_to(CREATE)[0].body
    assert len(body.pop("checksum")) == 64
    assert body == {
        "amount": 10000,
        "currency": "TZS",
        "orderReference": REFERENCE,
        "phoneNumber": "255700000002",
    }


@pytest.mark.parametrize(
    ("amount", "rail"), [(2_500, "ACH"), (20_000_000, "ACH"), (20_000_001, "RTGS")]
)
def test_bank_payout_goes_by_the_rail_that_takes_the_amount(provider, company, amount, rail):
    company.answer("/payouts/create-bank-payout", BODIES["create_payout_ok"])
    request = payout(BANK, money=shillings(amount))

    assert provider.payout_rail(request) == rail
    provider.start_payout(request)

    body = company.calls_to("/payouts/create-bank-payout")[0].body
    del body["checksum"]
    assert body == {
        "amount": amount,
        "currency": "TZS",
        "orderReference": REFERENCE,
        "accountNumber": "0150000001",
        "accountName": "Juma Ally",
        "accountCurrency": "TZS",
        "bic": "TESTTZTZ",
        "transferType": rail,
    }


def test_rail_that_was_kept_before_the_call_is_used(provider, company):
    company.answer("/payouts/create-bank-payout", BODIES["create_payout_ok"])

    provider.start_payout(payout(BANK, rail="RTGS"))

    [call] = company.calls_to("/payouts/create-bank-payout")
    assert call.body["transferType"] == "RTGS"
    assert provider.payout_rail(payout()) == "MOBILE"


@pytest.mark.parametrize("kind", ["mobile-money", "bank"])
def test_preview_tells_fee_and_receiver(provider, company, kind):
    path = f"/payouts/preview-{kind}-payout"
    company.answer(path, BODIES["preview_payout_ok"])
    company.answer(path, {"fee": 471})
    company.answer(path, {"message": "Insufficient balance"}, status=400)
    request = payout(BANK if kind == "bank" else WALLET)

    preview = provider.preview_payout(request)

    assert (preview.fee, preview.receiver_name) == (shillings(471), "Juma Ally")
    assert "accountName" not in company.calls_to(path)[0].body
    assert provider.preview_payout(request).receiver_name == ""
    with pytest.raises(NoAnswer, match="Insufficient balance"):
        provider.preview_payout(request)


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("AUTHORIZED", StartResult.ACCEPTED),
        ("SUCCESS", StartResult.DONE),
        ("FAILED", StartResult.REFUSED),
        # What came back was a success first; the query tells both.
        ("REVERSED", StartResult.ACCEPTED),
        ("REFUNDED", StartResult.ACCEPTED),
    ],
)
def test_payout_that_ends_at_once(provider, company, status, result):
    company.answer(CREATE, {**BODIES["create_payout_ok"], "status": status})

    assert provider.start_payout(payout()).result is result


@pytest.mark.parametrize(
    ("message", "headers", "wait"),
    [
        ("Please wait", {}, 60.0),
        ("Please wait 12s before the next payout", {}, 12.0),
        ("Please wait", {"retry-after": "5"}, 5.0),
    ],
)
def test_cooldown_is_try_later(provider, company, message, headers, wait):
    company.answer(CREATE, {"message": message}, status=429, headers=headers)

    outcome = provider.start_payout(payout())

    assert (outcome.result, outcome.retry_after_seconds) == (StartResult.TRY_LATER, wait)


def test_payout_is_refused_duplicate_or_unclear(provider, company):
    company.answer(CREATE, {"message": ["Insufficient balance in TZS"]}, status=400)
    company.answer(CREATE, BODIES["duplicate_http_409"], status=409)
    company.answer(CREATE, {"message": "Error validating fee, try again later"}, status=500)
    company.answer(CREATE, b"", status=0)
    company.answer(CREATE, {**BODIES["create_payout_ok"], "orderReference": "OTHER"})

    poor = provider.start_payout(payout())
    used = provider.start_payout(payout())

    assert (poor.result, poor.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INSUFFICIENT_FUNDS,
    )
    assert used.result is StartResult.DUPLICATE
    for _ in range(2):
        with pytest.raises(NoAnswer):
            provider.start_payout(payout())
    with pytest.raises(AnswerUnreadable, match="another reference"):
        provider.start_payout(payout())
    assert len(company.calls_to(CREATE)) == 5


def test_refused_keys_refuse_a_payout(provider, company):
    company.answer("/generate-token", {"message": "Unauthorized API-Key"}, status=403)

    assert provider.start_payout(payout()).result is StartResult.REFUSED


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (payout(money=Money.from_major(10, "USD")), "does not take USD"),
        (payout(money=Money.from_major("10.50", "TZS")), "whole TZS"),
        (payout(reference="PAY-1"), "letters and digits"),
        (payout(PayoutDestination(method=PayoutMethod.MOBILE_WALLET)), "numbers of Tanzania"),
        (payout(PayoutDestination(method=PayoutMethod.BANK_ACCOUNT, name="J")), "with its BIC"),
    ],
)
def test_what_it_cannot_pay_out_is_refused_without_a_call(provider, company, request_, sentence):
    outcome = provider.start_payout(request_)

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )
    assert sentence in outcome.failure_message
    assert company.calls == []


@pytest.mark.parametrize(
    ("status", "claim"),
    [
        ("AUTHORIZED", Claim.ACCEPTED),
        ("PENDING", Claim.ACCEPTED),
        ("PROCESSING", Claim.ACCEPTED),
        ("ANYTHING", Claim.ACCEPTED),
        ("SUCCESS", Claim.SUCCESS),
        ("FAILED", Claim.FAILURE),
        ("REFUNDED", Claim.REVERSED),
        ("REVERSED", Claim.REVERSED),
    ],
)
def test_payout_words(provider, company, status, claim):
    """The amount of a query has the fee in it; what moved is the rest."""
    row = {**copy.deepcopy(BODIES["query_payout_ok"][0]), "status": status, "notes": "note"}
    company.answer(QUERY, [row])

    [observation] = provider.query_payout(CallHandle(reference=REFERENCE))

    assert (observation.claim, observation.subject) == (claim, Subject.PAYOUT)
    assert (observation.money, observation.fee) == (shillings(10000), shillings(471))
    assert observation.provider_ref == "PAYTESTCD"
    assert bool(observation.failure_message) is (claim in {Claim.FAILURE, Claim.REVERSED})


def test_what_was_ordered_counts_where_it_is_said(provider, company):
    """Also where the receiver bears the fee, so that it is not on top."""
    order = {"amount": "10000.00", "currency": "TZS"}
    company.answer(QUERY, [{**BODIES["query_payout_ok"][0], "amount": "10000.00", "order": order}])

    [observation] = provider.query_payout(CallHandle(reference=REFERENCE))

    assert (observation.money, observation.fee) == (shillings(10000), shillings(471))


def test_unknown_payout_is_not_found(provider, company):
    unknown = {"message": f"Invalid or missing payout: {REFERENCE}"}
    company.answer(QUERY, unknown, status=404)

    [observation] = provider.query_payout(CallHandle(reference=REFERENCE))

    assert (observation.claim, observation.subject) == (Claim.NOT_FOUND, Subject.PAYOUT)


# The books.


def test_balances(provider, company):
    """An account without a transaction has none; currencies that we do not know are left out."""
    path = "/account/balance"
    strange = [{"currency": "XXX", "balance": 1}, {"currency": "USD", "balance": None}]
    company.answer(path, [*BODIES["balance_ok"], *strange])
    company.answer(path, {"message": "Account not found"}, status=404)
    company.answer(path, b"<html>", status=404)

    assert provider.list_balances() == [shillings(50000), Money.from_major(0, "USD")]
    assert provider.list_balances() == []
    with pytest.raises(NoAnswer):
        provider.list_balances()


def line(**changes) -> dict:
    return {
        "id": "L1",
        "date": "2026-03-02T05:00:00.000Z",
        "description": "Payment",
        "entry": "Credit",
        "amount": "10000.00",
        "currency": "TZS",
        "balance": 50000,
        "orderReference": "ORDTEST0001",
        "type": "PAYMENT",
        **changes,
    }


def test_statement_is_cut_to_the_days_of_dar_es_salaam(provider, company):
    """A day more is asked for on each side."""
    company.answer(
        "/account/statement",
        {
            "accountDetails": {"currency": "TZS"},
            "transactions": [
                line(),
                line(id="L2", entry="Debit", amount=-471, orderReference=None),
                line(id="before", date="2026-03-01T20:59:59Z"),
                line(id="first", date="2026-03-01T21:00:00Z"),
                line(id="plain", date="2026-03-03"),
                line(id="after", date="2026-03-03T21:00:00Z"),
            ],
        },
    )

    entries = provider.fetch_statement(
        first=date(2026, 3, 2), last=date(2026, 3, 3), currency="TZS"
    )

    assert [entry.line_key for entry in entries] == ["L1", "L2", "first", "plain"]
    assert entries[0] == StatementEntry(
        line_key="L1",
        subject=Subject.PAYMENT,
        reference="ORDTEST0001",
        money=shillings(10000),
        booked_at=datetime(2026, 3, 2, 5, tzinfo=UTC),
        description="Payment",
    )
    assert (entries[1].subject, entries[1].money) == (Subject.PAYOUT, shillings(471))
    assert entries[1].reference == ""
    assert entries[3].booked_at == datetime(2026, 3, 2, 21, tzinfo=UTC)
    assert company.calls[-1].query == {
        "currency": "TZS",
        "startDate": "2026-03-01",
        "endDate": "2026-03-04",
    }


def test_fee_in_the_statement_is_no_second_payout(provider, company):
    """A line of its own tells the fee of the one that it names, unless it names none or two."""
    debit = {"entry": "Debit", "orderReference": "PAYTEST1", "type": "PAYOUT"}
    fee = {**debit, "type": "PAYOUT_FEE", "amount": 471}
    company.answer(
        "/account/statement",
        {
            "transactions": [
                line(id="P1", **debit),
                line(id="F1", **fee, date="2026-03-03T21:00:00Z"),
                line(id="F2", **{**fee, "amount": 29}),
                line(id="F3", **{**fee, "orderReference": None}),
                line(id="P2", **{**debit, "orderReference": "PAYTEST2"}),
                line(id="P3", **{**debit, "orderReference": "PAYTEST2"}),
                line(id="F4", **{**fee, "orderReference": "PAYTEST2"}),
                line(id="none", **{**debit, "amount": 0}),
            ]
        },
    )

    entries = provider.fetch_statement(
        first=date(2026, 3, 2), last=date(2026, 3, 3), currency="TZS"
    )

    assert [(entry.line_key, entry.reference, entry.fee) for entry in entries] == [
        ("P1", "PAYTEST1", shillings(500)),
        ("P2", "PAYTEST2", None),
        ("P3", "PAYTEST2", None),
        ("F3", "", None),
        ("F4", "", None),
    ]


@pytest.mark.parametrize(
    "transactions",
    [
        None,
        [7],
        [line(id=None)],
        [line(entry="Sideways")],
        [line(amount=None)],
        [line(date="yesterday")],
    ],
)
def test_statement_out_of_shape_is_unreadable(provider, company, transactions):
    company.answer("/account/statement", {"transactions": transactions})

    with pytest.raises(AnswerUnreadable):
        provider.fetch_statement(first=date(2026, 3, 2), last=date(2026, 3, 2), currency="TZS")


def test_banks(provider, company):
    company.answer("/list/banks", [{"name": "Test Bank", "bic": "TESTTZTZ"}, {"name": "None"}])
    company.answer("/list/banks", {"banks": []})

    assert provider.list_banks() == {"TESTTZTZ": "Test Bank"}
    with pytest.raises(AnswerUnreadable, match="list"):
        provider.list_banks()
