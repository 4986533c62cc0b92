"""The primitive under every change of status."""

from __future__ import annotations

import pytest
from ntc_payments.models import PaymentAttempt
from ntc_payments.services.moves import move_attempt, move_payment
from ntc_payments.types import AttemptStatus, PaymentStatus, Source

pytestmark = pytest.mark.django_db


def test_move_that_is_not_in_the_tables_is_refused(start):
    """A mistake in our own code, found before it reaches a row."""
    payment = start()
    attempt = payment.attempts.get()

    with pytest.raises(ValueError, match="tables"):
        move_payment(
            payment,
            to=PaymentStatus.OPEN,
            allowed=[PaymentStatus.SUCCEEDED],
            source=Source.STAFF,
        )
    with pytest.raises(ValueError, match="tables"):
        move_attempt(attempt, to=AttemptStatus.CREATED, allowed=[AttemptStatus.UNKNOWN])


def test_move_that_comes_too_late_changes_nothing(start):
    """Zero rows is a normal outcome: somebody else was faster."""
    payment = start()
    attempt = payment.attempts.get()
    PaymentAttempt.objects.update(status="failed")

    moved = move_attempt(
        attempt, to=AttemptStatus.SENDING, allowed=[AttemptStatus.CREATED], changes={"sends": 9}
    )

    attempt.refresh_from_db()
    assert not moved
    assert (attempt.status, attempt.sends, attempt.version) == ("failed", 0, 0)
    assert not move_payment(
        payment,
        to=PaymentStatus.EXPIRED,
        allowed=[PaymentStatus.PROCESSING],
        source=Source.SYSTEM,
    )


def test_move_counts_the_version_and_tells_the_row_in_hand(start):
    """The object says what the row says."""
    payment = start()

    assert move_payment(
        payment,
        to=PaymentStatus.CANCELED,
        allowed=[PaymentStatus.OPEN],
        source=Source.STAFF,
        reason="asked for by phone",
    )

    assert payment.status == "canceled"
    payment.refresh_from_db()
    event = payment.events.last()
    assert (payment.status, payment.version) == ("canceled", 1)
    assert (event.from_status, event.to_status, event.source) == ("open", "canceled", "staff")
    assert event.reason == "asked for by phone"
