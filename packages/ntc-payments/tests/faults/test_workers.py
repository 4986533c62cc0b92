"""P8, P9, D4 and M1 of the fault matrix: tokens, routing, lost transactions, deployments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments import services
from ntc_payments.errors import AttemptInProgress
from ntc_payments.models import CompanyExchange, LedgerTransaction, Payment, PaymentAttempt

from tests.faults.conftest import repeated
from tests.faults.invariants import require_invariants
from tests.faults.scene import deliver, finish, serving, settle_down, worker
from tests.faults.test_matrix import approve_everything, require_all, signed
from tests.test_inbox import URL, event_of
from tests.test_races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


# P, the company.


@repeated(12, 100)
def test_p8_token_dies_in_flight_under_two_workers(scene, buy, settings, repeats):
    """A token lives a second although the company says an hour: fetched once per process."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "clickpesa": scene.options_of("clickpesa", total_timeout_seconds=10)
    }
    scene.turn_dial(company="clickpesa", token="short_lived", delay_seconds=0.3)
    for _ in range(repeats):
        buy()
    finish(*(worker(settings, WORKER_THREADS="4") for _ in range(2)))

    assert set(PaymentAttempt.objects.values_list("status", "sends")) == {("pending", 1)}
    assert CompanyExchange.objects.filter(http_status=401).exists(), "no token died in flight"
    # Of three fetches two are of one process, and that one's token lived a second at least.
    fetched = list(
        CompanyExchange.objects.filter(path__endswith="/generate-token")
        .order_by("started_at")
        .values_list("started_at", flat=True)
    )
    gaps = [third - first for first, third in zip(fetched, fetched[2:], strict=False)]
    assert gaps
    assert min(gaps) >= timedelta(seconds=1)
    scene.turn_dial(company="clickpesa")
    approve_everything(scene)

    settle_down()
    require_invariants(company="clickpesa", books=scene.books()["clickpesa"])
    assert Payment.objects.filter(status="succeeded").count() == repeats


@repeated(6, 50)
def test_p9_silent_company_gets_no_new_attempts_and_loses_none(scene, buy, settings, repeats):
    """What it may have on a phone stays with it; only new purchases go to the next company."""
    impatient = {"total_timeout_seconds": 0.5}
    settings.NTC_PAYMENT_PROVIDERS = {
        "simulator": {**scene.options, **impatient},
        "clickpesa": scene.options_of("clickpesa", total_timeout_seconds=10),
    }
    scene.turn_dial(start="hang_after", query="hang", hang_seconds=1)
    silent = [buy() for _ in range(repeats)]
    at_once([run_due_jobs] * min(8, repeats))
    settle_down(rounds=1)

    for payment in silent:
        with pytest.raises(AttemptInProgress):
            services.retry_payment(payment=payment, provider="clickpesa")
    moved_on = [buy() for _ in range(repeats)]
    assert {payment.attempts.get().provider for payment in silent} == {"simulator"}
    assert {payment.attempts.get().provider for payment in moved_on} == {"clickpesa"}

    # It answers again: everything is found, under the first reference.
    scene.turn_dial()
    settings.NTC_PAYMENT_PROVIDERS["simulator"] = scene.options
    settle_down(rounds=1)
    approve_everything(scene)
    settle_down()
    for company in ("simulator", "clickpesa"):
        require_invariants(company=company, books=scene.books()[company])
    assert Payment.objects.filter(status="succeeded").count() == 2 * repeats
    assert not PaymentAttempt.objects.exclude(sends=1).exists()
    assert buy().attempts.get().provider == "simulator"


# D, the database.


@pytest.fixture
def victims() -> Iterator[None]:
    """Let PostgreSQL give up every second booking."""
    execute(
        "CREATE SEQUENCE test_bookings",
        "CREATE FUNCTION test_give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('test_bookings') % 2 = 1 THEN"
        " RAISE EXCEPTION 'given up' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER test_give_up BEFORE INSERT ON ntc_payments_ledgertransaction"
        " FOR EACH ROW EXECUTE FUNCTION test_give_up()",
    )
    yield
    execute(
        "DROP TRIGGER test_give_up ON ntc_payments_ledgertransaction",
        "DROP FUNCTION test_give_up()",
        "DROP SEQUENCE test_bookings",
    )


@repeated(4, 200)
def test_d4_every_second_transaction_is_given_up(scene, buy, victims, repeats):
    """Each booking is lost once and done once more, at once: no query of the company is added."""
    for _ in range(repeats):
        buy()
    run_due_jobs()
    approve_everything(scene)
    for attempt in PaymentAttempt.objects.all():
        services.poll_attempt(attempt_id=attempt.pk)

    assert Payment.objects.filter(status="succeeded").count() == repeats
    assert LedgerTransaction.objects.count() == repeats
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM test_bookings")
        assert cursor.fetchone() == (2 * repeats,)
    require_all(scene)


# M, deployments.

OF_TOMORROW = "ntc_payments.of_tomorrow"


@pytest.fixture
def schema_of_tomorrow() -> Iterator[None]:
    """What a migration of the next version may have done while old processes still run."""
    execute(
        "ALTER TABLE ntc_payments_payment ADD COLUMN of_tomorrow integer NOT NULL DEFAULT 7",
        "ALTER TABLE ntc_payments_paymentattempt DROP CONSTRAINT ntc_attempt_status_known",
    )
    yield
    execute(
        # A test that failed leaves the row as it was.
        "UPDATE ntc_payments_paymentattempt SET status = 'pending' WHERE status = 'on_hold'",
        "ALTER TABLE ntc_payments_payment DROP COLUMN of_tomorrow",
        "ALTER TABLE ntc_payments_paymentattempt ADD CONSTRAINT ntc_attempt_status_known CHECK ("
        "status IN ('created', 'sending', 'pending', 'unknown', 'rejected', 'failed', 'expired',"
        " 'succeeded', 'reversed'))",
    )


@repeated(1, 3)
def test_m1_old_and_new_workers_side_by_side(scene, buy, settings, schema_of_tomorrow, repeats):
    """Old code leaves alone what it does not know, loses none of it, and does all the rest."""
    for number in range(repeats):
        known, unknown = buy().attempts.get(), buy().attempts.get()
        run_due_jobs()
        approve_everything(scene)
        # The newer code has put one into a state, and left a job, that only it knows.
        PaymentAttempt.objects.filter(pk=unknown.pk).update(
            status="on_hold", next_poll_at=timezone.now()
        )
        job = OutboxJob.objects.create(task=OF_TOMORROW, arguments=[number])
        sent = PaymentAttempt.objects.filter(pk__in=[unknown.pk, known.pk])
        messages = [signed(scene, event_of(attempt)) for attempt in sent]
        with serving(settings) as site:
            assert {deliver(site + URL, *message) for message in messages} == {200}

        old = {"WORKER_SWEEPS": "1"}
        finish(worker(settings, **old), worker(settings, **old))
        known.refresh_from_db()
        unknown.refresh_from_db()
        job.refresh_from_db()
        assert (known.status, unknown.status) == ("succeeded", "on_hold")
        assert job.state == "queued"
        assert WebhookEvent.objects.exclude(state="processed").count() == 1

        # The newer worker does its own job, and knows what to make of that state.
        bring_forward(OutboxJob.objects.all())
        PaymentAttempt.objects.filter(pk=unknown.pk).update(status="pending")
        said = finish(worker(settings, WORKER_KNOWS=OF_TOMORROW))
        assert f"done {number}" in said
        unknown.refresh_from_db()
        assert unknown.status == "succeeded"

    OutboxJob.objects.filter(task=OF_TOMORROW).delete()
    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == 2 * repeats
