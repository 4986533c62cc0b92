"""What the money of an attempt does: the books, the policies, the breaks, the signals."""

from __future__ import annotations

import pytest
from ntc_core.errors import Conflict, InvalidInput
from ntc_core.money import Money
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.errors import CannotRetry
from ntc_payments.models import Break, LedgerTransaction, Payment, PaymentAttempt
from ntc_payments.transitions import Reason
from ntc_payments.types import Claim, Source, Trust

from tests.books import balances, breaks
from tests.test_observing import PRICE, announced, observe, pending

__all__ = ["announced", "pending"]  # fixtures

pytestmark = pytest.mark.django_db

MINOR = PRICE.minor
PROVIDER = "provider:simulator"


@pytest.fixture
def late(pending, settings):
    """Return a function that lets money come for a payment that had failed."""

    def make(policy) -> PaymentAttempt:
        settings.NTC_PAYMENT_LATE_SUCCESS_POLICY = policy
        attempt = pending(purpose="ticket:7").attempts.get()
        observe(attempt, Claim.FAILURE)
        observe(attempt, Claim.SUCCESS, Source.POLL, provider_ref="T1")
        observe(attempt, Claim.SUCCESS, Source.POLL, provider_ref="T1")
        attempt.refresh_from_db()
        return attempt

    return make


def refunds_asked_for() -> list[list[object]]:
    """Return the arguments of the refunds that a policy asked for."""
    jobs = OutboxJob.objects.filter(task="ntc_payments.refund_automatically").order_by("id")
    return list(jobs.values_list("arguments", flat=True))


def test_success_is_booked_once_and_can_be_given_back(pending):
    """The company holds it for us, and it was a sale."""
    attempt = pending().attempts.get()

    for source in (Source.WEBHOOK, Source.WEBHOOK, Source.POLL):
        observe(attempt, Claim.SUCCESS, source, provider_ref="T1")

    attempt.refresh_from_db()
    assert attempt.captured_minor == MINOR
    assert balances() == {PROVIDER: MINOR, "sales": -MINOR}
    assert LedgerTransaction.objects.get().kind == "capture"
    assert breaks() == []


def test_fee_is_booked_once_whenever_it_is_told(pending):
    """At the start as an estimate, with the success as the truth; afterwards it is booked."""
    attempt = pending().attempts.get()
    fees = [Money.from_major(amount, "TZS") for amount in (100, 150, 999)]

    observe(attempt, Claim.ACCEPTED, Source.RESPONSE, fee=fees[0])
    assert balances() == {}
    observe(attempt, Claim.SUCCESS, fee=fees[1])
    observe(attempt, Claim.SUCCESS, fee=fees[2])

    attempt.refresh_from_db()
    assert attempt.fee == fees[1]
    assert balances() == {
        PROVIDER: MINOR - fees[1].minor,
        "fees:simulator": fees[1].minor,
        "sales": -MINOR,
    }


def test_fee_that_is_told_after_the_success_is_booked_too(pending):
    """The webhook has none, the query has; a fee in another money is none of this attempt's."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS)

    observe(attempt, Claim.SUCCESS, Source.POLL, fee=Money.from_major(1, "USD"))
    observe(attempt, Claim.SUCCESS, Source.WEBHOOK, fee=Money(70, "TZS"), trust=Trust.HINT)
    observe(attempt, Claim.SUCCESS, Source.POLL, fee=Money(50, "TZS"))

    attempt.refresh_from_db()
    assert attempt.fee_minor == 50
    assert balances()["fees:simulator"] == 50


@pytest.mark.parametrize(
    ("money", "currency"),
    [
        (Money.from_major("14999", "TZS"), "TZS"),
        (Money.from_major("15001", "TZS"), "TZS"),
        (Money(minor=MINOR, currency="USD"), "USD"),
    ],
)
def test_money_that_differs_goes_to_suspense_once(pending, announced, money, currency):
    """Nothing is lost, nothing is sold, and a person decides."""
    attempt = pending().attempts.get()

    for source in (Source.WEBHOOK, Source.POLL):
        observe(attempt, Claim.SUCCESS, source, money=money, provider_ref="T1")
    run_due_jobs()

    attempt.refresh_from_db()
    assert (attempt.status, attempt.captured_minor) == ("pending", 0)
    assert balances(currency) == {PROVIDER: money.minor, "suspense": -money.minor}
    assert breaks() == [("integrity", "open")]
    assert Break.objects.get().money == money
    assert announced == {}


def test_nothing_is_booked_for_no_money(pending):
    """A success over nothing proves nothing."""
    observe(pending().attempts.get(), Claim.SUCCESS, money=Money(0, "TZS"))

    assert balances() == {}


def test_money_that_differs_and_goes_back_leaves_nothing_in_suspense(pending):
    """Its reversal is the mirror; without its booking there is nothing to mirror."""
    money = Money.from_major("14999", "TZS")
    known, unknown = pending().attempts.get(), pending().attempts.get()

    observe(known, Claim.SUCCESS, money=money, provider_ref="T1")
    for attempt in (known, unknown, known):
        observe(attempt, Claim.REVERSED, money=money, provider_ref=f"T{attempt.pk}")
        observe(attempt, Claim.REVERSED, money=money, provider_ref="T1")

    assert balances() == {}
    assert set(breaks(attempt=known)) == {("integrity", "open"), ("reversed", "open")}


def test_part_that_goes_back_after_a_success_is_a_break(pending):
    """The payment stays paid; what is missing at the company is missing in suspense."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")

    observe(attempt, Claim.REVERSED, money=Money(100, "TZS"), provider_ref="T1")

    attempt.refresh_from_db()
    assert attempt.status == "succeeded"
    assert balances() == {PROVIDER: MINOR - 100, "sales": -MINOR, "suspense": 100}
    assert breaks() == [("reversed", "open")]


def test_part_that_is_gone_cannot_be_given_back(pending, simulator):
    """Counted once, however often it is told; another part is another fact."""
    payment = pending()
    attempt = payment.attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")

    for minor in (100, 100, 250, 100):
        observe(attempt, Claim.REVERSED, money=Money(minor, "TZS"), provider_ref="T1")

    attempt.refresh_from_db()
    assert attempt.captured_minor == MINOR - 350
    with pytest.raises(InvalidInput, match="At most"):
        services.refund_payment(
            payment=payment, money=PRICE, reason="x", idempotency_key="all", route="manual"
        )
    refund = services.refund_payment(
        payment=payment, reason="x", idempotency_key="rest", route="manual"
    )
    assert refund.money == Money(MINOR - 350, "TZS")


def test_part_in_another_currency_is_for_a_person_only(pending):
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")

    observe(attempt, Claim.REVERSED, money=Money(100, "USD"), provider_ref="T1")

    attempt.refresh_from_db()
    assert attempt.captured_minor == MINOR


@pytest.mark.parametrize("money", [PRICE, None])
def test_all_that_goes_back_after_a_part_is_only_the_rest(pending, money):
    """Nothing is taken twice, and nothing of it is left in suspense."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")
    observe(attempt, Claim.REVERSED, money=Money(100, "TZS"), provider_ref="T1")

    for _ in range(2):
        observe(attempt, Claim.REVERSED, money=money, provider_ref="T1")

    attempt.refresh_from_db()
    assert (attempt.status, attempt.captured_minor) == ("reversed", 0)
    assert balances() == {}


def test_parts_that_add_up_to_all_leave_nothing_to_reverse(pending):
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")
    for minor in (100, MINOR - 100):
        observe(attempt, Claim.REVERSED, money=Money(minor, "TZS"), provider_ref="T1")

    observe(attempt, Claim.REVERSED, provider_ref="T1")

    attempt.refresh_from_db()
    assert (attempt.status, attempt.captured_minor) == ("reversed", 0)
    assert balances() == {}


def test_second_charge_told_under_two_attempts_is_counted_once(pending, announced):
    """The company names a stray charge under each of the payer's tries: a person looks."""
    first, other = (pending().attempts.get() for _ in range(2))
    for attempt, ref in ((first, "T1"), (other, "T2")):
        observe(attempt, Claim.SUCCESS, provider_ref=ref)

    for attempt in (first, other, first, other):
        decision = observe(attempt, Claim.SUCCESS, provider_ref="STRAY")
    run_due_jobs()

    assert decision.reason is Reason.REFERENCE_TAKEN
    assert balances() == {PROVIDER: 3 * MINOR, "sales": -2 * MINOR, "customer_credit": -MINOR}
    first.refresh_from_db()
    other.refresh_from_db()
    assert (first.captured_minor, other.captured_minor) == (2 * MINOR, MINOR)
    assert announced["payment_duplicate_charge"] == 1
    assert breaks(attempt=other) == [("integrity", "open")]


def test_second_charge_of_one_attempt_does_not_pay_another(pending):
    """Told first as the second charge of one, then as the charge of one that waits."""
    first, waiting = (pending().attempts.get() for _ in range(2))
    observe(first, Claim.SUCCESS, provider_ref="T1")
    observe(first, Claim.SUCCESS, provider_ref="STRAY")

    observe(waiting, Claim.SUCCESS, provider_ref="STRAY")

    waiting.refresh_from_db()
    assert waiting.status == "pending"
    assert balances()[PROVIDER] == 2 * MINOR


def test_success_whose_amount_nobody_tells_is_a_break_until_it_is_told(pending):
    """Asked, the company says "paid" and not how much; a webhook may know."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, money=None)
    assert breaks() == []

    for _ in range(2):
        observe(attempt, Claim.SUCCESS, Source.POLL, money=None)
    assert breaks() == [("integrity", "open")]
    assert balances() == {}
    observe(attempt, Claim.SUCCESS)
    observe(attempt, Claim.SUCCESS, Source.POLL, money=None)

    assert breaks() == [("integrity", "closed")]
    assert balances()["sales"] == -MINOR


def test_transaction_of_another_attempt_is_a_break(pending):
    """Its money is booked where it belongs already."""
    first, second = (pending().attempts.get() for _ in range(2))
    observe(first, Claim.SUCCESS, provider_ref="T1")

    observe(second, Claim.SUCCESS, provider_ref="T1")

    assert balances() == {PROVIDER: MINOR, "sales": -MINOR}
    assert breaks(attempt=second) == [("integrity", "open")]


def test_late_money_is_accepted_by_default(late, announced, settings):
    """Booked at once as late, then as a sale."""
    attempt = late("accept")
    run_due_jobs()

    attempt.payment.refresh_from_db()
    kinds = list(LedgerTransaction.objects.values_list("kind", flat=True))
    assert (attempt.payment.status, attempt.settles) == ("succeeded", True)
    assert kinds == ["late_capture", "late_accepted"]
    assert balances() == {PROVIDER: MINOR, "sales": -MINOR}
    assert announced == {"payment_failed": 1, "payment_late_success": 1, "payment_succeeded": 1}
    assert (breaks(), refunds_asked_for()) == ([], [])


def test_late_money_is_given_back_where_the_policy_says_so(late, announced):
    """Owed to the payer, and a refund under a key of its own; the payment stays failed."""
    attempt = late("auto_refund")
    run_due_jobs()

    attempt.payment.refresh_from_db()
    assert (attempt.payment.status, attempt.status, attempt.settles) == (
        "failed",
        "succeeded",
        False,
    )
    assert attempt.captured_minor == MINOR
    assert LedgerTransaction.objects.filter(kind="late_owed").count() == 1
    assert refunds_asked_for() == [[attempt.pk, MINOR, f"late:{attempt.pk}"]]
    assert announced["payment_late_success"] == 1
    assert announced["payment_succeeded"] == 0


def test_late_money_is_held_where_the_policy_says_so(late, announced):
    """In suspense, with a break; meanwhile the payer cannot pay it again."""
    attempt = late("hold")
    run_due_jobs()

    attempt.payment.refresh_from_db()
    assert (attempt.payment.status, attempt.settles) == ("failed", False)
    assert balances() == {PROVIDER: MINOR, "suspense": -MINOR}
    assert breaks() == [("late_success", "open")]
    assert announced["payment_succeeded"] == 0
    with pytest.raises(CannotRetry, match="looked at"):
        services.retry_payment(payment=attempt.payment)


def test_held_money_is_accepted_by_a_person(late, announced, user):
    """Once: the payment succeeds after all, and the break tells who decided."""
    attempt = late("hold")
    with pytest.raises(InvalidInput):
        services.accept_held(attempt_id=attempt.pk, by=user, resolution=" ")

    payment = services.accept_held(attempt_id=attempt.pk, by=user, resolution="Seat is free.")
    run_due_jobs()

    payment.refresh_from_db()
    attempt.refresh_from_db()
    assert (payment.status, attempt.settles) == ("succeeded", True)
    assert payment.events.last().source == "staff"
    assert balances() == {PROVIDER: MINOR, "sales": -MINOR}
    assert (breaks(), Break.objects.get().closed_by) == ([("late_success", "closed")], user)
    assert announced["payment_succeeded"] == 1
    with pytest.raises(Conflict):
        services.accept_held(attempt_id=attempt.pk, by=user, resolution="Again.")


@pytest.mark.parametrize(
    "change", [{"status": "failed"}, {"refund_reserved_minor": 1}, {"payment": "succeeded"}]
)
def test_money_that_is_not_held_any_more_is_not_accepted(late, user, change):
    """Never came for sure, is being given back, or something else paid meanwhile."""
    attempt = late("hold")
    if "payment" in change:
        Payment.objects.update(status="succeeded", succeeded_at=attempt.created_at)
    else:
        PaymentAttempt.objects.update(**change)

    with pytest.raises(Conflict) as caught:
        services.accept_held(attempt_id=attempt.pk, by=user, resolution="Accept.")

    assert caught.value.code == "not_held"
    assert balances() == {PROVIDER: MINOR, "suspense": -MINOR}


@pytest.mark.parametrize(
    ("policies", "status"),
    [({"ticket": "hold"}, "failed"), ({"subscription": "hold"}, "succeeded"), ({}, "succeeded")],
)
def test_policy_is_chosen_by_what_the_payment_is_for(late, policies, status):
    """By the part of the purpose before the colon; what is not named is accepted."""
    attempt = late(policies)

    attempt.payment.refresh_from_db()
    assert attempt.payment.status == status


def test_late_money_of_a_payment_that_is_tried_again_pays_it(pending, announced, settings):
    """It is still wanted, whatever the policy: the second prompt is withdrawn."""
    settings.NTC_PAYMENT_LATE_SUCCESS_POLICY = "hold"
    payment = pending()
    first = payment.attempts.get()
    observe(first, Claim.FAILURE)
    services.retry_payment(payment=payment)

    observe(first, Claim.SUCCESS, Source.POLL)
    run_due_jobs()

    payment.refresh_from_db()
    assert payment.status == "succeeded"
    assert payment.attempts.last().status == "rejected"


def test_success_that_nobody_can_confirm_is_left_to_a_person(start, settings):
    """Failed, then paid, and the company cannot be asked; staff look into its dashboard."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {"class": "tests.companies.TellingProvider", "can_query": False}
    }
    attempt = start(method="control_number").attempts.get()
    observe(attempt, Claim.FAILURE)
    observe(attempt, Claim.SUCCESS)
    attempt.refresh_from_db()
    assert (attempt.status, attempt.next_poll_at) == ("failed", None)
    assert breaks() == [("late_success", "open")]

    observe(attempt, Claim.SUCCESS, Source.STAFF)

    attempt.payment.refresh_from_db()
    assert attempt.payment.status == "succeeded"
    assert breaks() == [("late_success", "closed")]


@pytest.mark.parametrize("policy", ["hold", "auto_refund"])
def test_second_charge_under_one_reference_is_owed_to_the_payer(
    pending, announced, settings, policy
):
    """Told however often: booked, counted and announced once, with a fee of its own."""
    settings.NTC_PAYMENT_DUPLICATE_POLICY = policy
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1", fee=Money(10, "TZS"))

    for source in (Source.WEBHOOK, Source.POLL, Source.WEBHOOK):
        observe(attempt, Claim.SUCCESS, source, provider_ref="T2", fee=Money(20, "TZS"))
    run_due_jobs()

    attempt.refresh_from_db()
    assert (attempt.captured_minor, attempt.fee_minor) == (2 * MINOR, 30)
    assert balances()["customer_credit"] == -MINOR
    assert balances()[PROVIDER] == 2 * MINOR - 30
    assert announced == {"payment_succeeded": 1, "payment_duplicate_charge": 1}
    if policy == "hold":
        assert (breaks(), refunds_asked_for()) == ([("duplicate_charge", "open")], [])
    else:
        key = f"duplicate:{attempt.pk}:T2"
        # This company gives nothing back by itself, so a person is asked to.
        asked = [("undecided", "open")], [[attempt.pk, MINOR, key]]
        assert (breaks(), refunds_asked_for()) == asked


def test_second_attempt_that_is_paid_too_is_owed_to_the_payer(pending, announced):
    """Its own money on its own row; the payment succeeded once."""
    payment = pending()
    first = payment.attempts.get()
    observe(first, Claim.FAILURE)
    services.retry_payment(payment=payment)
    second = payment.attempts.last()
    observe(second, Claim.SUCCESS, provider_ref="T2")

    for _ in range(2):
        observe(first, Claim.SUCCESS, Source.POLL, provider_ref="T1")
    run_due_jobs()

    assert list(payment.attempts.values_list("captured_minor", flat=True)) == [MINOR, MINOR]
    assert balances() == {PROVIDER: 2 * MINOR, "sales": -MINOR, "customer_credit": -MINOR}
    assert breaks() == [("duplicate_charge", "open")]
    assert announced["payment_duplicate_charge"] == announced["payment_succeeded"] == 1

    observe(first, Claim.REVERSED, provider_ref="T1")
    run_due_jobs()

    assert balances() == {PROVIDER: MINOR, "sales": -MINOR}
    assert breaks() == [("duplicate_charge", "closed"), ("reversed", "open")]
    assert announced["payment_reversed"] == 0


def test_reversal_is_the_mirror_and_is_told(pending, announced):
    """Money back at the company, the payment still says that it succeeded."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1", fee=Money(10, "TZS"))

    for _ in range(2):
        observe(attempt, Claim.REVERSED, provider_ref="T1", money=None)
    run_due_jobs()

    attempt.refresh_from_db()
    assert (attempt.status, attempt.captured_minor, attempt.next_poll_at) == ("reversed", 0, None)
    assert attempt.payment.status == "succeeded"
    # The fee stays with the company.
    assert balances() == {PROVIDER: -10, "fees:simulator": 10}
    assert breaks() == [("reversed", "open")]
    assert announced == {"payment_succeeded": 1, "payment_reversed": 1}


@pytest.mark.parametrize("policy", ["accept", "hold", "auto_refund"])
def test_late_money_that_goes_back_leaves_nothing_behind(late, policy):
    """Whichever account held it."""
    attempt = late(policy)

    observe(attempt, Claim.REVERSED, Source.POLL, provider_ref="T1")

    assert balances() == {}
    assert breaks(state="open") == [("reversed", "open")]


def test_reversal_counts_no_lower_than_what_is_being_given_back(pending):
    """The constraint holds, and staff read that it may go back twice."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")
    PaymentAttempt.objects.update(refund_reserved_minor=500)

    observe(attempt, Claim.REVERSED, provider_ref="T1")

    attempt.refresh_from_db()
    assert attempt.captured_minor == 500
    assert "TZS 5 of it" in Break.objects.get().detail


@pytest.mark.parametrize("reserved", [0, 500])
@pytest.mark.parametrize("claims", ["success, reversed", "reversed, success"])
def test_second_charge_that_goes_back_leaves_nothing_behind(pending, announced, claims, reserved):
    """In either order; nobody's grant is taken back, because the first charge stands."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS, provider_ref="T1")
    PaymentAttempt.objects.update(refund_reserved_minor=reserved)

    for claim in claims.split(", ") * 2:
        observe(attempt, Claim(claim), provider_ref="T2")
    run_due_jobs()

    attempt.refresh_from_db()
    assert (attempt.status, attempt.captured_minor) == ("succeeded", MINOR)
    assert balances() == {PROVIDER: MINOR, "sales": -MINOR}
    told_twice = [("reversed", "open")] if reserved else []
    assert breaks() == [("duplicate_charge", "closed"), *told_twice]
    assert announced == {"payment_succeeded": 1, "payment_duplicate_charge": 1}


def test_contradiction_is_a_break_until_the_company_confirms(pending):
    """It says "failed" about what it said is paid; asked, it says paid."""
    attempt = pending().attempts.get()
    observe(attempt, Claim.SUCCESS)
    for _ in range(2):
        observe(attempt, Claim.FAILURE)
    assert breaks() == [("contradiction", "open")]
    attempt.refresh_from_db()
    assert attempt.next_poll_at is not None

    observe(attempt, Claim.SUCCESS, Source.WEBHOOK)
    assert breaks() == [("contradiction", "open")]
    observe(attempt, Claim.SUCCESS, Source.POLL)

    assert breaks() == [("contradiction", "closed")]
    observe(attempt, Claim.FAILURE)
    assert breaks() == [("contradiction", "closed")]


def test_reversal_needs_the_proof_of_a_success(pending):
    """Its money, and the company's own answer where the attempt had ended."""
    attempt = pending().attempts.get()

    assert observe(attempt, Claim.REVERSED, money=None).reason is Reason.AMOUNT_MISSING
    observe(attempt, Claim.FAILURE)
    assert observe(attempt, Claim.REVERSED).reason is Reason.NEEDS_CONFIRMATION
    assert balances() == {}
    observe(attempt, Claim.REVERSED, Source.POLL)

    attempt.refresh_from_db()
    assert attempt.status == "reversed"
    assert Payment.objects.get().status == "succeeded"


def test_success_path_has_so_many_queries(pending, django_assert_num_queries):
    """One more is a decision: this runs for every payment that is made.

    The transaction (2), reading with the lock (3), whose money it is (1), the attempt and its
    history (3), the payment and its history (2), two bookings (6), the announcement (2), the
    other attempts (1), an open question (1).
    """
    attempt = pending().attempts.get()

    with django_assert_num_queries(21):
        observe(attempt, Claim.SUCCESS, provider_ref="T1", fee=Money(10, "TZS"))
