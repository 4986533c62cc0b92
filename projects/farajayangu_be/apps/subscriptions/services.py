"""Sell a plan, and turn its payment into time."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F, prefetch_related_objects
from django.utils import timezone
from ntc_core.errors import InvalidInput
from ntc_core.models import new_uid
from ntc_payments import services as payments
from ntc_payments.selectors import list_payments

from . import selectors
from .models import Plan, Subscription, SubscriptionPeriod

if TYPE_CHECKING:
    from ntc_payments.models import Payment

    from apps.accounts.models import User

__all__ = ["PURPOSE", "grant_paid_period", "subscribe", "withdraw_period"]

log = logging.getLogger(__name__)

#: The `purpose` of the payments this app asks for.
PURPOSE = "subscription"


def subscribe(
    *,
    user: User,
    plan_uid: UUID,
    method: str,
    idempotency_key: str | None = None,
    provider: str | None = None,
    phone: str | None = None,
    return_url: str | None = None,
) -> Payment:
    """Ask the user for the price of the plan; the time is granted when the payment succeeds.

    `phone` is the one that pays: the user's own unless they name another. What is sold is
    written into the payment, so a later change of the plan does not change what this payer
    gets, nor the answer to the same `idempotency_key`.

    Raises:
        InvalidInput: the plan is not on sale, or the payment cannot be made like that.
        Conflict: a prompt for this is on its way already, or too many others are.
        Unprocessable: the idempotency key was used for something else.
        Unavailable: no payment provider is configured.
    """
    sale = _find_sale(user, plan_uid, idempotency_key) if idempotency_key else None
    try:
        payment = payments.start_payment(
            payer=user,
            **(sale or _make_sale(selectors.get_plan_on_sale(uid=plan_uid), user)),
            method=method,
            provider=provider,
            phone=phone or user.phone,
            purpose=PURPOSE,
            return_url=return_url,
            idempotency_key=idempotency_key or str(new_uid()),
        )
    except InvalidInput as error:
        if error.attr in {"amount", "currency"}:
            # The caller named neither: both are the plan's.
            error.attr = "plan"
        raise
    # What the payer does next follows from the attempts; the answer asks more than once.
    prefetch_related_objects([payment], "attempts")
    return payment


@transaction.atomic
def grant_paid_period(*, payment: Payment) -> SubscriptionPeriod:
    """Grant what the payment paid for, once: a second call returns the first one's period.

    The time begins now, or where the present subscription ends.
    """
    # Two payments of one user take turns here; other users do not wait.
    get_user_model().objects.select_for_update(no_key=True).get(pk=payment.payer_id)
    period = SubscriptionPeriod.objects.filter(payment_uid=payment.uid).first()
    if period is not None:
        return period
    plan = Plan.objects.filter(uid=payment.metadata["plan"]).first()
    if plan is None:
        # The payment says how long, so what was paid for is granted all the same.
        log.error("subscription.plan_is_gone", extra={"payment": str(payment.uid)})
    now = timezone.now()
    subscription = Subscription.objects.filter(user_id=payment.payer_id).first()
    begins_at = max(now, subscription.ends_at) if subscription else now
    ends_at = begins_at + timedelta(days=payment.metadata["period_days"])
    if subscription is None:
        subscription = Subscription(user_id=payment.payer_id, starts_at=begins_at)
    elif subscription.ends_at < now:
        subscription.starts_at = begins_at
    subscription.ends_at = ends_at
    subscription.save()
    return SubscriptionPeriod.objects.create(
        subscription=subscription,
        plan=plan,
        payment_uid=payment.uid,
        starts_at=begins_at,
        ends_at=ends_at,
    )


@transaction.atomic
def withdraw_period(*, payment: Payment) -> SubscriptionPeriod | None:
    """Take back what is left of the time that a payment paid for, once: its money went back.

    Time that was used stays used; what was bought after it moves up.

    Returns:
        The period, or None where the payment granted none.
    """
    get_user_model().objects.select_for_update(no_key=True).get(pk=payment.payer_id)
    period = SubscriptionPeriod.objects.filter(payment_uid=payment.uid).first()
    if period is None or period.withdrawn_at is not None:
        return period
    now = timezone.now()
    left = period.ends_at - max(now, period.starts_at)
    period.withdrawn_at = now
    period.save()
    subscription = period.subscription
    if left > timedelta():
        later = subscription.periods.filter(starts_at__gte=period.ends_at)
        later.update(starts_at=F("starts_at") - left, ends_at=F("ends_at") - left)
        # A row has to end after it starts, also where nothing of it is left.
        subscription.ends_at = max(
            subscription.ends_at - left, subscription.starts_at + timedelta(seconds=1)
        )
        subscription.save()
    log.warning("subscription.period_withdrawn", extra={"payment": str(payment.uid)})
    return period


def _make_sale(plan: Plan, user: User) -> dict[str, Any]:
    return {
        "money": plan.price,
        "description": plan.name_in(user.language),
        "metadata": {"plan": str(plan.uid), "period_days": plan.period_days},
    }


def _find_sale(user: User, plan_uid: UUID, idempotency_key: str) -> dict[str, Any] | None:
    """Return what was sold under this key, if it was this plan: its price may be another now."""
    payment = list_payments(payer=user).filter(idempotency_key=idempotency_key).first()
    if payment is None or payment.metadata.get("plan") != str(plan_uid):
        return None
    return {
        "money": payment.money,
        "description": payment.description,
        "metadata": payment.metadata,
    }
