"""What can be refused, each with a stable code. Plain Python; see `ntc_core.errors`."""

from __future__ import annotations

from ntc_core.errors import Conflict, InvalidInput, NotFound, Unprocessable

__all__ = [
    "AttemptInProgress",
    "CannotCancel",
    "CannotRetry",
    "IdempotencyKeyReused",
    "PaymentNotFound",
    "PromptWaiting",
    "ProviderCannot",
]


class PaymentNotFound(NotFound):
    """No such payment, or not the caller's."""

    message = "There is no such payment."


class ProviderCannot(InvalidInput):
    """The provider does not do this method, currency or amount; nothing was sent."""

    code = "provider_cannot"


class IdempotencyKeyReused(Unprocessable):
    """The key was used for a payment with other content."""

    code = "idempotency_key_reused"
    message = (
        "This idempotency key belongs to a payment with other content. "
        "Use a new key for a new payment."
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
