"""Giving back: never more than was taken, never twice, and the books say where it came from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from ntc_core.errors import InvalidInput
from ntc_core.money import Money
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_payments import services
from ntc_payments.errors import (
    CannotRefund,
    CannotResolve,
    IdempotencyKeyReused,
    ProviderCannot,
    RefundNotFound,
)
from ntc_payments.models import Break, Payment, PaymentEvent, Payout, Refund
from ntc_payments.services.subjects import apply_known, find_known
from ntc_payments.types import Claim, Observation, Source, Subject

from tests.books import balances, breaks
from tests.cashier import Cashier, cashier
from tests.test_observing import PRICE, announced, observe

__all__ = ["announced"]  # a fixture

pytestmark = pytest.mark.django_db

PROVIDER = "provider:cashier"
MINOR = PRICE.minor


@pytest.fixture
def company(settings):
    """Run the company as the only provider."""
    with cashier() as company:
        settings.NTC_PAYMENT_PROVIDERS = {"cashier": options(company)}
        yield company


def options(company: Cashier, **changes):
    return {
        "class": "tests.cashier.CashierProvider",
        "base_url": company.base_url,
        **changes,
    }


@pytest.fixture
def paid(company, user):
    """Return a function that gives a payment whose money is there."""

    def make(**changes) -> Payment:
        number = Payment.objects.count()
        payment = services.start_payment(
            **{
                "payer": user,
                "money": PRICE,
                "method": "mobile_push",
                "phone": "0712345678",
                "purpose": f"ticket:{number}",
                "description": "A ticket",
                "idempotency_key": f"key-{number}",
                **changes,
            }
        )
        run_due_jobs()
        observe(payment.attempts.get(), Claim.SUCCESS)
        run_due_jobs()
        payment.refresh_from_db()
        return payment

    return make


def refund(payment: Payment, amount: int | None = None, **values) -> Refund:
    return services.refund_payment(
        **{
            "payment": payment,
            "money": None if amount is None else Money.from_major(amount, "TZS"),
            "reason": "The show is off.",
            "idempotency_key": f"refund-{Refund.objects.count()}",
            **values,
        }
    )


def run_everything() -> None:
    """Run the jobs, and those that they wrote."""
    services.poll_due()
    bring_forward(OutboxJob.objects.all())
    run_due_jobs()


def ask_now(row) -> None:
    """Have the company asked about the row at once."""
    type(row).objects.filter(pk=row.pk).update(next_poll_at=timezone.now())
    run_everything()
    row.refresh_from_db()


def test_refund_goes_back_and_into_the_books_once(paid, company, announced):
    """Pending, then done; told to the project once."""
    payment = paid()
    given = refund(payment, 5000)
    run_everything()
    given.refresh_from_db()
    assert (given.status, given.route) == ("pending", "provider")
    assert given.provider_ref.startswith("C-")

    company.states[f"refunds/{given.reference}"] = "DONE"
    for _ in range(2):
        ask_now(given)

    attempt = payment.attempts.get()
    assert given.status == "succeeded"
    assert (attempt.refund_reserved_minor, attempt.refunded_minor) == (500_000, 500_000)
    assert balances() == {PROVIDER: MINOR - 500_000, "sales": 500_000 - MINOR}
    assert announced["payment_refunded"] == 1
    assert company.made == [f"refunds/{given.reference}"]
    assert breaks() == []


def test_no_more_goes_back_than_was_taken(paid):
    """In parts, all of it, and then nothing."""
    payment = paid()
    refund(payment, 5000)
    with pytest.raises(InvalidInput, match=r"At most TZS 10,000 is left"):
        refund(payment, 10_001)

    rest = refund(payment)

    assert rest.money == Money.from_major(10_000, "TZS")
    with pytest.raises(CannotRefund):
        refund(payment)


def test_what_was_never_taken_cannot_be_given_back(company, user):
    payment = services.start_payment(
        payer=user,
        money=PRICE,
        method="mobile_push",
        phone="0712345678",
        purpose="p",
        description="d",
        idempotency_key="k",
    )
    with pytest.raises(CannotRefund):
        refund(payment)


def test_same_key_is_the_same_refund(paid, company):
    """And with other content it is refused."""
    payment = paid()

    first, second = (refund(payment, 5000, idempotency_key="k") for _ in range(2))

    assert first.pk == second.pk
    with pytest.raises(IdempotencyKeyReused):
        refund(payment, 5001, idempotency_key="k")
    run_everything()
    assert len(company.made) == 1


@pytest.mark.parametrize("amount", [0, -5])
def test_refund_of_nothing_is_refused(paid, amount):
    with pytest.raises(InvalidInput, match="more than zero"):
        refund(paid(), amount)


def test_refused_refund_gives_its_claim_back(paid, company):
    """And a person is told: the payer was promised money."""
    payment = paid()
    company.fault = "refuse"
    given = refund(payment)
    run_everything()

    given.refresh_from_db()
    assert (given.status, given.failure_code) == ("rejected", "insufficient_funds")
    assert payment.attempts.get().refund_reserved_minor == 0
    assert breaks(refund=given) == [("refund_failed", "open")]
    assert balances()["sales"] == -MINOR
    assert refund(payment).money == PRICE


@pytest.mark.parametrize("fault", ["cut_after", "hang"])
def test_lost_answer_is_asked_about_and_never_sent_again(paid, company, fault):
    payment = paid()
    company.fault = fault
    given = refund(payment)
    run_everything()
    given.refresh_from_db()
    assert given.status == "unknown"

    company.fault = ""
    company.states[f"refunds/{given.reference}"] = "DONE"
    for _ in range(3):
        ask_now(given)

    assert given.status == "succeeded"
    assert len(company.made) == 1


def test_call_that_never_left_is_made_again_under_the_same_reference(paid, company, settings):
    payment = paid()
    settings.NTC_PAYMENT_PROVIDERS = {"cashier": options(company, base_url="http://127.0.0.1:1")}
    given = refund(payment)
    run_everything()
    given.refresh_from_db()
    assert (given.status, given.sends) == ("created", 1)

    settings.NTC_PAYMENT_PROVIDERS = {"cashier": options(company)}
    run_everything()

    given.refresh_from_db()
    assert (given.status, given.sends) == ("pending", 2)
    assert company.made == [f"refunds/{given.reference}"]


def test_call_that_could_not_leave_for_a_day_is_given_up(paid, company):
    payment = paid()
    company.fault = "busy"
    given = refund(payment)
    Refund.objects.update(created_at=timezone.now() - timedelta(days=2))
    run_everything()

    given.refresh_from_db()
    assert (given.status, given.failure_code) == ("rejected", "provider_unreachable")
    assert payment.attempts.get().refund_reserved_minor == 0


def test_refund_that_comes_back_is_undone(paid, company, announced):
    """The company says done, and days later failed: the payer has nothing."""
    payment = paid()
    company.outcome = "DONE"
    given = refund(payment)
    run_everything()
    given.refresh_from_db()
    assert given.status == "succeeded"

    company.states[f"refunds/{given.reference}"] = "FAILED"
    services.poll_refund(refund_id=given.pk)
    services.poll_refund(refund_id=given.pk)

    given.refresh_from_db()
    attempt = payment.attempts.get()
    assert given.status == "reversed"
    assert (attempt.refund_reserved_minor, attempt.refunded_minor) == (0, 0)
    assert balances() == {PROVIDER: MINOR, "sales": -MINOR}
    assert breaks(refund=given) == [("refund_failed", "open")]


def test_undecided_refund_is_left_to_a_person(paid, company, user):
    """Nothing ends by itself, and the person's word is in the history."""
    payment = paid()
    company.fault = "cut_before"
    given = refund(payment)
    run_everything()
    Refund.objects.update(sent_at=timezone.now() - timedelta(days=5))
    for _ in range(2):
        run_everything()
    assert breaks(refund=given) == [("undecided", "open")]

    services.resolve_refund(
        refund_uid=given.uid, outcome="failed", by=user, resolution="Not in the dashboard."
    )

    given.refresh_from_db()
    assert given.status == "failed"
    [undecided] = Break.objects.filter(kind="undecided")
    assert (undecided.state, undecided.closed_by) == ("closed", user)
    assert PaymentEvent.objects.filter(refund=given, actor=user, to_status="failed").exists()
    with pytest.raises(CannotResolve):
        services.resolve_refund(
            refund_uid=given.uid, outcome="failed", by=user, resolution="Again."
        )


@pytest.mark.parametrize("end", ["FAILED", "RETURNED"])
def test_refund_that_frees_its_claim_frees_no_money_that_was_taken_back(paid, company, end):
    """While a part is being given back the company takes all: then nothing is left to give."""
    payment = paid()
    attempt = payment.attempts.get()
    company.outcome = "DONE" if end == "RETURNED" else "PENDING"
    given = refund(payment, 5000)
    run_everything()
    observe(attempt, Claim.REVERSED, Source.POLL)

    company.states[f"refunds/{given.reference}"] = end
    services.poll_refund(refund_id=given.pk)

    attempt.refresh_from_db()
    assert (attempt.captured_minor, attempt.refund_reserved_minor) == (0, 0)
    assert balances() == {}
    with pytest.raises(CannotRefund):
        refund(payment, idempotency_key="again")


def test_refusal_whose_text_was_cut_in_half_is_kept(paid, company):
    """In the middle of an emoji, which leaves half of a UTF-16 pair that no column takes."""
    payment = paid()
    company.fault = "refuse"
    company.reason = "Insufficient balance \ud83d"
    given = refund(payment)
    run_everything()

    given.refresh_from_db()
    assert (given.status, given.failure_message) == ("rejected", "Insufficient balance ?")


def test_company_without_refunds_pays_out_to_the_number_that_paid(paid, company, settings):
    """The refund follows the payout; the money leaves the books once, the fee too."""
    settings.NTC_PAYMENT_PROVIDERS = {"cashier": options(company, can_refund=False)}
    payment = paid()
    given = refund(payment)
    run_everything()
    payout = Payout.objects.get()
    given.refresh_from_db()
    assert (given.route, given.status, payout.status) == ("payout", "pending", "pending")
    assert payout.phone_e164 == "+255712345678"

    company.states[f"payouts/{payout.reference}"] = "DONE"
    ask_now(payout)

    given.refresh_from_db()
    assert (given.status, payout.status) == ("succeeded", "succeeded")
    assert balances() == {PROVIDER: -5000, "fees:cashier": 5000}
    assert payment.attempts.get().refunded_minor == MINOR

    company.states[f"payouts/{payout.reference}"] = "RETURNED"
    services.poll_payout(payout_id=payout.pk)
    given.refresh_from_db()
    assert given.status == "reversed"
    assert balances()["sales"] == -MINOR


def test_payout_gives_back_only_what_a_number_paid(paid, company, settings):
    """Whose card it was nobody knows: the number beside it may be of whoever stole it."""
    settings.NTC_PAYMENT_PROVIDERS = {"cashier": options(company, can_refund=False)}
    payment = paid(method="card")

    with pytest.raises(ProviderCannot, match="number that paid is not known"):
        refund(payment, route="payout")
    given = refund(payment)

    assert given.route == "manual"
    assert not Payout.objects.exists()


def test_refund_by_hand_is_confirmed_by_a_person(paid, company, settings, user):
    settings.NTC_PAYMENT_PROVIDERS = {
        "cashier": options(company, can_refund=False, can_pay_out=False)
    }
    payment = paid()
    given = refund(payment)
    run_everything()
    given.refresh_from_db()
    assert (given.route, given.status) == ("manual", "created")
    assert breaks(refund=given) == [("undecided", "open")]

    services.resolve_refund(
        refund_uid=given.uid,
        outcome="succeeded",
        by=user,
        resolution="Done in the dashboard.",
        provider_ref="D-1",
    )

    given.refresh_from_db()
    assert (given.status, given.provider_ref) == ("succeeded", "D-1")
    assert breaks(refund=given) == [("undecided", "closed")]
    assert company.made == []


@pytest.mark.parametrize(
    ("route", "problem"),
    [("provider", "has no refunds"), ("payout", "does not pay out"), ("magic", "Choose one of")],
)
def test_impossible_route_is_refused_before_any_row(paid, company, settings, route, problem):
    settings.NTC_PAYMENT_PROVIDERS = {
        "cashier": options(company, can_refund=False, can_pay_out=False)
    }
    payment = paid()
    with pytest.raises((ProviderCannot, InvalidInput), match=problem):
        refund(payment, route=route)

    assert not Refund.objects.exists()
    assert payment.attempts.get().refund_reserved_minor == 0


def test_second_charge_is_given_back_by_policy(paid, company, settings):
    """Out of what we owe the payer, not out of the sale; its break is answered."""
    settings.NTC_PAYMENT_DUPLICATE_POLICY = "auto_refund"
    company.outcome = "DONE"
    payment = paid()
    attempt = payment.attempts.get()

    observe(attempt, Claim.SUCCESS, provider_ref="SECOND")
    run_everything()
    run_everything()

    given = Refund.objects.get()
    assert (given.status, given.money, given.requested_by) == ("succeeded", PRICE, None)
    attempt.refresh_from_db()
    assert (attempt.captured_minor, attempt.refunded_minor) == (2 * MINOR, MINOR)
    books = balances()
    assert books["sales"] == -MINOR
    assert "customer_credit" not in books
    # Asked for once more, nothing of it is left that a policy may give.
    assert (
        services.refund_automatically(attempt_id=attempt.pk, amount_minor=2 * MINOR, key="another")
        is None
    )


def test_break_about_a_second_charge_is_answered_by_the_refund(paid, company):
    company.outcome = "DONE"
    payment = paid()
    attempt = payment.attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="SECOND")
    assert breaks() == [("duplicate_charge", "open")]

    refund(payment, 15_000)
    run_everything()

    assert breaks() == [("duplicate_charge", "closed")]


def test_webhook_about_a_refund_is_applied(paid, company):
    """Also one that names another amount: then a person looks."""
    payment = paid()
    given = refund(payment, 5000)
    run_everything()
    fact = Observation(reference=given.reference, subject=Subject.REFUND, claim=Claim.SUCCESS)
    wrong = Observation(
        reference=given.reference,
        subject=Subject.REFUND,
        claim=Claim.SUCCESS,
        money=Money.from_major(4, "TZS"),
    )
    for observation in (wrong, fact, fact):
        apply_known(
            [find_known(provider="cashier", observation=observation)], source=Source.WEBHOOK
        )

    given.refresh_from_db()
    assert given.status == "succeeded"
    assert breaks() == [("integrity", "open")]


def test_unknown_refund_cannot_be_resolved(user, company):
    with pytest.raises(RefundNotFound):
        services.resolve_refund(
            refund_uid="01999999-9999-7999-8999-999999999999",
            outcome="failed",
            by=user,
            resolution="x",
        )
    with pytest.raises(InvalidInput, match="Choose one of"):
        services.resolve_refund(refund_uid="x", outcome="maybe", by=user, resolution="x")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_full_refunds_at_once_are_one(paid, company):
    """F1: the second finds that nothing is left."""
    payments = [paid() for _ in range(5)]
    for payment in payments:

        def give(number, payment=payment):
            try:
                return refund(payment, 15_000, idempotency_key=f"{payment.pk}-{number}").pk
            except (CannotRefund, InvalidInput):
                return None
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            given = [pk for pk in pool.map(give, range(4)) if pk]
        assert len(given) == 1
    run_everything()

    assert len(company.made) == len(payments)
