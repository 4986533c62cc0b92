"""Start a payment, or try a failed one again. Writes rows; the outbox does the calling."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.http.request import validate_host
from ntc_core.errors import InvalidInput
from ntc_core.money import Money
from ntc_core.outbox import enqueue
from ntc_core.outbox.clock import database_now

from ntc_payments.conf import payments_settings
from ntc_payments.errors import AttemptInProgress, CannotRetry
from ntc_payments.models import (
    LONGEST_URL,
    Break,
    Payment,
    PaymentAttempt,
    PaymentEvent,
)
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.services.choosing import choose_provider, read_method, read_phone
from ntc_payments.services.inputs import fingerprint_of, read_key, read_text, require_same
from ntc_payments.services.moves import lock_payment, move_payment, write_event
from ntc_payments.services.prompts import require_room_for_prompt
from ntc_payments.types import AttemptStatus, PaymentMethod, PaymentStatus, Source

__all__ = ["retry_payment", "start_payment"]

log = logging.getLogger("ntc_payments")


def start_payment(
    *,
    payer: Any,
    money: Money,
    method: str,
    provider: str | None = None,
    phone: str | None = None,
    purpose: str,
    description: str,
    return_url: str | None = None,
    idempotency_key: str,
    metadata: Mapping[str, Any] | None = None,
) -> Payment:
    """Write a payment and its first attempt in the caller's transaction; call nobody yet.

    Once that commits, a job asks the company to collect.

    Args:
        money: what the server decided; never an amount the payer sent.
        provider: a configured name; None: the first that can do this and answers.
        phone: the number that pays, in any spelling; needed for `mobile_push`.
        idempotency_key: the same key and content give the same payment, ever. Errors about
            it name the header `Idempotency-Key`.

    Raises:
        InvalidInput: something is malformed; `attr` names it.
        ProviderCannot: no provider does this method, currency or amount.
        IdempotencyKeyReused: the payer used the key for something else.
        AttemptInProgress: a prompt for the same purchase is on its way to the payer.
        PromptWaiting: too many prompts wait on that phone, or for that payer.
    """
    chosen_method = read_method(method)
    phone_e164 = read_phone(phone, method=chosen_method)
    content = {
        "amount_minor": money.minor,
        "currency": money.currency,
        "method": chosen_method.value,
        "phone_e164": phone_e164,
        "purpose": read_text(purpose, name="purpose"),
        "description": read_text(description, name="description"),
        "return_url": _url(return_url),
        "metadata": _metadata(metadata),
    }
    key = read_key(idempotency_key)
    fingerprint = fingerprint_of({**content, "provider": provider or ""})
    known = Payment.objects.filter(payer=payer, idempotency_key=key).first()
    if known is not None:
        return _same_or_refused(known, fingerprint)
    if money.minor <= 0:
        raise InvalidInput("The amount must be more than zero.", attr="amount")
    chosen = choose_provider(name=provider, method=chosen_method, money=money)
    life = payments_settings.PAYMENT_EXPIRES_AFTER_SECONDS[chosen_method]
    with transaction.atomic():
        # Two equal requests at once: the second waits for the first and finds its row.
        payment, created = Payment.objects.get_or_create(
            payer=payer,
            idempotency_key=key,
            defaults={
                **content,
                "fingerprint": fingerprint,
                "expires_at": database_now() + timedelta(seconds=life),
            },
        )
        if not created:
            return _same_or_refused(payment, fingerprint)
        require_room_for_prompt(payment)
        write_event(
            payment=payment,
            kind=PaymentEvent.Kind.PAYMENT,
            source=Source.PAYER.value,
            applied=True,
            from_status="",
            to_status=PaymentStatus.OPEN.value,
        )
        _add_attempt(payment, provider=chosen)
    _log_asked("payment.started", payment, provider=chosen)
    return payment


def retry_payment(
    *, payment: Payment, provider: str | None = None, phone: str | None = None
) -> Payment:
    """Add a new attempt to a failed payment, only when none is live.

    Args:
        provider: None: as in the attempt before, unless that company answers nobody.
        phone: None: as in the attempt before.

    Raises:
        AttemptInProgress: an attempt is, or may be, on the payer's phone.
        PromptWaiting: too many others are.
        CannotRetry: paid, canceled or expired.
        InvalidInput, ProviderCannot: as in `start_payment()`.
    """
    method = PaymentMethod(payment.method)
    phone_e164 = read_phone(phone or payment.phone_e164, method=method)
    with transaction.atomic():
        payment = lock_payment(payment.pk)
        attempts = list(payment.attempts.all())
        _require_retriable(payment, attempts)
        chosen = choose_provider(
            name=provider, method=method, money=payment.money, first=attempts[-1].provider
        )
        if phone_e164 != payment.phone_e164:
            payment.phone_e164 = phone_e164
            payment.save(update_fields=["phone_e164", "updated_at"])
        require_room_for_prompt(payment)
        move_payment(
            payment,
            to=PaymentStatus.OPEN,
            allowed=[PaymentStatus.FAILED],
            source=Source.PAYER,
            reason="retry",
        )
        _add_attempt(payment, provider=chosen)
    _log_asked("payment.retried", payment, provider=chosen)
    return payment


def _log_asked(event: str, payment: Payment, *, provider: PaymentProvider) -> None:
    log.info(
        event,
        extra={
            "payment": str(payment.uid),
            "provider": provider.name,
            "method": payment.method,
            "by": str(payment.payer_id),
        },
    )


def _require_retriable(payment: Payment, attempts: list[PaymentAttempt]) -> None:
    live = next((attempt for attempt in attempts if attempt.is_live), None)
    if live is not None:
        raise AttemptInProgress(
            f"An attempt through {live.provider} is still under way ({live.status}). "
            "Wait for it to end; a second request is never sent meanwhile."
        )
    if payment.status != PaymentStatus.FAILED:
        raise CannotRetry(f"The payment is {payment.status}; only a failed one can be retried.")
    if payment.breaks.filter(kind=Break.Kind.LATE_SUCCESS, state=Break.State.OPEN).exists():
        raise CannotRetry(
            "Money for this payment has come late and is being looked at. Do not pay again."
        )
    if payment.expires_at <= database_now():
        raise CannotRetry("The payment is too old to be retried. Start a new one.")


def _add_attempt(payment: Payment, *, provider: PaymentProvider) -> PaymentAttempt:
    attempt = PaymentAttempt.objects.create(
        payment=payment,
        provider=provider.name,
        method=payment.method,
        phone_e164=payment.phone_e164,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
    )
    write_event(
        payment=payment,
        attempt=attempt,
        kind=PaymentEvent.Kind.ATTEMPT,
        source=Source.PAYER.value,
        applied=True,
        from_status="",
        to_status=AttemptStatus.CREATED.value,
    )
    enqueue("ntc_payments.send_attempt", attempt.pk, dedupe_key=str(attempt.pk))
    return attempt


def _same_or_refused(payment: Payment, fingerprint: str) -> Payment:
    require_same(payment.fingerprint, fingerprint)
    return payment


def _url(value: str | None) -> str:
    if not value:
        return ""
    problem = InvalidInput("return_url must be an http or https URL.", attr="return_url")
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise problem from error
    # Browsers read a backslash as a slash, and so another host than we do.
    unclear = "\\" in value or "@" in parts.netloc or not value.isprintable()
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host or unclear or len(value) > LONGEST_URL:
        raise problem
    if not validate_host(host, payments_settings.PAYMENT_RETURN_HOSTS):
        raise InvalidInput(
            "return_url must lead to one of the hosts of this service.",
            code="return_host_not_allowed",
            attr="return_url",
        )
    return value


def _metadata(value: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInput("metadata is a JSON object.", attr="metadata") from error
    return copy
