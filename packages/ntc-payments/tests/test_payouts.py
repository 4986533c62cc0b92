"""Paying out: one call per payout, one effect, and what nobody knows is left to a person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from ntc_core.errors import InvalidInput, Unavailable
from ntc_core.money import Money
from ntc_payments import services
from ntc_payments.errors import (
    CannotResolve,
    IdempotencyKeyReused,
    PayoutNotFound,
    ProviderCannot,
)
from ntc_payments.models import Break, PaymentEvent, Payout
from ntc_payments.services.subjects import apply_known, find_known
from ntc_payments.types import Claim, Observation, Source, Subject

from tests.books import balances, breaks
from tests.test_kill import KILLED, let_leases_end, worker
from tests.test_observing import announced
from tests.test_refunds import ask_now, company, options, run_everything

__all__ = ["announced", "company"]  # fixtures

pytestmark = pytest.mark.django_db

PRICE = Money.from_major(5000, "TZS")


@pytest.fixture
def pay_out(company, user):
    """Return a function that writes a payout to a wallet."""

    def create(**changes) -> Payout:
        return services.create_payout(
            **{
                "created_by": user,
                "money": PRICE,
                "method": "mobile_wallet",
                "phone": "0712345678",
                "purpose": "wages:7",
                "description": "Wages",
                "idempotency_key": f"key-{Payout.objects.count()}",
                **changes,
            }
        )

    return create


BANK = {
    "method": "bank_account",
    "bank_code": "CRDB",
    "account_number": "0150",
    "receiver_name": "Asha Juma",
    "phone": None,
}


@pytest.mark.parametrize("changes", [{}, BANK])
def test_payout_goes_out_once_with_its_fee(pay_out, company, announced, changes):
    payout = pay_out(**changes)
    run_everything()
    payout.refresh_from_db()
    assert (payout.status, payout.rail) == ("pending", "FAST")
    assert balances() == {}

    company.states[f"payouts/{payout.reference}"] = "DONE"
    for _ in range(2):
        ask_now(payout)

    assert payout.status == "succeeded"
    assert balances() == {
        "fees:cashier": 5000,
        "payouts": PRICE.minor,
        "provider:cashier": -PRICE.minor - 5000,
    }
    assert announced == {"payout_succeeded": 1}
    assert company.made == [f"payouts/{payout.reference}"]


def test_paid_at_once_is_done_at_once(pay_out, company):
    company.outcome = "DONE"
    payout = pay_out()
    run_everything()

    payout.refresh_from_db()
    assert payout.status == "succeeded"


def test_float_that_is_too_low_is_a_refusal(pay_out, company, announced):
    """Nothing has moved, and it is not tried again by itself."""
    company.fault = "refuse"
    payout = pay_out()
    run_everything()

    payout.refresh_from_db()
    assert (payout.status, payout.failure_code) == ("rejected", "insufficient_funds")
    assert balances() == {}
    assert announced == {"payout_failed": 1}


@pytest.mark.parametrize("fault", ["cut_after", "hang", "cut_before"])
def test_lost_answer_is_never_sent_again(pay_out, company, fault):
    payout = pay_out()
    company.fault = fault
    run_everything()
    payout.refresh_from_db()
    assert (payout.status, payout.sends) == ("unknown", 1)

    company.fault = ""
    for _ in range(4):
        ask_now(payout)

    assert payout.sends == 1
    assert len(company.made) == (0 if fault == "cut_before" else 1)
    assert payout.status == ("unknown" if fault == "cut_before" else "pending")


def test_reference_that_is_known_there_is_asked_about(pay_out, company):
    """As after a crash of which we know nothing."""
    payout = pay_out()
    company.states[f"payouts/{payout.reference}"] = "DONE"
    run_everything()
    run_everything()

    payout.refresh_from_db()
    assert payout.status == "succeeded"
    assert company.made == []


@pytest.mark.parametrize(
    ("point", "made"), [("payout_sending_committed", 0), ("payout_answer_received", 1)]
)
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_killed_sender_leaves_a_payout_that_is_only_asked_about(
    pay_out, company, settings, point, made
):
    payout = pay_out()
    process = worker(settings, NTC_FAILPOINT=f"payments.{point}")
    process.communicate(timeout=30)
    assert process.returncode == KILLED
    payout.refresh_from_db()
    assert payout.status == "sending"
    assert len(company.made) == made

    let_leases_end()
    Payout.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    run_everything()
    ask_now(payout)

    assert payout.sends == 1
    assert len(company.made) == made
    assert payout.status == ("pending" if made else "unknown")


def test_payout_that_comes_back_is_reversed_in_the_books(pay_out, company, announced):
    """Also when the company tells it before it ever said that it had succeeded."""
    payout = pay_out()
    run_everything()
    fact = Observation(reference=payout.reference, subject=Subject.PAYOUT, claim=Claim.REVERSED)

    for source in (Source.WEBHOOK, Source.WEBHOOK, Source.POLL):
        apply_known([find_known(provider="cashier", observation=fact)], source=source)
    run_everything()

    payout.refresh_from_db()
    assert payout.status == "reversed"
    assert balances() == {"fees:cashier": 5000, "provider:cashier": -5000}
    assert announced == {"payout_succeeded": 1, "payout_reversed": 1}
    assert breaks(payout=payout) == [("reversed", "open")]


def test_no_after_a_success_is_a_contradiction(pay_out, company):
    """Money that left is not taken for back because of one word."""
    company.outcome = "DONE"
    payout = pay_out()
    run_everything()
    company.states[f"payouts/{payout.reference}"] = "FAILED"
    services.poll_payout(payout_id=payout.pk)

    payout.refresh_from_db()
    assert payout.status == "succeeded"
    assert breaks(payout=payout) == [("contradiction", "open")]


def test_undecided_payout_is_left_to_a_person(pay_out, company, user):
    payout = pay_out()
    company.fault = "cut_after"
    run_everything()
    company.states.clear()
    Payout.objects.update(sent_at=timezone.now() - timedelta(days=5))
    for _ in range(2):
        run_everything()
    assert breaks(payout=payout) == [("undecided", "open")]
    with pytest.raises(InvalidInput):
        services.resolve_payout(payout_uid=payout.uid, outcome="succeeded", by=user, resolution=" ")

    services.resolve_payout(
        payout_uid=payout.uid, outcome="succeeded", by=user, resolution="The dashboard says so."
    )

    payout.refresh_from_db()
    assert payout.status == "succeeded"
    [undecided] = Break.objects.all()
    assert (undecided.state, undecided.closed_by) == ("closed", user)
    assert PaymentEvent.objects.filter(payout=payout, actor=user, source="staff").count() == 2
    with pytest.raises(CannotResolve):
        services.resolve_payout(
            payout_uid=payout.uid, outcome="failed", by=user, resolution="Or not."
        )
    with pytest.raises(PayoutNotFound):
        services.resolve_payout(
            payout_uid=user_free_uid(), outcome="failed", by=user, resolution="x"
        )
    with pytest.raises(InvalidInput, match="Choose one of"):
        services.resolve_payout(payout_uid=payout.uid, outcome="?", by=user, resolution="x")


def user_free_uid() -> str:
    return "01999999-9999-7999-8999-999999999999"


def test_same_key_is_the_same_payout(pay_out, company):
    first, second = (pay_out(idempotency_key="k") for _ in range(2))

    assert first.pk == second.pk
    with pytest.raises(IdempotencyKeyReused):
        pay_out(idempotency_key="k", phone="0712345679")
    run_everything()
    assert len(company.made) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_same_key_many_times_at_once_is_one_payout(pay_out, company):
    """F2."""

    def create(number):
        try:
            return pay_out(idempotency_key=f"k{number % 5}").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(40)))
    run_everything()

    assert len(set(made)) == 5
    assert len(company.made) == 5


@pytest.mark.parametrize(
    ("changes", "error", "attr"),
    [
        ({"method": "carrier_pigeon"}, InvalidInput, "method"),
        ({"phone": None}, InvalidInput, "phone"),
        ({"phone": "12"}, InvalidInput, "phone"),
        ({"provider": "nobody"}, InvalidInput, "provider"),
        ({"money": Money.from_major("0.50", "TZS")}, ProviderCannot, "amount"),
        ({"money": Money.from_major(5, "USD")}, ProviderCannot, "currency"),
        ({"money": Money.from_major(0, "TZS")}, InvalidInput, "amount"),
        ({**BANK, "bank_code": ""}, InvalidInput, "bank_code"),
        ({**BANK, "account_number": ""}, InvalidInput, "account_number"),
        ({**BANK, "receiver_name": ""}, InvalidInput, "receiver_name"),
        ({**BANK, "bank_code": "NOBANK"}, ProviderCannot, "bank_code"),
        ({"purpose": ""}, InvalidInput, "purpose"),
        ({"idempotency_key": "ñ"}, InvalidInput, "Idempotency-Key"),
    ],
)
def test_what_cannot_be_is_refused_before_any_row(pay_out, changes, error, attr):
    with pytest.raises(error) as caught:
        pay_out(**changes)

    assert caught.value.attr == attr
    assert not Payout.objects.exists()


def test_company_that_pays_nobody_says_so(pay_out, company, settings):
    settings.NTC_PAYMENT_PROVIDERS = {"cashier": options(company, can_pay_out=False)}
    with pytest.raises(ProviderCannot, match=r"^Cashier does not pay out\.$"):
        pay_out()
    settings.NTC_PAYMENT_PROVIDERS = {}
    with pytest.raises(Unavailable):
        pay_out()


def test_preview_tells_the_fee_and_the_name(company, settings):
    asked = {"money": PRICE, "method": "mobile_wallet", "phone": "0712345678"}

    preview = services.preview_payout(**asked)

    assert preview.fee == Money.from_major(50, "TZS")
    assert preview.receiver_name == "ASHA JUMA"
    assert not Payout.objects.exists()
    settings.NTC_PAYMENT_PROVIDERS = {"cashier": options(company, base_url="http://127.0.0.1:1")}
    with pytest.raises(Unavailable, match="did not tell"):
        services.preview_payout(**asked)


@pytest.mark.django_db(transaction=True)
def test_call_within_somebodys_transaction_is_refused(pay_out, company):
    """No transaction may be open while a company thinks."""
    payout = pay_out()
    with pytest.raises(RuntimeError), transaction.atomic():
        services.send_payout(payout_id=payout.pk)

    assert company.made == []
