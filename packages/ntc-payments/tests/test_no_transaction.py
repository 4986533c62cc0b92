"""No database transaction is open while a company is asked; the database itself says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections, transaction
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import PaymentAttempt

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

OPEN_TRANSACTIONS = """
    SELECT state, query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
      AND backend_type = 'client backend'
"""


def open_transactions_during(call: Callable[[], Any], *, seconds: float = 0.6) -> list[Any]:
    """Run the call in another thread and look, in the middle of it, who has a transaction."""
    ended = threading.Event()

    def run() -> None:
        try:
            call()
        finally:
            connections.close_all()
            ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(seconds)
    assert not ended.is_set(), "the call did not hang, so nothing was observed"
    with connection.cursor() as cursor:
        cursor.execute(OPEN_TRANSACTIONS)
        rows = cursor.fetchall()
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        [watched] = cursor.fetchone()
    assert watched, "the other connection was not seen at all"
    thread.join(timeout=20)
    return rows


def test_nothing_is_open_while_the_start_hangs(start, simulator):
    """By the job, as in production."""
    simulator.turn_dial(start="hang_after", hang_seconds=3)
    payment = start()

    assert open_transactions_during(run_due_jobs) == []

    assert payment.attempts.get().status == "unknown"


def test_nothing_is_open_while_a_query_hangs(start, simulator):
    """The same for polling."""
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    simulator.turn_dial(query="hang", hang_seconds=3)

    assert open_transactions_during(lambda: services.poll_attempt(attempt_id=attempt.pk)) == []


def test_nothing_is_open_while_a_cancel_is_slow(start, simulator):
    """And for withdrawing."""
    payment = start()
    run_due_jobs()
    simulator.turn_dial(delay_seconds=0.9)
    services.cancel_payment(payment=payment)

    assert open_transactions_during(run_due_jobs) == []


def test_the_watch_would_see_an_open_transaction(start):
    """The test of the tests above."""
    payment = start()

    def hold() -> None:
        with transaction.atomic():
            PaymentAttempt.objects.select_for_update().get(payment=payment)
            time.sleep(1.2)

    assert open_transactions_during(hold) != []
