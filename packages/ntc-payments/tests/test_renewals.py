"""A subscription that we sold is charged again: a payment of its own, paid and told once."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from django.db import connection
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import Break, Payment, PaymentAttempt
from ntc_payments.services.renewing import add_renewal
from ntc_payments.services.subjects import apply_known, find_known
from ntc_payments.services.unmatched import put_into_suspense
from ntc_payments.signals import payment_succeeded
from ntc_payments.types import Claim, Observation, Source, Subject, Trust

from tests.books import balances, breaks

pytestmark = pytest.mark.django_db(transaction=True)

PRICE = Money.from_major(15_000, "TZS")


@pytest.fixture
def first(start):
    """Return the attempt that began a subscription."""
    payment = start(metadata={"plan": "P1"})
    run_due_jobs()
    attempt = payment.attempts.get()
    settle(attempt)
    return attempt


def settle(attempt: PaymentAttempt) -> None:
    services.apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(
            reference=attempt.reference, claim=Claim.SUCCESS, money=attempt.money
        ),
        source=Source.POLL,
    )
    attempt.refresh_from_db()


def charge(first: PaymentAttempt, **changes: object) -> Observation:
    """Return what a company says about the next period."""
    values = {
        "reference": "",
        "claim": Claim.SUCCESS,
        "money": PRICE,
        "provider_ref": "ORDER-2",
        "renews": first.reference,
        **changes,
    }
    return Observation(**values)


def hear(observation: Observation) -> None:
    known = find_known(provider="simulator", observation=observation)
    assert known is not None
    apply_known([known], source=Source.WEBHOOK)


def test_later_period_is_a_payment_of_its_own(first):
    """For the same purpose, of the same payer, with what the project noted."""
    told = []
    payment_succeeded.connect(lambda payment, **_: told.append(payment.pk), weak=False)

    hear(charge(first, fee=Money(60_000, "TZS")))
    run_due_jobs()

    begun = first.payment
    renewal = Payment.objects.get(renews=begun)
    assert (renewal.payer, renewal.purpose, renewal.metadata) == (
        begun.payer,
        begun.purpose,
        {"plan": "P1"},
    )
    assert (renewal.status, renewal.money) == ("succeeded", PRICE)
    assert sorted(told) == [begun.pk, renewal.pk]
    attempt = renewal.attempts.get()
    assert (attempt.status, attempt.provider_ref, attempt.sends) == ("succeeded", "ORDER-2", 0)
    assert attempt.settles
    assert balances() == {
        "provider:simulator": 2 * PRICE.minor - 60_000,
        "fees:simulator": 60_000,
        "sales": -2 * PRICE.minor,
    }
    assert breaks() == []


def test_same_charge_is_one_payment_however_often_it_is_told(first):
    for _ in range(3):
        hear(charge(first))

    hear(charge(first, provider_ref="ORDER-3"))
    assert Payment.objects.filter(renews=first.payment).count() == 2
    assert balances()["sales"] == -3 * PRICE.minor


def test_same_charge_told_at_once_is_one_payment(first):
    errors = []

    def tell() -> None:
        try:
            hear(charge(first))
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert Payment.objects.filter(renews=first.payment).count() == 1
    assert balances()["sales"] == -2 * PRICE.minor


@pytest.mark.parametrize(
    "changes",
    [
        {"money": Money.from_major(15_001, "TZS")},
        {"money": Money(PRICE.minor, "USD")},
        {"money": None},
        {"renews": "P0000000000000000000"},
        {"provider_ref": ""},
        {"claim": Claim.FAILURE},
        {"claim": Claim.REVERSED},
        {"trust": Trust.HINT},
        {"subject": Subject.REFUND},
    ],
)
def test_what_is_no_such_charge_makes_no_payment(first, changes):
    """Another price may buy another thing: a person looks at it."""
    assert add_renewal(provider="simulator", observation=charge(first, **changes)) is None
    assert Payment.objects.count() == 1


def test_other_company_renews_nothing(first):
    assert add_renewal(provider="polar", observation=charge(first)) is None


def test_what_was_never_paid_is_not_renewed(start):
    """It may still be: then the event finds it on its next try."""
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    assert add_renewal(provider="simulator", observation=charge(attempt)) is None

    settle(attempt)

    assert add_renewal(provider="simulator", observation=charge(attempt)) is not None


def test_second_charge_is_no_beginning(first):
    """Only what the payment was paid with has later periods."""
    PaymentAttempt.objects.filter(pk=first.pk).update(settles=False)

    assert add_renewal(provider="simulator", observation=charge(first)) is None


def test_money_with_another_price_names_the_subscription(first):
    """The break tells where to look."""
    odd = replace(charge(first), money=Money.from_major(9_000, "TZS"))
    put_into_suspense(provider="simulator", observation=odd)

    assert first.reference in Break.objects.get(kind="unmatched").detail
