"""A user with a proven phone, plans on sale, and payments as the packages make them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from ntc_payments.models import Payment

from apps.accounts.models import User
from apps.subscriptions.models import Plan
from apps.subscriptions.services import PURPOSE

PaidFor = Callable[..., Payment]


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
    """Return a function that makes a succeeded payment for a plan."""

    def make(plan: Plan, *, payer: User = user, **values: object) -> Payment:
        now = timezone.now()
        fields = {
            "payer": payer,
            "amount_minor": plan.amount_minor,
            "currency": plan.currency,
            "method": "mobile_push",
            "purpose": PURPOSE,
            "description": plan.name_sw,
            "status": "succeeded",
            "succeeded_at": now,
            "idempotency_key": secrets.token_hex(8),
            "fingerprint": secrets.token_hex(32),
            "metadata": {"plan": str(plan.uid), "period_days": plan.period_days},
            "expires_at": now + timedelta(minutes=30),
        }
        return Payment.objects.create(**{**fields, **values})

    return make


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
