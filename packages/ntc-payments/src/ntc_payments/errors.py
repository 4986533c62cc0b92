"""What can be refused, each with a stable code. Plain Python; see `ntc_core.errors`."""

from __future__ import annotations

from ntc_core.errors import Conflict, InvalidInput, NotFound, Unprocessable

__all__ = [
    "AttemptInProgress",
    "CannotCancel",
    "CannotRefund",
    "CannotResolve",
    "CannotRetry",
    "IdempotencyKeyReused",
    "PaymentNotFound",
    "PayoutNotFound",
    "PromptWaiting",
    "ProviderCannot",
    "RefundNotFound",
]


class PaymentNotFound(NotFound):
    """No such payment, or not the caller's."""

    message = "There is no such payment."


class RefundNotFound(NotFound):
    """No such refund."""

    message = "There is no such refund."


class PayoutNotFound(NotFound):
    """No such payout."""

    message = "There is no such payout."


class ProviderCannot(InvalidInput):
    """The provider does not do this method, currency or amount; nothing was sent."""

    code = "provider_cannot"


class IdempotencyKeyReused(Unprocessable):
    """The key was used for a payment, refund or payout with other content."""

    code = "idempotency_key_reused"
    message = (
        "This idempotency key belongs to a request with other content. "
        "Use a new key for a new request."
    )


class AttemptInProgress(Conflict):
    """An attempt may still be on the payer's phone; a second prompt is never sent."""

    code = "attempt_in_progress"


class PromptWaiting(Conflict):
    """The phone or the payer has as many prompts as a person can keep apart."""

    code = "prompt_waiting"
    message = (
        "Too many requests already wait to be approved. Answer or cancel one of them, "
        "or wait until one has ended."
    )


class CannotRetry(Conflict):
    """Only a failed payment that has not expired can be tried again."""

    code = "cannot_retry"


class CannotCancel(Conflict):
    """Only a payment that is not settled or over can be canceled."""

    code = "cannot_cancel"


class CannotRefund(Conflict):
    """Nothing of this payment can be given back."""

    code = "cannot_refund"


class CannotResolve(Conflict):
    """Only what nobody else can decide is decided by staff."""

    code = "cannot_resolve"
