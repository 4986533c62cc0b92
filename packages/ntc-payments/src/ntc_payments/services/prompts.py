"""How many requests may wait on a phone: a person can answer few, and pays each one once."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import connection
from django.db.models import Q

from ntc_payments.conf import payments_settings
from ntc_payments.errors import AttemptInProgress, PromptWaiting
from ntc_payments.models import Payment, PaymentAttempt
from ntc_payments.transitions import LIVE_ATTEMPTS
from ntc_payments.types import PaymentMethod

__all__ = ["require_room_for_prompt"]

#: Equal in all of these, two payments of one payer are one purchase, asked for twice.
_SAME_PURCHASE = ("amount_minor", "currency", "phone_e164", "purpose", "description")


def require_room_for_prompt(payment: Payment) -> None:
    """Refuse one more prompt where it would be the second for one purchase, or one too many.

    Call it in the transaction that adds the attempt. Others that ask for the same phone, or
    for the same payer, wait here until that transaction ends.

    Raises:
        AttemptInProgress: the payer has a prompt for the same purchase.
        PromptWaiting: the phone, or the payer, has NTC_PAYMENT_MAX_LIVE_PER_PHONE of them.
    """
    if payment.method != PaymentMethod.MOBILE_PUSH:
        return
    _take_turns(f"payer:{payment.payer_id}", f"phone:{payment.phone_e164}")
    live = list(
        PaymentAttempt.objects.filter(
            Q(phone_e164=payment.phone_e164) | Q(payment__payer=payment.payer_id),
            method=PaymentMethod.MOBILE_PUSH,
            status__in=LIVE_ATTEMPTS,
        )
        .exclude(payment=payment)
        .select_related("payment")
    )
    own = [attempt.payment for attempt in live if attempt.payment.payer_id == payment.payer_id]
    same = next((other for other in own if _purchase(other) == _purchase(payment)), None)
    if same is not None:
        raise AttemptInProgress(
            f"The payment {same.uid} for the same thing is still under way. Approve it on the "
            "phone or cancel it; a second request is never sent meanwhile."
        )
    on_phone = [attempt for attempt in live if attempt.phone_e164 == payment.phone_e164]
    if max(len(on_phone), len(own)) >= payments_settings.PAYMENT_MAX_LIVE_PER_PHONE:
        raise PromptWaiting


def _purchase(payment: Payment) -> tuple[Any, ...]:
    return tuple(getattr(payment, name) for name in _SAME_PURCHASE)


def _take_turns(*names: str) -> None:
    """Wait for other transactions that name one of these; SQLite has one writer anyway."""
    if connection.vendor != "postgresql":
        return
    # In one order for everybody, so that no two wait for each other.
    keys = sorted(_lock_key(name) for name in names)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s), pg_advisory_xact_lock(%s)", keys)


def _lock_key(name: str) -> int:
    """Return 64 bits; two names that share them only wait for each other."""
    digest = hashlib.sha256(f"ntc_payments.prompt:{name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
