"""A break is opened once per difference and closed with a decision."""

from __future__ import annotations

import pytest
from ntc_core.errors import Conflict, InvalidInput
from ntc_core.money import Money
from ntc_payments.models import Break
from ntc_payments.services.breaks import close_break, open_break

pytestmark = pytest.mark.django_db


def open_one(**values):
    return open_break(
        **{
            "kind": Break.Kind.UNMATCHED,
            "dedupe_key": "unmatched:1",
            "provider": "simulator",
            "detail": "Money from 255712345678 has no payment.",
            "money": Money.from_major(10, "TZS"),
            **values,
        }
    )


def test_same_difference_is_the_same_break():
    """However often it is seen, and the number in it is masked."""
    first, second = open_one(), open_one(detail="Seen again.")

    assert first.pk == second.pk
    assert "255712345678" not in first.detail
    assert str(first) == "unmatched at simulator (open)"


def test_break_is_closed_once_and_with_a_decision(user):
    """What was decided stays, also when the difference is seen again."""
    opened = open_one()
    with pytest.raises(InvalidInput):
        close_break(break_uid=opened.uid, by=user, resolution="  ")

    closed = close_break(break_uid=opened.uid, by=user, resolution="Paid back by hand.")

    assert (closed.state, closed.closed_by) == ("closed", user)
    with pytest.raises(Conflict):
        close_break(break_uid=opened.uid, by=user, resolution="Again.")
    assert open_one().state == "closed"
