"""A company that charges a subscription again buys its payer the next period."""

from __future__ import annotations

from datetime import timedelta

import pytest
from apps.subscriptions.models import Subscription, SubscriptionPeriod
from ntc_payments.selectors import list_payments
from ntc_payments.services.subjects import apply_known, find_known
from ntc_payments.types import Claim, Observation, Source

from .test_receivers import company, mailbox, pay, user

__all__ = ["company", "mailbox", "user"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


def test_renewal_grants_the_next_period_and_is_thanked_for(user, company, mailbox):
    """Once per charge, right after the first period; with a receipt of its own."""
    pay(user, company)
    assert len(mailbox()) == 1
    first = list_payments(payer=user).get()
    began = Subscription.objects.get(user=user)
    charge = Observation(
        reference="",
        claim=Claim.SUCCESS,
        money=first.money,
        provider_ref="order-2",
        renews=first.current_attempt.reference,
    )

    for _ in range(2):
        known = find_known(provider="simulator", observation=charge)
        apply_known([known], source=Source.WEBHOOK)

    assert len(mailbox()) == 2
    assert list_payments(payer=user).count() == 2
    assert SubscriptionPeriod.objects.count() == 2
    assert Subscription.objects.get(user=user).ends_at == began.ends_at + timedelta(days=7)
