"""A user with a proven phone, plans on sale, and payments as the packages make them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.utils import timezone
from ntc_payments import services as payments
from ntc_payments.selectors import get_payment
from ntc_payments.types import Claim, Observation, Source

from apps.accounts.models import User
from apps.subscriptions import services
from apps.subscriptions.models import Plan

if TYPE_CHECKING:
    from ntc_payments.models import Payment

PaidFor = Callable[..., "Payment"]


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    """Let no test count against the rate limits of the next: SQLite gives ids again."""
    cache.clear()


@pytest.fixture
def user(db: None) -> User:
    """Return a customer who has proven their phone."""
    return make_user("+255754100001")


@pytest.fixture
def plan(db: None) -> Plan:
    """Return the month."""
    return make_plan("mwezi", period_days=30)


@pytest.fixture
def week(db: None) -> Plan:
    """Return the week."""
    return make_plan("wiki", period_days=7, amount_minor=200_000, order=2)


@pytest.fixture
def paid_for(user: User) -> PaidFor:
    """Return a function that sells a plan to the user and says that the money came."""

    def pay(plan: Plan, *, payer: User = user) -> Payment:
        return settle(
            services.subscribe(
                user=payer,
                plan_uid=plan.uid,
                method="mobile_push",
                idempotency_key=secrets.token_hex(8),
            )
        )

    return pay


def settle(payment: Payment) -> Payment:
    """Apply what a company's webhook would say; the announcement waits in the outbox."""
    attempt = payment.current_attempt
    payments.apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(
            reference=attempt.reference, claim=Claim.SUCCESS, money=payment.money
        ),
        source=Source.WEBHOOK,
    )
    return get_payment(uid=payment.uid)


def make_user(phone: str, **values: object) -> User:
    """Store a user who has proven this phone."""
    user = get_user_model().objects.create_user(phone=phone, password=secrets.token_urlsafe(12))
    User.objects.filter(pk=user.pk).update(
        **{"phone_verified_at": timezone.now(), "full_name": "Asha", **values}
    )
    user.refresh_from_db()
    return user


def make_plan(code: str, **values: object) -> Plan:
    """Store a plan on sale."""
    defaults = {
        "code": code,
        "name_sw": f"{code} sw",
        "name_en": f"{code} en",
        "amount_minor": 500_000,
        "period_days": 30,
    }
    return Plan.objects.create(**{**defaults, **values})
