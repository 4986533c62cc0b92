"""What became of an order at Selcom, and withdrawing it."""

from __future__ import annotations

import logging

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer
from ntc_core.money import Money
from ntc_payments.types import (
    Claim,
    FailureCode,
    Observation,
)

from tests.scripted_company import scripted_company
from tests.selcom_company import (
    BODIES,
    CANCEL,
    REFERENCE,
    STATUS,
    UNCLEAR,
    envelope,
    handle,
    make_provider,
    order_row,
)


@pytest.fixture
def scripted():
    """Run a Selcom that answers what the test says."""
    with scripted_company() as company:
        yield company


@pytest.mark.parametrize(
    ("word", "claim", "failure"),
    [
        ("PENDING", Claim.ACCEPTED, None),
        ("INPROGRESS", Claim.ACCEPTED, None),
        ("COMPLETED", Claim.SUCCESS, None),
        ("COMPLETE", Claim.SUCCESS, None),
        (" Completed ", Claim.SUCCESS, None),
        ("REJECTED", Claim.FAILURE, FailureCode.DECLINED),
        ("FAILED", Claim.FAILURE, FailureCode.OTHER),
        ("FAIL", Claim.FAILURE, FailureCode.OTHER),
        ("CANCELLED", Claim.FAILURE, FailureCode.CANCELED),
        ("CANCELED", Claim.FAILURE, FailureCode.CANCELED),
        ("CANCEL", Claim.FAILURE, FailureCode.CANCELED),
        ("USERCANCELLED", Claim.FAILURE, FailureCode.CANCELED),
        ("USERCANCELED", Claim.FAILURE, FailureCode.CANCELED),
        ("EXPIRED", Claim.FAILURE, FailureCode.TIMED_OUT),
        ("REFUNDED", Claim.ACCEPTED, None),
        ("SETTLED", Claim.ACCEPTED, None),
    ],
)
def test_each_status_word(scripted, caplog, word, claim, failure):
    """One that nobody lists is on its way, and wakes staff."""
    scripted.answer(STATUS, order_row(payment_status=word))

    [observation] = make_provider(scripted.base_url).query(handle())

    assert (observation.claim, observation.failure_code) == (claim, failure)
    assert observation.money == Money.from_major(25_000, "TZS")
    assert observation.provider_ref == "0281121212"
    alarms = [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    assert bool(alarms) is (word in {"REFUNDED", "SETTLED"})
    assert dict(scripted.calls[0].query) == {"order_id": REFERENCE}


def test_sample_of_a_pending_order_has_no_payment_yet(scripted):
    """Its own number is that of the answer, not of a payment."""
    row = BODIES["order_status_pending"]["data"][0]
    scripted.answer(STATUS, BODIES["order_status_pending"])

    [observation] = make_provider(scripted.base_url).query(handle(reference=row["order_id"]))

    assert (observation.claim, observation.provider_ref) == (Claim.ACCEPTED, "")


@pytest.mark.parametrize("status", [200, 404])
def test_unknown_order_is_not_found(scripted, status):
    """Which is not a failure."""
    scripted.answer(STATUS, BODIES["order_status_unknown"], status=status)

    [observation] = make_provider(scripted.base_url).query(handle())

    assert observation == Observation(reference=REFERENCE, claim=Claim.NOT_FOUND)


@pytest.mark.parametrize(
    "name", [*UNCLEAR, "running", "failed", "door", "busy", "no rows", "strange rows"]
)
def test_answer_that_decides_nothing_says_nothing(scripted, name):
    """Neither "failed" nor "not found"; the attempt keeps its state."""
    more = {
        "running": (200, envelope("111", "PENDING")),
        "failed": (200, envelope("400")),
        "door": (403, BODIES["not_enabled_http_403"]),
        "busy": (429, b""),
        "no rows": (200, envelope("000", "SUCCESS")),
        "strange rows": (200, envelope("000", "SUCCESS", data=["order", None])),
    }
    status, body = {**UNCLEAR, **more}[name]
    scripted.answer(STATUS, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        make_provider(scripted.base_url).query(handle())


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": "P0000000000000000000"},
        {"order_id": ""},
        {"payment_status": None},
        {"amount": 25000.0},
        {"amount": True},
        {"amount": "25,000"},
        {"currency": "XXX"},
        {"reference": "1" * 151},
    ],
)
def test_order_in_another_shape_is_unreadable(scripted, changes):
    """Nothing is guessed about money."""
    scripted.answer(STATUS, order_row(**changes))

    with pytest.raises(AnswerUnreadable):
        make_provider(scripted.base_url).query(handle())


@pytest.mark.parametrize(
    ("changes", "money"),
    [
        ({"amount": "25000.00"}, Money.from_major(25_000, "TZS")),
        ({"amount": 25000}, Money.from_major(25_000, "TZS")),
        ({"currency": "USD", "amount": "10"}, Money.from_major(10, "USD")),
        ({"amount": None}, None),
    ],
)
def test_amount_is_read_as_it_is_told(scripted, changes, money):
    """A currency that is told counts; without an amount a success proves nothing."""
    scripted.answer(STATUS, order_row(**changes))

    assert make_provider(scripted.base_url).query(handle())[0].money == money


def test_order_paid_twice_is_two_observations(scripted):
    """The second charge must not get lost."""
    first, second = order_row()["data"][0], order_row(reference="0281121213")["data"][0]
    scripted.answer(STATUS, {**order_row(), "data": [first, second]})

    observations = make_provider(scripted.base_url).query(handle())

    assert [one.provider_ref for one in observations] == ["0281121212", "0281121213"]


# Withdrawing.


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, BODIES["cancel_ok"]),
        (200, envelope("400", message="Order is completed")),
        (404, BODIES["order_status_unknown"]),
    ],
)
def test_cancel_is_the_query_string_of_a_delete(scripted, status, body):
    """An order that is over, or not there, does no harm."""
    scripted.answer(CANCEL, body, status=status)

    make_provider(scripted.base_url).cancel(handle())

    [call] = scripted.calls
    assert (call.target, call.text) == (f"/v1/checkout/cancel-order?order_id={REFERENCE}", "")
    assert call.headers["signed-fields"] == "order_id"


@pytest.mark.parametrize("name", [*UNCLEAR, "door"])
def test_cancel_without_an_answer_is_tried_again(scripted, name):
    """By whoever asked for it."""
    status, body = UNCLEAR.get(name, (403, b""))
    scripted.answer(CANCEL, body, status=status)

    with pytest.raises((NoAnswer, AnswerUnreadable)):
        make_provider(scripted.base_url).cancel(handle())
