"""Data to try things with on a developer's machine. Running it again changes nothing."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from apps.common.roles import sync_roles
from apps.subscriptions.models import Plan

__all__ = ["DemoAccount", "list_demo_accounts", "seed"]

PLANS: list[dict[str, Any]] = [
    {
        "code": "siku-7",
        "name_sw": "Wiki moja",
        "name_en": "One week",
        "description_sw": "Siku 7 za huduma zote.",
        "description_en": "Everything for 7 days.",
        "amount_minor": 200_000,
        "period_days": 7,
        "order": 1,
    },
    {
        "code": "siku-30",
        "name_sw": "Mwezi mmoja",
        "name_en": "One month",
        "description_sw": "Siku 30 za huduma zote.",
        "description_en": "Everything for 30 days.",
        "amount_minor": 500_000,
        "period_days": 30,
        "order": 2,
    },
    {
        "code": "siku-365",
        "name_sw": "Mwaka mmoja",
        "name_en": "One year",
        "description_sw": "Siku 365 za huduma zote.",
        "description_en": "Everything for 365 days.",
        "amount_minor": 5_000_000,
        "period_days": 365,
        "order": 3,
    },
]


@dataclass(frozen=True, kw_only=True)
class DemoAccount:
    """Somebody to sign in as. The password belongs to this machine alone."""

    email: str
    phone_e164: str
    full_name: str
    is_admin: bool

    @property
    def password(self) -> str:
        """Return the same password at every start, without one standing in the code."""
        digest = hmac.new(
            settings.SECRET_KEY.encode(), f"demo:{self.email}".encode(), hashlib.sha256
        )
        return f"demo-{digest.hexdigest()[:10]}"


def list_demo_accounts() -> list[DemoAccount]:
    """Return a customer and an admin."""
    return [
        DemoAccount(
            email="demo@example.com",
            phone_e164="+255754000001",
            full_name="Asha Demo",
            is_admin=False,
        ),
        DemoAccount(
            email="admin@example.com",
            phone_e164="+255754000002",
            full_name="Juma Admin",
            is_admin=True,
        ),
    ]


@transaction.atomic
def seed() -> None:
    """Make sure that the roles, demo plans and accounts are there and can be used as printed."""
    sync_roles()
    for plan in PLANS:
        Plan.objects.get_or_create(code=plan["code"], defaults=plan)
    for account in list_demo_accounts():
        _make_usable(account)


def _make_usable(account: DemoAccount) -> None:
    now = timezone.now()
    user, _ = get_user_model().objects.get_or_create(
        email=account.email,
        defaults={
            "phone": account.phone_e164,
            "full_name": account.full_name,
            "email_verified_at": now,
            "phone_verified_at": now,
            "is_staff": account.is_admin,
            "is_superuser": account.is_admin,
        },
    )
    if not user.check_password(account.password):
        user.set_password(account.password)
        user.save(update_fields=["password"])
