"""A payment becomes time, once, and the next one adds to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from ntc_core.money import Money
from ntc_payments import services as payments
from ntc_payments.signals import (
    payment_late_success,
    payment_refunded,
    payment_reversed,
    payment_succeeded,
)

from apps.subscriptions.models import Subscription, SubscriptionPeriod
from apps.subscriptions.services import grant_paid_period, subscribe

from .conftest import make_plan, make_user, settle


def announce(payment):
    """Send what the packages send, in a transaction as they do."""
    with transaction.atomic():
        payment_succeeded.send(sender=type(payment), payment=payment, attempt=None)


@time_machine.travel("2026-11-25 12:00:00Z", tick=False)
def test_the_first_payment_activates_from_now_on(user, plan, paid_for):
    announce(paid_for(plan))

    subscription = Subscription.objects.get(user=user)
    assert subscription.is_active
    assert subscription.periods.get().plan == plan
    assert subscription.starts_at == timezone.now()
    assert subscription.ends_at == timezone.now() + timedelta(days=30)


def test_the_same_payment_again_changes_nothing(user, plan, paid_for):
    payment = paid_for(plan)
    announce(payment)
    first = Subscription.objects.get(user=user)

    announce(payment)
    announce(payment)

    again = Subscription.objects.get(user=user)
    assert (again.starts_at, again.ends_at) == (first.starts_at, first.ends_at)
    assert SubscriptionPeriod.objects.count() == 1


def test_the_next_payment_begins_where_the_present_time_ends(user, plan, week, paid_for):
    announce(paid_for(plan))
    first = Subscription.objects.get(user=user)

    announce(paid_for(week))

    extended = Subscription.objects.get(user=user)
    assert extended.starts_at == first.starts_at
    assert extended.ends_at == first.ends_at + timedelta(days=7)
    assert [period.plan for period in extended.periods.all()] == [plan, week]


def test_after_a_gap_the_time_begins_anew(user, plan, paid_for):
    with time_machine.travel("2026-01-01 00:00:00Z"):
        announce(paid_for(plan))
    with time_machine.travel("2026-06-01 00:00:00Z", tick=False):
        assert not Subscription.objects.get(user=user).is_active

        announce(paid_for(plan))

        renewed = Subscription.objects.get(user=user)
        assert renewed.starts_at == timezone.now()
        assert renewed.ends_at == timezone.now() + timedelta(days=30)


def test_the_payer_gets_what_was_sold_not_what_the_plan_is_now(user, plan, paid_for):
    payment = paid_for(plan)
    plan.period_days, plan.is_active = 1, False
    plan.save()

    announce(payment)

    subscription = Subscription.objects.get(user=user)
    assert subscription.ends_at - subscription.starts_at == timedelta(days=30)


def test_a_paid_period_is_granted_though_its_plan_is_gone(user, plan, paid_for):
    """The money was taken: a row that somebody removed meanwhile must not undo the sale."""
    payment = paid_for(plan)
    plan.delete()

    announce(payment)

    period = SubscriptionPeriod.objects.get()
    assert period.ends_at - period.starts_at == timedelta(days=30)
    assert period.plan is None
    assert Subscription.objects.get(user=user).is_active


def test_a_late_success_grants_once_through_the_success_that_follows_it(user, plan, paid_for):
    payment = paid_for(plan)

    with transaction.atomic():
        payment_late_success.send(sender=type(payment), payment=payment, attempt=None)
    assert not Subscription.objects.exists()
    announce(payment)

    assert SubscriptionPeriod.objects.get().payment_uid == payment.uid


def test_a_payment_for_something_else_grants_nothing(user):
    payment = payments.start_payment(
        payer=user,
        money=Money(minor=100_000, currency="TZS"),
        method="mobile_push",
        phone=user.phone,
        purpose="donation",
        description="Mchango",
        idempotency_key="donation-1",
    )

    announce(settle(payment))

    assert not Subscription.objects.exists()


def test_each_user_has_their_own(user, plan, paid_for):
    other = make_user("+255754100002")

    announce(paid_for(plan))
    announce(paid_for(plan, payer=other))

    assert Subscription.objects.filter(user=user).count() == 1
    assert Subscription.objects.filter(user=other).count() == 1


def test_what_the_announcement_writes_goes_back_with_it(plan, paid_for):
    """A receiver that fails later must not leave the time granted without its receipt."""
    payment = paid_for(plan)

    with transaction.atomic():
        payment_succeeded.send(sender=type(payment), payment=payment, attempt=None)
        transaction.set_rollback(True)

    assert not Subscription.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_parallel_announcements_of_two_payments_grant_each_once():
    """Eight threads, two payments of one user: exactly two periods, one after the other."""
    plan, user = make_plan("sambamba"), make_user("+255754100003")
    paid = [
        settle(
            subscribe(
                user=user, plan_uid=plan.uid, method="mobile_push", idempotency_key=f"key-{number}"
            )
        )
        for number in range(2)
    ]

    def grant(payment) -> None:
        try:
            grant_paid_period(payment=payment)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(grant, paid * 8))

    first, second = SubscriptionPeriod.objects.all()
    assert second.starts_at == first.ends_at
    assert Subscription.objects.get(user=user).ends_at == second.ends_at
    assert second.ends_at - first.starts_at == timedelta(days=60)


def take_back(payment):
    """Send what the packages send when the company has taken the money back."""
    with transaction.atomic():
        payment_reversed.send(sender=type(payment), payment=payment, attempt=None)


@time_machine.travel("2026-11-25 12:00:00Z", tick=False)
def test_money_that_went_back_takes_the_rest_of_its_time_with_it(user, plan, week, paid_for):
    """Once; what was used stays used, and what was bought after it moves up."""
    month, later = paid_for(plan), paid_for(week)
    announce(month)
    announce(later)
    with time_machine.travel("2026-12-05 12:00:00Z", tick=False):
        take_back(month)
        take_back(month)

        subscription = Subscription.objects.get(user=user)
        assert subscription.ends_at == timezone.now() + timedelta(days=7)
        first, second = subscription.periods.order_by("id")
        assert first.withdrawn_at == timezone.now()
        assert (second.starts_at, second.withdrawn_at) == (timezone.now(), None)


@time_machine.travel("2026-11-25 12:00:00Z", tick=False)
def test_nothing_is_left_of_the_only_time(user, plan, paid_for):
    payment = paid_for(plan)
    announce(payment)
    take_back(payment)

    subscription = Subscription.objects.get(user=user)
    assert subscription.ends_at == timezone.now() + timedelta(seconds=1)


def test_reversal_of_something_else_takes_nothing(user, plan, paid_for):
    payment = paid_for(plan)
    take_back(payment)
    announce(payment)
    payment.purpose = "donation"

    take_back(payment)

    assert Subscription.objects.get(user=user).is_active


@pytest.mark.parametrize(("refunded", "is_withdrawn"), [(1, False), (None, True)])
def test_only_a_whole_refund_takes_the_time_back(user, plan, paid_for, refunded, is_withdrawn):
    payment = paid_for(plan)
    announce(payment)
    attempt = payment.attempts.get()
    attempt.settles = True
    attempt.refunded_minor = refunded or payment.amount_minor

    with transaction.atomic():
        payment_refunded.send(sender=type(payment), payment=payment, attempt=attempt, refund=None)

    period = SubscriptionPeriod.objects.get()
    assert (period.withdrawn_at is not None) is is_withdrawn
