"""The books: balanced, append-only, each fact once, and the database says so itself."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from ntc_core.money import Money
from ntc_payments.models import LedgerEntry, LedgerTransaction
from ntc_payments.services.ledger import SALES, account_balance, book, provider_account

TZS = Money.from_major(5000, "TZS")


@pytest.fixture
def fact(user):
    """Any row can be the source of a booking; a user is the simplest."""
    return book(
        kind="capture", source=user, debit=provider_account("simulator"), credit=SALES, money=TZS
    )


@pytest.mark.django_db
def test_booking_is_balanced_and_once(fact, user):
    """The second time is no second fact, whatever it says."""
    again = book(kind="capture", source=user, debit="a", credit="b", money=TZS)

    assert (fact, again) == (True, False)
    assert account_balance("provider:simulator", currency="TZS") == TZS
    assert account_balance(SALES, currency="TZS") == Money(minor=-TZS.minor, currency="TZS")
    assert LedgerEntry.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("minor", "credit"), [(0, SALES), (-5, SALES), (5, provider_account("simulator"))]
)
def test_booking_of_nothing_or_onto_itself_is_refused(user, minor, credit):
    """Such a line would say nothing."""
    with pytest.raises(ValueError, match="more than zero between two accounts"):
        book(
            kind="capture",
            source=user,
            debit=provider_account("simulator"),
            credit=credit,
            money=Money(minor=minor, currency="TZS"),
        )


@pytest.mark.django_db
def test_rows_are_never_changed_through_the_orm(fact):
    """Neither one by one nor many at once."""
    entry = LedgerEntry.objects.first()
    for change in (
        lambda: LedgerEntry.objects.update(amount_minor=1),
        lambda: LedgerTransaction.objects.all().delete(),
        entry.save,
        entry.delete,
    ):
        with pytest.raises(TypeError, match="append-only"):
            change()


@pytest.mark.django_db(transaction=True)
def test_database_refuses_a_change(fact):
    """SQL that goes round our code meets the triggers."""
    for table in ("ntc_payments_ledgerentry", "ntc_payments_ledgertransaction"):
        for statement in (f"UPDATE {table} SET id = id + 1", f"DELETE FROM {table}"):  # noqa: S608 - two constants
            if connection.vendor == "sqlite" and statement.startswith("DELETE"):
                continue
            with (
                pytest.raises(DatabaseError, match="append-only"),
                connection.cursor() as cursor,
            ):
                cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "entries",
    [
        [],
        [("a", 5, "TZS")],
        [("a", 5, "TZS"), ("b", -4, "TZS")],
        [("a", 5, "TZS"), ("b", -5, "USD")],
    ],
)
def test_database_refuses_to_commit_what_is_not_balanced(entries):
    """One-sided, uneven, or even only across currencies."""
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL can ask at COMMIT.")
    with pytest.raises(IntegrityError, match=r"not balanced|no entry"):
        commit(entries)

    assert not LedgerTransaction.objects.exists()


def commit(entries):
    """Write one transaction with these entries, as code of another hand might."""
    with transaction.atomic():
        fact = LedgerTransaction.objects.create(source_type="test", source_id="1", kind="test")
        for account, minor, currency in entries:
            LedgerEntry.objects.create(
                transaction=fact, account=account, amount_minor=minor, currency=currency
            )
