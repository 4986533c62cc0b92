"""Read plans and subscriptions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.utils import timezone
from ntc_core.errors import InvalidInput

from .models import Plan, SubscriptionPeriod

__all__ = ["find_current_period", "get_plan_on_sale", "list_plans"]


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


def find_current_period(*, user: Any) -> SubscriptionPeriod | None:
    """Return the period that runs now, with its subscription and plan, in one query.

    After the end of the paid time the last period; None if the user never had one.
    """
    has_begun = ExpressionWrapper(Q(starts_at__lte=timezone.now()), output_field=BooleanField())
    return (
        SubscriptionPeriod.objects.select_related("subscription", "plan")
        .filter(subscription__user=user)
        # Periods follow each other: the latest that has begun runs, or was the last. One that
        # has not even begun counts only where there is no other.
        .order_by(has_begun.desc(), "-starts_at", "-id")
        .first()
    )
