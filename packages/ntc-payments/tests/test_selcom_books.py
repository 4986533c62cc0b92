"""Selcom's float and its list of orders."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer
from ntc_core.money import Money
from ntc_payments.types import (
    StatementEntry,
    Subject,
)

from tests.scripted_company import scripted_company
from tests.selcom_company import BODIES, UNCLEAR, envelope, make_provider

BALANCE = "POST /v1/vendor/balance"
LIST = "GET /v1/checkout/list-orders"


@pytest.fixture
def scripted():
    """Run a Selcom that answers what the test says."""
    with scripted_company() as company:
        yield company


def test_balance_is_the_floats(scripted):
    """In whole shillings."""
    scripted.answer(BALANCE, BODIES["balance_ok"])

    balances = make_provider(scripted.base_url).list_balances()

    body = scripted.calls[0].body
    assert balances == [Money.from_major(1_000_000, "TZS")]
    assert (body["vendor"], body["pin"]) == ("FLOAT60000001", "738194")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, envelope("990")),
        (403, b""),
        (200, envelope("000", "SUCCESS")),
        (200, envelope("000", "SUCCESS", data=[{}])),
        (200, envelope("000", "SUCCESS", data=[{"balance": "much"}])),
    ],
)
def test_balance_that_is_not_told_is_not_zero(scripted, status, body):
    """It stops nothing and hides nothing."""
    scripted.answer(BALANCE, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        make_provider(scripted.base_url).list_balances()


def row(**changes: Any) -> dict[str, Any]:
    """Return a row of list-orders."""
    return {
        "order_id": "P1",
        "creation_date": "2026-03-02 23:30:00",
        "amount": "25000",
        "payment_status": "COMPLETED",
        **changes,
    }


def statement(scripted: Any, currency: str = "TZS") -> list[StatementEntry]:
    """Ask for two days."""
    return list(
        make_provider(scripted.base_url).fetch_statement(
            first=date(2026, 3, 1), last=date(2026, 3, 2), currency=currency
        )
    )


def test_statement_is_the_orders_that_were_paid(scripted):
    """An order that was left or waits moved no money; one of the day before may have."""
    rows = [row(), row(order_id="P2", payment_status="CANCEL"), row(payment_status="PENDING")]
    scripted.answer(LIST, envelope("000", "SUCCESS", data=rows))

    entries = statement(scripted)

    assert entries == [
        StatementEntry(
            line_key="P1",
            subject=Subject.PAYMENT,
            reference="P1",
            money=Money.from_major(25_000, "TZS"),
            booked_at=datetime(2026, 3, 2, 20, 30, tzinfo=UTC),
        )
    ]
    assert scripted.calls[0].query == {"fromdate": "2026-02-28", "todate": "2026-03-02"}


@pytest.mark.parametrize(
    "body", [envelope("404", message="No orders"), envelope("000", "SUCCESS", data=[])]
)
def test_days_without_orders_are_empty(scripted, body):
    """As is the statement of another currency, without a call."""
    scripted.answer(LIST, body)

    assert statement(scripted) == []
    assert statement(scripted, currency="USD") == []
    assert len(scripted.calls) == 1


@pytest.mark.parametrize("name", [*UNCLEAR, "door", "refused"])
def test_statement_without_an_answer_is_not_empty(scripted, name):
    """An empty day would look like missing money."""
    more = {"door": (403, b""), "refused": (200, envelope("400"))}
    status, body = {**UNCLEAR, **more}[name]
    scripted.answer(LIST, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        statement(scripted)


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": None},
        {"amount": None},
        {"amount": "many"},
        {"creation_date": "yesterday"},
        {"creation_date": None},
        {"payment_status": None},
    ],
)
def test_statement_with_a_strange_row_is_unreadable(scripted, changes):
    """Half a day is not compared with a whole one."""
    scripted.answer(LIST, envelope("000", "SUCCESS", data=[row(), row(**changes)]))

    with pytest.raises(AnswerUnreadable):
        statement(scripted)


@pytest.mark.parametrize(
    ("direct_push", "listed"),
    [(False, ("mobile_push", "hosted_checkout", "card")), (True, ("hosted_checkout", "card"))],
)
def test_only_orders_can_be_missing_in_the_statement(direct_push, listed):
    """What never was an order, a number, a prompt alone or a payout, is not in the list."""
    capabilities = make_provider("http://127.0.0.1:1", direct_push=direct_push).capabilities

    assert "control_number" in capabilities.methods
    assert capabilities.statement_methods == listed
    assert capabilities.statement_subjects == (Subject.PAYMENT,)


def test_long_day_fits(scripted):
    """The list has no pages."""
    rows = [row(order_id=f"P{number}") for number in range(10_000)]
    scripted.answer(LIST, envelope("000", "SUCCESS", data=rows))

    assert len(statement(scripted)) == 10_000
