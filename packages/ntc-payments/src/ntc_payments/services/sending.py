"""Ask the company to collect: at most one call per reference whose outcome is unclear."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import F
from ntc_core.failpoints import failpoint
from ntc_core.http import AnswerUnreadable, NoAnswer, NotSent
from ntc_core.outbox.clock import database_now, seconds_from_now

from ntc_payments.conf import payments_settings, provider_registry
from ntc_payments.metrics import count_initiation
from ntc_payments.models import Break, CompanyExchange, PaymentAttempt, PaymentEvent
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.services.breaks import open_break
from ntc_payments.services.exchanges import recorded
from ntc_payments.services.moves import lock_payment, move_attempt, move_payment, write_event
from ntc_payments.services.observing import apply_observation, ask_now
from ntc_payments.services.once_more import once_more_if_lost
from ntc_payments.services.payers import payer_of
from ntc_payments.services.schedule import send_again_after_seconds
from ntc_payments.transitions import Decision
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
    Subject,
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
    attempt = PaymentAttempt.objects.select_related("payment__payer").get(pk=attempt_id)
    provider = provider_registry.get(attempt.provider)
    # Before the claim: a mistake in the project's own code leaves the attempt unsent.
    request = _request(attempt)
    if not _claim(attempt):
        return None
    failpoint("payments.sending_committed")
    outcome = _call(provider, attempt, request)
    count_initiation(subject=Subject.PAYMENT, provider=attempt.provider, outcome=outcome)
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
                "sent_at": database_now(),
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


def _request(attempt: PaymentAttempt) -> AttemptRequest:
    payment = attempt.payment
    return AttemptRequest(
        reference=attempt.reference,
        money=attempt.money,
        method=PaymentMethod(attempt.method),
        phone_e164=attempt.phone_e164,
        description=payment.description,
        return_url=payment.return_url,
        payer=payer_of(payment.payer),
        expires_at=payment.expires_at,
    )


def _call(
    provider: PaymentProvider, attempt: PaymentAttempt, request: AttemptRequest
) -> StartOutcome | Claim:
    extra = {"provider": attempt.provider, "reference": attempt.reference}
    try:
        with recorded(attempt, purpose=CompanyExchange.Purpose.START):
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
    answer = outcome if isinstance(outcome, StartOutcome) else None
    decision = once_more_if_lost(lambda: _record(attempt, answer, _observe(attempt, outcome)))
    if decision.move_to is not AttemptStatus.CREATED:
        return None
    told = answer.retry_after_seconds if answer else None
    return send_again_after_seconds(attempt.sends, told=told)


def _observe(attempt: PaymentAttempt, outcome: StartOutcome | Claim) -> Observation:
    if isinstance(outcome, Claim):
        return Observation(reference=attempt.reference, claim=outcome)
    return Observation(
        reference=attempt.reference,
        claim=_CLAIMS[outcome.result],
        money=outcome.money,
        fee=outcome.fee,
        provider_ref=outcome.provider_ref,
        failure_code=outcome.failure_code,
        failure_message=outcome.failure_message,
    )


@transaction.atomic
def _record(
    attempt: PaymentAttempt, answer: StartOutcome | None, observation: Observation
) -> Decision:
    decision = apply_observation(
        attempt_id=attempt.pk, observation=observation, source=Source.RESPONSE
    )
    if answer is not None:
        _keep_what_the_payer_needs(attempt, answer)
        if answer.result is StartResult.DUPLICATE:
            ask_now(attempt, now=database_now())
    return decision


def _keep_what_the_payer_needs(attempt: PaymentAttempt, answer: StartOutcome) -> None:
    changes = {"checkout_url": answer.checkout_url, "payer_code": answer.payer_code}
    others = PaymentAttempt.objects.filter(provider=attempt.provider).exclude(pk=attempt.pk)
    if answer.payer_code and others.filter(payer_code=answer.payer_code).exists():
        # Money on that number would pay the other attempt: the payer must not see it.
        changes["payer_code"] = ""
        open_break(
            kind=Break.Kind.INTEGRITY,
            dedupe_key=f"payer_code:attempt:{attempt.pk}",
            provider=attempt.provider,
            detail="The company gave a number to pay on that belongs to another attempt.",
            payment=attempt.payment,
            attempt=attempt,
        )
    told = {name: value for name, value in changes.items() if value}
    if told:
        PaymentAttempt.objects.filter(pk=attempt.pk).update(**told)
