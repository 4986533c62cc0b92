"""A company's statement beside our books: every difference has a name and waits for a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from ntc_core.errors import InvalidInput
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import Break, PaymentAttempt, StatementLine
from ntc_payments.services.statement_files import read_statement_csv
from ntc_payments.services.statements import import_statement
from ntc_payments.types import Claim, StatementEntry, Subject

from tests.books import balances, breaks
from tests.cashier import cashier
from tests.test_observing import PRICE, announced, observe, pending

__all__ = ["announced", "pending"]  # fixtures

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TODAY = (NOON.date(), NOON.date())


@pytest.fixture
def clock():
    """Stop the clock at noon in Dar es Salaam; return it, to be moved on."""
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def paid(clock, pending):
    """Return an attempt whose money came at noon."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")
    attempt.refresh_from_db()
    return attempt


@pytest.fixture
def ticket_office(settings):
    """Run a company without refunds, which pays out, as the only provider."""
    with cashier() as office:
        settings.NTC_PAYMENT_PROVIDERS = {
            "cashier": {
                "class": "tests.cashier.CashierProvider",
                "base_url": office.base_url,
                "can_refund": False,
            }
        }
        yield office


@pytest.fixture
def paid_ticket(clock, ticket_office, user):
    """Return a function that gives a payment there whose money came at noon."""

    def make():
        payment = services.start_payment(
            payer=user,
            money=PRICE,
            method="mobile_push",
            phone="0712345678",
            purpose="ticket:1",
            description="A ticket",
            idempotency_key="key",
        )
        run_due_jobs()
        observe(payment.attempts.get(), Claim.SUCCESS)
        run_due_jobs()
        return payment

    return make


def line(attempt: PaymentAttempt | None, **changes) -> StatementEntry:
    return StatementEntry(
        **{
            "line_key": "L1",
            "subject": Subject.PAYMENT,
            "reference": attempt.reference if attempt else "NOBODY",
            "money": PRICE,
            "booked_at": NOON,
            **changes,
        }
    )


def read(*entries: StatementEntry, **choices):
    return import_statement(provider="simulator", entries=entries, **choices)


def test_line_that_fits_is_matched_once(paid, clock):
    """However often the statement is read."""
    clock.shift(timedelta(days=2))

    first = read(line(paid), complete_days=TODAY)
    again = read(line(paid), complete_days=TODAY)

    assert dict(first.lines) == {"matched": 1, "waiting": 0}
    assert dict(again.lines) == {"known before": 1, "waiting": 0}
    assert StatementLine.objects.get().attempt == paid
    assert breaks() == []
    assert balances() == {"provider:simulator": PRICE.minor, "sales": -PRICE.minor}


def test_line_of_an_open_attempt_is_the_proof_that_it_was_paid(clock, pending, announced):
    """No webhook, no answer to any query: the statement decides, with its fee."""
    payment = pending()
    attempt = payment.attempts.get()

    read(line(attempt, fee=Money.from_major(50, "TZS")))

    attempt.refresh_from_db()
    payment.refresh_from_db()
    assert (attempt.status, payment.status) == ("succeeded", "succeeded")
    assert attempt.fee == Money.from_major(50, "TZS")
    assert balances()["fees:simulator"] == 5000


def test_fee_that_the_statement_tells_first_is_learned(paid):
    """It is no difference: nobody had said another."""
    read(line(paid, fee=Money.from_major(50, "TZS")))

    paid.refresh_from_db()
    assert paid.fee == Money.from_major(50, "TZS")
    assert breaks() == []


def test_missing_line_is_a_break_after_a_day(paid, clock):
    """The company may book late; and when the line comes the break says so, and is closed."""
    read(complete_days=TODAY)
    assert breaks() == []

    clock.shift(timedelta(days=1, minutes=1))
    for _ in range(2):
        read(complete_days=TODAY)
    assert breaks(attempt=paid) == [("missing_at_provider", "open")]

    read(line(paid, booked_at=NOON + timedelta(days=1)))
    [found] = Break.objects.all()
    assert (found.state, found.resolution) == ("closed", "The statement line L1 came.")


def test_line_on_the_next_day_is_no_difference(paid, clock):
    """Paid a minute before midnight, booked a minute after it."""
    clock.shift(timedelta(days=2))

    report = read(line(paid, booked_at=NOON + timedelta(hours=12)), complete_days=TODAY)

    assert report.lines["matched"] == 1
    assert breaks() == []


def test_nothing_is_missing_that_a_statement_does_not_tell(paid, clock):
    """A list of orders in dollars, of control numbers, or of payouts says nothing about a push."""
    clock.shift(timedelta(days=2))

    read(complete_days=TODAY, currencies=["USD"])
    read(complete_days=TODAY, methods=["control_number"])
    read(complete_days=TODAY, subjects=[Subject.PAYOUT])
    assert breaks() == []

    read(complete_days=TODAY, currencies=["TZS"], methods=["mobile_push"])
    assert breaks(attempt=paid) == [("missing_at_provider", "open")]


def test_refund_that_a_payout_carries_has_no_line_of_its_own(ticket_office, paid_ticket, clock):
    """Its payout has: the money left once."""
    given = services.refund_payment(
        payment=paid_ticket(), reason="The show is off.", idempotency_key="back"
    )
    ticket_office.outcome = "DONE"
    run_due_jobs()
    given.refresh_from_db()
    assert (given.route, given.status) == ("payout", "succeeded")
    clock.shift(timedelta(days=2))

    payout = line(None, subject=Subject.PAYOUT, reference=given.payout.reference)
    payment = line(given.attempt, line_key="L2")
    report = import_statement(provider="cashier", entries=[payout, payment], complete_days=TODAY)

    assert report.lines["matched"] == 2
    assert breaks() == []


def test_extra_line_is_a_break_after_a_day(clock, pending):
    """Until then it waits: our own row may come a moment later."""
    first = read(line(None))
    assert first.lines["waiting"] == 1
    assert breaks() == []

    clock.shift(timedelta(days=1, minutes=1))
    second = read()

    assert second.breaks["missing_here"] == 1
    assert breaks() == [("missing_here", "open")]
    assert balances() == {}


def test_waiting_line_finds_what_comes_later(clock, pending):
    attempt = pending().attempts.get()
    PaymentAttempt.objects.filter(pk=attempt.pk).update(reference="OTHER")
    read(line(attempt))
    PaymentAttempt.objects.filter(pk=attempt.pk).update(reference=attempt.reference)

    report = read()

    assert dict(report.lines) == {"matched": 1, "waiting": 0}


def test_wrong_fee_is_a_break(paid):
    """The one we know was said by the company before."""
    PaymentAttempt.objects.filter(pk=paid.pk).update(fee_minor=4000)

    report = read(line(paid, fee=Money.from_major(50, "TZS")))

    assert report.lines["break"] == 1
    assert breaks(attempt=paid) == [("statement_fee", "open")]


def test_wrong_amount_is_a_break_and_no_second_payment(paid):
    """The books stay as they are until somebody has decided."""
    before = balances()

    read(line(paid, money=Money.from_major(9, "TZS")))

    assert breaks(attempt=paid) == [("statement_amount", "open")]
    assert balances() == before


def test_duplicate_line_is_a_break(paid):
    """Two lines for one payment: did the company take it twice?"""
    read(line(paid), line(paid, line_key="L2"))

    assert breaks(attempt=paid) == [("statement_duplicate", "open")]
    assert balances()["sales"] == -PRICE.minor


def test_line_that_says_something_else_today_is_a_break(paid):
    read(line(paid))

    report = read(line(paid, money=Money.from_major(9, "TZS")))

    assert report.breaks["statement_amount"] == 1


CSV = """line_key,reference,amount,fee,booked_at
L1,P1,"15,000.00",50,2026-11-02T12:00:00
L2,P2,100,,2026-11-02T12:00:00+00:00
"""


def test_file_is_read_as_it_says():
    """Without a zone it is a time of Dar es Salaam."""
    first, second = read_statement_csv(CSV.splitlines())

    assert first.money == Money.from_major(15000, "TZS")
    assert first.fee == Money.from_major(50, "TZS")
    assert first.booked_at == NOON
    assert (second.fee, second.subject) == (None, Subject.PAYMENT)


def test_file_with_other_names_is_read_by_a_table():
    text = ["Ref,Amount,When", "A1,5,2026-11-02"]
    columns = {"line_key": "Ref", "reference": "Ref", "amount": "Amount", "booked_at": "When"}

    [entry] = read_statement_csv(text, columns=columns, currency="USD")

    assert (entry.line_key, entry.reference) == ("A1", "A1")
    assert entry.money == Money.from_major(5, "USD")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no column line_key, amount, booked_at"),
        ("line_key,amount\nL,5", "no column booked_at; it has line_key, amount"),
        (CSV + "L3,P,5.001,,2026-11-02", "Line 4: TZS has 2 decimals"),
        (CSV + "L3,P,-5,,2026-11-02", "Line 4: .*more than zero"),
        (CSV + ",P,5,,2026-11-02", "Line 4: line_key is a text"),
        (CSV + "L3,P,5,,yesterday", "Line 4: Invalid isoformat"),
        (CSV + "L3,P,five,,2026-11-02", "Line 4: Expected a number"),
        (CSV + "L1,P,5,,2026-11-02", "Line 4: the line_key 'L1' occurs twice"),
        (CSV + 'L3,P,"15000,00",,2026-11-02', "Line 4: .*'15000,00'"),
        (CSV + 'L3,P,"1.500,00",,2026-11-02', "Line 4: .*'1.500,00'"),
        (CSV + "L3,P,15,000,2026-11-02,x", "Line 4: .*more cells than"),
        (CSV + 'L3,P,5,"-1",2026-11-02', "Line 4: .*fee"),
        (CSV + "L3,P,5,,0001-01-01", "Line 4: .*booked_at"),
        (CSV + f"{'L' * 201},P,5,,2026-11-02", "Line 4: .*too long"),
        (CSV + f"L3,{'P' * 151},5,,2026-11-02", "Line 4: .*too long"),
        (CSV + "L3,P\x07,5,,2026-11-02", "Line 4: .*control characters"),
        (CSV + 'L3,P,5,,"2026-11-02\n', "Line 4: unexpected end"),
        (CSV + f"L3,P,5,,{'2' * 200_000}", "Line 4: field larger"),
    ],
)
def test_file_with_a_mistake_is_refused_as_a_whole(text, problem):
    """It says where, and nothing of it is imported."""
    with pytest.raises(InvalidInput, match=problem):
        read_statement_csv(text.splitlines())
