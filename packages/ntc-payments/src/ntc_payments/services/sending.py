"""Ask the company to collect: at most one call per reference whose outcome is unclear."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from ntc_core.failpoints import failpoint
from ntc_core.http import AnswerUnreadable, NoAnswer, NotSent
from ntc_core.outbox.clock import seconds_from_now

from ntc_payments.conf import payments_settings, provider_registry
from ntc_payments.models import PaymentAttempt, PaymentEvent
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.services.moves import lock_payment, move_attempt, move_payment, write_event
from ntc_payments.services.observing import apply_observation, ask_now
from ntc_payments.services.schedule import send_again_after_seconds
from ntc_payments.types import (
    AttemptRequest,
    AttemptStatus,
    Claim,
    Observation,
    PaymentMethod,
    PaymentStatus,
    Source,
    StartOutcome,
    StartResult,
)

__all__ = ["send_attempt"]

log = logging.getLogger("ntc_payments")

_CLAIMS = {
    StartResult.ACCEPTED: Claim.ACCEPTED,
    StartResult.DONE: Claim.SUCCESS,
    StartResult.REFUSED: Claim.REJECTED,
    StartResult.TRY_LATER: Claim.NOT_SENT,
    StartResult.DUPLICATE: Claim.NO_ANSWER,
}


def send_attempt(*, attempt_id: int) -> float | None:
    """Claim the attempt, call the company once, apply what came of it.

    `sending` is committed before the socket opens. A process that dies from there on leaves
    it behind; after the lease it becomes `unknown` and is queried, never sent again.

    Returns:
        Seconds after which the same call may be made again, because it certainly did not
        reach the company; None: there is nothing more to send.
    """
    attempt = PaymentAttempt.objects.select_related("payment").get(pk=attempt_id)
    provider = provider_registry.get(attempt.provider)
    if not _claim(attempt):
        return None
    failpoint("payments.sending_committed")
    outcome = _call(provider, attempt)
    failpoint("payments.answer_received")
    return _apply(attempt, outcome)


def _claim(attempt: PaymentAttempt) -> bool:
    # durable: this commits now, or it raises because somebody has a transaction open.
    with transaction.atomic(durable=True):
        payment = lock_payment(attempt.payment_id)
        if not payment.is_waiting:
            return False
        claimed = move_attempt(
            attempt,
            to=AttemptStatus.SENDING,
            allowed=[AttemptStatus.CREATED],
            changes={
                "sent_at": timezone.now(),
                "lease_until": seconds_from_now(payments_settings.PAYMENT_SEND_LEASE_SECONDS),
                "sends": F("sends") + 1,
            },
        )
        if not claimed:
            return False
        write_event(
            payment=payment,
            attempt=attempt,
            kind=PaymentEvent.Kind.ATTEMPT,
            source=Source.SYSTEM.value,
            applied=True,
            from_status=AttemptStatus.CREATED.value,
            to_status=AttemptStatus.SENDING.value,
        )
        move_payment(
            payment,
            to=PaymentStatus.PROCESSING,
            allowed=[PaymentStatus.OPEN],
            source=Source.SYSTEM,
            attempt=attempt,
        )
    attempt.refresh_from_db(fields=["sends"])
    return True


def _call(provider: PaymentProvider, attempt: PaymentAttempt) -> StartOutcome | Claim:
    request = AttemptRequest(
        reference=attempt.reference,
        money=attempt.money,
        method=PaymentMethod(attempt.method),
        phone_e164=attempt.phone_e164,
        description=attempt.payment.description,
        return_url=attempt.payment.return_url,
    )
    extra = {"provider": attempt.provider, "reference": attempt.reference}
    try:
        return provider.start(request)
    except NotSent as error:
        log.warning("payment.not_sent", extra={**extra, "error": type(error).__name__})
        return Claim.NOT_SENT
    except (NoAnswer, AnswerUnreadable) as error:
        log.warning("payment.no_answer", extra={**extra, "error": type(error).__name__})
    except Exception:
        # A mistake in the provider's code says nothing about what the company did.
        log.exception("payment.provider_broke", extra=extra)
    return Claim.NO_ANSWER


def _apply(attempt: PaymentAttempt, outcome: StartOutcome | Claim) -> float | None:
    if isinstance(outcome, Claim):
        observation = Observation(reference=attempt.reference, claim=outcome)
        wait, ask, checkout_url = None, False, ""
    else:
        observation = Observation(
            reference=attempt.reference,
            claim=_CLAIMS[outcome.result],
            money=outcome.money,
            provider_ref=outcome.provider_ref,
            failure_code=outcome.failure_code,
            failure_message=outcome.failure_message,
        )
        wait, checkout_url = outcome.retry_after_seconds, outcome.checkout_url
        ask = outcome.result is StartResult.DUPLICATE
    with transaction.atomic():
        decision = apply_observation(
            attempt_id=attempt.pk, observation=observation, source=Source.RESPONSE
        )
        if checkout_url:
            PaymentAttempt.objects.filter(pk=attempt.pk).update(checkout_url=checkout_url)
        if ask:
            ask_now(attempt, now=timezone.now())
    if decision.move_to is not AttemptStatus.CREATED:
        return None
    return max(wait or 0.0, send_again_after_seconds(attempt.sends))
