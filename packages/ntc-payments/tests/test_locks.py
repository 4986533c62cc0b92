"""One order of locks for everybody, read off the SQL; and what PostgreSQL gives up is redone."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import LedgerTransaction, Payment, PaymentAttempt, PaymentEvent
from ntc_payments.types import Claim, Observation, Source

from tests.books import balances

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

#: Who locks one of these has locked those before it that it will lock at all.
ORDER = [f"ntc_payments_{name}" for name in ("payment", "paymentattempt", "refund", "payout")]
_LOCKING = re.compile(r'^(?:UPDATE|INSERT INTO) "(\w+)"|FROM "(\w+)".* FOR (?:NO KEY )?UPDATE')


@contextmanager
def recorded() -> Iterator[dict[int, list[tuple[str, Any]]]]:
    """Collect per transaction which of the tables were locked, in order, and with what."""
    locks: dict[int, list[tuple[str, Any]]] = defaultdict(list)

    def record(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        found = _LOCKING.search(sql)
        table = (found.group(1) or found.group(2)) if found else ""
        if table in ORDER:
            # Past Django, so that this question is no statement of its own to it.
            with connection.connection.cursor() as cursor:
                cursor.execute("SELECT txid_current()")
                locks[cursor.fetchone()[0]].append((table, params))
        return execute(sql, params, *rest)

    with connection.execute_wrapper(record):
        yield locks


def require_order(locks: dict[int, list[tuple[str, Any]]]) -> None:
    """Fail where a transaction reached back in the order for its first lock of a table."""
    assert locks
    for transaction_locks in locks.values():
        firsts = list(dict.fromkeys(table for table, _ in transaction_locks))
        assert firsts == sorted(firsts, key=ORDER.index), firsts


@pytest.fixture
def numbered(start, settings) -> Payment:
    """Return a payment whose attempt waits on a control number."""
    settings.NTC_PAYMENT_PROVIDERS = {"told": {"class": "tests.companies.TellingProvider"}}
    payment = start(method="control_number")
    run_due_jobs()
    return payment


def observe(payment: Payment, claim: Claim, *, minor: int = 1_500_000, ref: str = "T1") -> None:
    """Apply what the company says, as an answer to our query."""
    attempt = payment.attempts.first()
    assert attempt is not None
    services.apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(
            reference=attempt.reference,
            claim=claim,
            money=Money(minor, "TZS"),
            provider_ref=ref,
        ),
        source=Source.POLL,
    )


STORY: dict[str, Callable[[Payment], Any]] = {
    "another amount": lambda payment: observe(payment, Claim.SUCCESS, minor=5),
    "failure": lambda payment: observe(payment, Claim.FAILURE),
    "retry": lambda payment: services.retry_payment(payment=payment),
    "late success": lambda payment: observe(payment, Claim.SUCCESS),
    "second charge": lambda payment: observe(payment, Claim.SUCCESS, ref="T2"),
    "its reversal": lambda payment: observe(payment, Claim.REVERSED, ref="T2"),
    "contradiction": lambda payment: observe(payment, Claim.FAILURE),
    "reversal": lambda payment: observe(payment, Claim.REVERSED),
    "jobs": lambda payment: run_due_jobs(),
}


def test_every_step_of_a_payment_locks_in_one_order(start, numbered):
    """Payment, attempt, refund, payout: from the start to the reversal."""
    for act in STORY.values():
        with recorded() as locks:
            act(numbered)
        require_order(locks)
    with recorded() as locks:
        second = start(method="control_number")
        run_due_jobs()
        services.cancel_payment(payment=second)
        run_due_jobs()
        start(method="control_number")
        PaymentAttempt.objects.filter(payment__status="open").update(
            status="sending", lease_until=timezone.now(), sent_at=timezone.now()
        )
        Payment.objects.exclude(status="succeeded").update(expires_at=timezone.now())
        for _ in range(3):
            services.poll_due()
            run_due_jobs()
    require_order(locks)


def test_one_event_locks_its_payments_in_one_order(start, numbered):
    """Whatever order the company lists them in: two such events must not deadlock."""
    payments = [numbered, start(method="control_number"), start(method="control_number")]
    facts = [
        {"reference": payment.attempts.get().reference, "claim": "success", "minor": 1_500_000}
        for payment in (payments[1], payments[2], payments[0])
    ]
    Client().post(
        "/api/v1/webhooks/payments/told/",
        json.dumps(facts),
        "application/json",
        headers={"X-Key": "right"},
    )

    with recorded() as locks:
        run_due_jobs(limit=1)
        run_due_jobs(limit=1)
        run_due_jobs()

    orders = [
        list(dict.fromkeys(params[0] for table, params in rows if _is_lock(table, params)))
        for rows in locks.values()
    ]
    assert [payment.pk for payment in payments] in orders
    assert Payment.objects.filter(status="succeeded").count() == 3


def _is_lock(table: str, params: Any) -> bool:
    """Tell the SELECT of `lock_payment()`, whose one value is the id, from an UPDATE."""
    return table == ORDER[0] and 0 < len(params) <= 2


@pytest.fixture
def victim_once():
    """Return a function: the database gives up the first transaction that writes history."""
    statements = []

    def arm(sqlstate: str) -> None:
        statements.append(sqlstate)
        with connection.cursor() as cursor:
            # A sequence counts on although the transaction is rolled back.
            cursor.execute("CREATE SEQUENCE test_victims")
            cursor.execute(
                f"""
                CREATE FUNCTION test_give_up() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF nextval('test_victims') = 1 THEN
                        RAISE EXCEPTION 'given up' USING ERRCODE = '{sqlstate}';
                    END IF;
                    RETURN NEW;
                END $$
                """
            )
            cursor.execute(
                "CREATE TRIGGER test_give_up BEFORE INSERT ON ntc_payments_ledgertransaction "
                "FOR EACH ROW EXECUTE FUNCTION test_give_up()"
            )

    yield arm
    if statements:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER test_give_up ON ntc_payments_ledgertransaction")
            cursor.execute("DROP FUNCTION test_give_up()")
            cursor.execute("DROP SEQUENCE test_victims")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_transaction_that_the_database_gave_up_is_done_again(numbered, victim_once, sqlstate):
    """Serialization failure, deadlock: all of it once, nothing twice."""
    victim_once(sqlstate)

    observe(numbered, Claim.SUCCESS)

    numbered.refresh_from_db()
    assert numbered.status == "succeeded"
    assert balances() == {"provider:told": 1_500_000, "sales": -1_500_000}
    assert PaymentEvent.objects.filter(claim="success").count() == 1


def test_other_failures_of_the_database_are_not_repeated(numbered, victim_once):
    """Such as a lock that did not come free in time."""
    victim_once("55P03")

    with pytest.raises(OperationalError, match="given up"):
        observe(numbered, Claim.SUCCESS)

    assert not LedgerTransaction.objects.exists()


def test_part_of_a_larger_transaction_is_not_repeated_alone(numbered, victim_once):
    """All of it is lost, so the repetition is the caller's."""
    victim_once("40001")

    with pytest.raises(OperationalError, match="given up"), transaction.atomic():
        observe(numbered, Claim.SUCCESS)

    assert not LedgerTransaction.objects.exists()
