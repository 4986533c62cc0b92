"""What was asked of a company is kept, and nothing of what it carried."""

from __future__ import annotations

import logging

import pytest
from django.db import DataError, connection
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import CompanyExchange
from ntc_payments.services.exchanges import MOST_KEPT, recorded

pytestmark = pytest.mark.django_db

START, QUERY = CompanyExchange.Purpose.START, CompanyExchange.Purpose.QUERY


def test_call_is_kept_with_how_it_ended(start, simulator):
    payment = start()

    run_due_jobs()

    [exchange] = CompanyExchange.objects.all()
    assert exchange.attempt == payment.attempts.get()
    assert (exchange.purpose, exchange.method, exchange.host) == ("start", "POST", "127.0.0.1")
    assert (exchange.path, exchange.http_status, exchange.error) == ("/v1/collections", 201, "")
    assert str(exchange).startswith("start: POST 127.0.0.1/v1/collections → 201, ")
    kept = str(CompanyExchange.objects.values().get())
    assert simulator.options["api_key"] not in kept
    assert "712345678" not in kept


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ("error_after", 500, "NoAnswer"),
        ("hang_before", None, "NoAnswer"),
        ("html", 200, "NoAnswer"),
    ],
)
def test_call_that_failed_is_kept_with_its_failure(start, simulator, fault, status, error):
    """A status that the provider made nothing of is kept beside what it made of it."""
    simulator.turn_dial(start=fault, hang_seconds=3)
    start()

    run_due_jobs()

    [exchange] = CompanyExchange.objects.all()
    assert (exchange.http_status, exchange.error) == (status, error)


def test_queries_and_withdrawals_are_kept(start, simulator):
    payment = start()
    run_due_jobs()
    services.poll_attempt(attempt_id=payment.attempts.get().pk)

    services.cancel_payment(payment=payment)
    run_due_jobs()

    purposes = list(CompanyExchange.objects.values_list("purpose", flat=True))
    assert purposes[:2] == ["start", "query"]
    assert "cancel" in purposes


def test_provider_that_breaks_before_any_call_is_kept(start, settings):
    settings.NTC_PAYMENT_PROVIDERS = {
        "hosted": {"class": "tests.companies.HostedProvider", "result": "broken"}
    }
    start(method="hosted_checkout", phone=None)

    run_due_jobs()

    [exchange] = CompanyExchange.objects.all()
    assert (exchange.method, exchange.error) == ("", "ZeroDivisionError")
    assert "nothing was called → ZeroDivisionError" in str(exchange)


def test_table_takes_no_more_than_its_share(start, simulator):
    """A company that makes us ask without end fills the log, not the table."""
    attempt = start().attempts.get()
    run_due_jobs()
    kept = CompanyExchange.objects.get()
    CompanyExchange.objects.bulk_create(
        CompanyExchange(attempt=attempt, purpose=QUERY, started_at=kept.started_at, duration_ms=1)
        for _ in range(MOST_KEPT - 2)
    )

    services.poll_attempt(attempt_id=attempt.pk)
    assert CompanyExchange.objects.count() == MOST_KEPT
    services.poll_attempt(attempt_id=attempt.pk)

    assert CompanyExchange.objects.count() == MOST_KEPT


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_record_that_cannot_be_written_changes_nothing(start, simulator, caplog):
    """The payment matters more: the table is away, the payer has the prompt."""
    payment = start()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ntc_payments_companyexchange RENAME TO elsewhere")
    try:
        with caplog.at_level(logging.ERROR):
            run_due_jobs()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO ntc_payments_companyexchange")

    assert payment.attempts.get().status == "pending"
    assert "payment.exchange_not_kept" in [record.message for record in caplog.records]


def test_record_lets_the_error_of_the_call_through(start, simulator):
    attempt = start().attempts.get()

    with pytest.raises(DataError), recorded(attempt, purpose=START):
        raise DataError

    assert CompanyExchange.objects.get().error == "DataError"
