"""Money for a later period of a subscription that we sold: a payment of its own, paid at once."""

from __future__ import annotations

import logging

from django.db import transaction
from ntc_core.outbox.clock import database_now

from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent
from ntc_payments.selectors import find_attempt
from ntc_payments.services.inputs import fingerprint_of
from ntc_payments.services.moves import lock_payment, write_event
from ntc_payments.transitions import PAID_ATTEMPTS
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    Observation,
    PaymentStatus,
    Source,
    Subject,
    Trust,
)

__all__ = ["add_renewal"]

log = logging.getLogger("ntc_payments")

#: No header can carry the arrow, so no client can have used such a key.
_KEY_PREFIX = "\u21bb"


@transaction.atomic
def add_renewal(*, provider: str, observation: Observation) -> PaymentAttempt | None:
    """Return an attempt that this money can settle, of a new payment, once per charge.

    The payment is for what the first one was for, of the same payer. Nothing is sent: the
    company has charged already. The caller applies the observation to the attempt.

    Returns:
        None: it is no renewal of a payment that was paid here, or has another price. Then
        nobody knows what it is for, and it is money without an attempt.
    """
    money = observation.money
    is_charge = observation.subject is Subject.PAYMENT and observation.claim is Claim.SUCCESS
    if not observation.renews or not observation.provider_ref or not is_charge:
        return None
    if money is None or observation.trust is not Trust.STRONG:
        return None
    first = find_attempt(provider=provider, reference=observation.renews)
    if first is None:
        return None
    # Two events about one charge take turns here; the second one finds the first one's row.
    begun = lock_payment(first.payment_id)
    first.refresh_from_db()
    known = PaymentAttempt.objects.filter(provider=provider, provider_ref=observation.provider_ref)
    if (attempt := known.first()) is not None:
        return attempt
    if first.status not in PAID_ATTEMPTS or not first.settles or first.money != money:
        return None
    content = {"renews": str(begun.uid), "provider_ref": observation.provider_ref}
    payment = Payment.objects.create(
        payer_id=begun.payer_id,
        amount_minor=money.minor,
        currency=money.currency,
        method=begun.method,
        purpose=begun.purpose,
        description=begun.description,
        phone_e164=begun.phone_e164,
        metadata=begun.metadata,
        renews=begun,
        idempotency_key=f"{_KEY_PREFIX}{provider}:{observation.provider_ref}",
        fingerprint=fingerprint_of(content),
        expires_at=database_now(),
    )
    attempt = PaymentAttempt.objects.create(
        payment=payment,
        provider=provider,
        provider_ref=observation.provider_ref,
        method=payment.method,
        phone_e164=payment.phone_e164,
        amount_minor=money.minor,
        currency=money.currency,
        exclusive=False,
    )
    for kind, about, status in (
        (PaymentEvent.Kind.PAYMENT, None, PaymentStatus.OPEN.value),
        (PaymentEvent.Kind.ATTEMPT, attempt, AttemptStatus.CREATED.value),
    ):
        write_event(
            payment=payment,
            attempt=about,
            kind=kind,
            source=Source.WEBHOOK.value,
            applied=True,
            reason="renewal",
            from_status="",
            to_status=status,
        )
    log.info(
        "payment.renewed",
        extra={"payment": str(payment.uid), "renews": str(begun.uid), "provider": provider},
    )
    return attempt
