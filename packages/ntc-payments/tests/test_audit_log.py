"""What the log keeps of a payment: what, by which company, by whom; never a person."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import Payment
from ntc_payments.types import Claim

from tests.test_observing import observe

pytestmark = pytest.mark.django_db

#: What makes the staff and the payer recognisable.
PEOPLE = ("712345678", "712 345 678", "asha", "juma@example.com")


@pytest.fixture
def lines(caplog):
    """Return a function that gives the lines of one event, and looks that none names a person."""
    caplog.set_level(logging.DEBUG)

    def read(event: str) -> list[dict[str, Any]]:
        ours = [record for record in caplog.records if record.name.startswith("ntc_")]
        for record in ours:
            told = str(vars(record)).lower()
            assert not [word for word in PEOPLE if word in told], record.getMessage()
        return [vars(record) for record in ours if record.getMessage() == event]

    return read


def test_start_and_what_becomes_of_it(start, lines):
    """Who asked, which company was called, and each status with the one before."""
    payment = start()
    run_due_jobs()
    observe(payment.attempts.get(), Claim.SUCCESS)

    [started] = lines("payment.started")
    moves = [(line["from"], line["to"]) for line in lines("payment.attempt_moved")]
    ends = [(line["from"], line["to"], line["source"]) for line in lines("payment.moved")]

    assert (started["payment"], started["provider"]) == (str(payment.uid), "simulator")
    assert (started["method"], started["by"]) == ("mobile_push", str(payment.payer_id))
    assert moves == [("created", "sending"), ("sending", "pending"), ("pending", "succeeded")]
    assert ends == [
        ("open", "processing", "system"),
        ("processing", "succeeded", "webhook"),
    ]


def test_call_to_a_company_is_a_line(start, lines):
    attempt = start().attempts.get()
    run_due_jobs()

    [line] = lines("payment.exchange")

    assert (line["reference"], line["provider"]) == (attempt.reference, "simulator")


def test_retry_names_who_asked_again(start, lines):
    payment = start()
    run_due_jobs()
    observe(payment.attempts.get(), Claim.FAILURE)

    services.retry_payment(payment=Payment.objects.get(pk=payment.pk))

    [line] = lines("payment.retried")
    assert (line["payment"], line["by"]) == (str(payment.uid), str(payment.payer_id))
