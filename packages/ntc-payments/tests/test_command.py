"""`manage.py payments`: what staff do at a terminal."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments.services.statements import STATEMENT_ZONE
from ntc_payments.types import Claim

from tests.test_inbox import deliver, event_of
from tests.test_observing import observe, pending

__all__ = ["deliver", "pending"]  # fixtures

pytestmark = pytest.mark.django_db


def payments(*arguments: str) -> tuple[str, str]:
    """Run the command; return what it wrote to both outputs."""
    out, err = StringIO(), StringIO()
    call_command("payments", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_reconcile_asks_about_everything_that_is_open(start, run_jobs, simulator):
    """And tells how far it is, and what came of it."""
    approved, waiting = start(), start()
    run_jobs()
    simulator.approve(reference=approved.attempts.get().reference)

    table, progress = payments("reconcile")

    assert "2 of 2" in progress
    assert table.splitlines()[:3] == [
        "company    status now  attempts",
        "simulator  pending     1",
        "simulator  succeeded   1",
    ]
    assert "waiting" not in payments("reconcile", "--provider", "simulator")[0]
    waiting.refresh_from_db()
    assert waiting.status == "processing"


def test_statement_is_imported_from_a_file(pending, tmp_path):
    attempt = pending().attempts.get()
    file = tmp_path / "statement.csv"
    file.write_text(
        f"id,reference,Amount,booked_at\nL1,{attempt.reference},{attempt.money.to_major()},"
        f"{timezone.now().isoformat()}\n"
    )

    table, progress = payments(
        "statement",
        "simulator",
        "--file",
        str(file),
        "--column",
        "line_key=id",
        "--column",
        "amount=Amount",
    )

    attempt.refresh_from_db()
    assert attempt.status == "succeeded"
    assert "lines      matched  1" in table
    assert "1 of 1" in progress


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["statement", "simulator"], "--from: the first day"),
        (["statement", "nobody", "--from", "2026-11-02"], "nobody"),
        (["statement", "simulator", "--from", "2026-11-02"], "sends no statement"),
        (["statement", "simulator", "--file", "/nowhere.csv"], "cannot be read"),
        (["statement", "Simulator", "--file", "/nowhere.csv"], "'Simulator'.*simulator"),
        (["statement", "simulator", "--file", "/nowhere.csv", "--to", "2026-11-02"], "--from"),
        (["statement", "simulator", "--from", "2026-11-02", "--to", "2026-11-01"], "before"),
        (["reconcile", "--provider", "nobody"], "'nobody'.*simulator"),
        (["statement", "simulator", "--from", "soon"], "a day such as"),
        (["statement", "simulator", "--column", "amount"], "a pair such as"),
        (["replay"], "Say which"),
        (["close", "--day", "32"], "a day such as"),
    ],
)
def test_command_says_what_is_wrong(simulator, arguments, problem):
    with pytest.raises(CommandError, match=problem):
        payments(*arguments)


def test_statement_with_a_mistake_imports_nothing(simulator, tmp_path):
    file = tmp_path / "statement.csv"
    file.write_text("line_key,amount,booked_at\nL1,x,2026-11-02\n")

    with pytest.raises(CommandError, match="Line 2"):
        payments("statement", "simulator", "--file", str(file))


def test_closing_shows_a_day_of_the_books(pending):
    """What came that day, what was there before, and what is still open."""
    with time_machine.travel(timezone.now() - timedelta(days=1), tick=False):
        observe(pending().attempts.get(), Claim.SUCCESS, provider_ref="T1")
    observe(pending().attempts.get(), Claim.SUCCESS, provider_ref="T2")
    pending()
    today = timezone.now().astimezone(STATEMENT_ZONE).date()

    yesterday = payments("close")[0].splitlines()
    closing = payments("close", "--day", today.isoformat())[0].splitlines()

    assert yesterday[3].split() == [
        *("simulator", "TZS", "0.00", "15000.00", "0.00", "0.00", "0.00", "0.00", "15000.00")
    ]
    assert closing[3].split() == [
        *("simulator", "TZS", "15000.00", "15000.00"),
        *("0.00", "0.00", "0.00", "0.00", "30000.00"),
    ]
    assert any(row.split() == ["attempts", "on", "their", "way", "1"] for row in closing)


def test_replay_runs_the_chosen_events_again(pending, deliver, run_jobs):
    """What was processed stays as it was; the row says that it was looked at again."""
    attempt = pending().attempts.get()
    deliver(event_of(attempt))
    run_jobs()
    event = WebhookEvent.objects.get()
    assert event.state == "processed"

    table, _ = payments("replay", "--event", str(event.uid))
    again, _ = payments("replay", "--provider", "simulator", "--since", "2020-01-01")
    run_jobs()

    assert "simulator  1" in table
    assert "simulator  1" in again
    event.refresh_from_db()
    assert event.state == "processed"


def test_replay_passes_over_what_has_no_body_any_more(pending, deliver, run_jobs):
    """Of many the others are run; of the one that was named it is the answer."""
    attempt = pending().attempts.get()
    deliver(event_of(attempt))
    run_jobs()
    event = WebhookEvent.objects.get()
    WebhookEvent.objects.update(body=b"", body_purged_at=timezone.now())

    table, told = payments("replay", "--provider", "simulator")
    with pytest.raises(CommandError, match="cannot be replayed"):
        payments("replay", "--event", str(event.uid))

    assert "simulator" not in table
    assert "cannot be replayed" in told
    event.refresh_from_db()
    assert event.state == "processed"
