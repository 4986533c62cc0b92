"""Read plans and subscriptions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from ntc_core.errors import InvalidInput

from .models import Plan, Subscription

__all__ = ["find_subscription", "get_plan_on_sale", "list_plans"]


def list_plans() -> QuerySet[Plan]:
    """Return the plans on sale, in the order of the shop window."""
    return Plan.objects.filter(is_active=True)


def get_plan_on_sale(*, uid: UUID) -> Plan:
    """Return the plan.

    Raises:
        InvalidInput: there is no such plan, or it is no longer sold.
    """
    plan = list_plans().filter(uid=uid).first()
    if plan is None:
        raise InvalidInput(
            "There is no such plan. Choose one from GET /api/v1/plans/.",
            code="does_not_exist",
            attr="plan",
        )
    return plan


def find_subscription(*, user: Any) -> Subscription | None:
    """Return the user's subscription, or None if they never had one."""
    return Subscription.objects.select_related("plan").filter(user=user).first()
