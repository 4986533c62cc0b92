"""`payment_changed`: whoever shows a payment hears of every change, and can break none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from ntc_core.outbox.services import run_due_jobs
from ntc_payments.models import Payment
from ntc_payments.services import poll_attempt
from ntc_payments.signals import payment_changed

pytestmark = pytest.mark.django_db


@contextmanager
def listening(receiver: Callable[..., Any]) -> Iterator[None]:
    payment_changed.connect(receiver)
    try:
        yield
    finally:
        payment_changed.disconnect(receiver)


def settle(payment: Payment, simulator: Any) -> None:
    attempt = payment.attempts.get()
    run_due_jobs()
    simulator.approve(reference=attempt.reference)
    poll_attempt(attempt_id=attempt.pk)
    payment.refresh_from_db()


def test_every_change_is_told_within_its_transaction(start, simulator):
    told = []

    def receiver(sender, payment, **_):
        assert sender is Payment
        told.append((str(payment.status), connection.in_atomic_block))

    with listening(receiver):
        payment = start()
        settle(payment, simulator)

    statuses = [status for status, _ in told]
    assert statuses[-1] == "succeeded"
    assert "processing" in statuses
    assert all(inside for _, inside in told)


def test_a_receiver_that_breaks_cannot_stand_in_the_way_of_money(start, simulator, caplog):
    """It breaks the transaction too, as a failed query does on PostgreSQL."""

    def receiver(**_):
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column")

    with listening(receiver):
        payment = start()
        settle(payment, simulator)

    assert payment.status == "succeeded"
    assert "payment.change_not_told" in caplog.messages
