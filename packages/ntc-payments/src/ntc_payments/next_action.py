"""What the payer does now, in a word for the client and a sentence for the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ntc_core.phone import mask_phone

from ntc_payments.models import Payment, PaymentAttempt
from ntc_payments.types import AttemptStatus, FailureCode, PaymentMethod, PaymentStatus

__all__ = ["FAILURE_SENTENCES", "NextAction", "NextActionType", "next_action"]


class NextActionType(StrEnum):
    """What a client shows."""

    APPROVE_ON_PHONE = "approve_on_phone"
    OPEN_URL = "open_url"
    PAY_CONTROL_NUMBER = "pay_control_number"
    WAIT = "wait"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class NextAction:
    """The next step; `url` only for `open_url`, `payer_code` for `pay_control_number`."""

    type: NextActionType
    message: str
    url: str | None = None
    payer_code: str | None = None


FAILURE_SENTENCES: Mapping[FailureCode, str] = {
    FailureCode.DECLINED: "The request was declined on the phone.",
    FailureCode.TIMED_OUT: "The request on the phone was not answered in time.",
    FailureCode.INSUFFICIENT_FUNDS: "There was not enough money in the account.",
    FailureCode.CANCELED: "The payment was canceled.",
    FailureCode.INVALID_REQUEST: "The payment company did not take the details. Check the number.",
    FailureCode.PROVIDER_REFUSED: "The payment company did not take the request.",
    FailureCode.PROVIDER_UNREACHABLE: "The payment company could not be reached.",
    FailureCode.NOT_RECEIVED: "The request did not reach the payment company.",
    FailureCode.OTHER: "The payment did not go through.",
}

_ENDED: Mapping[PaymentStatus, str] = {
    PaymentStatus.SUCCEEDED: "The payment was received. Thank you.",
    PaymentStatus.CANCELED: "The payment was canceled.",
    PaymentStatus.EXPIRED: "The time to pay is over. Start a new payment.",
}


def next_action(payment: Payment) -> NextAction:
    """Return what the payer does now. Uses prefetched attempts."""
    status = PaymentStatus(payment.status)
    attempt = payment.current_attempt
    if status in _ENDED:
        return NextAction(type=NextActionType.NONE, message=_ENDED[status])
    if status is PaymentStatus.FAILED:
        code = FailureCode(attempt.failure_code or FailureCode.OTHER) if attempt else None
        sentence = FAILURE_SENTENCES[code or FailureCode.OTHER]
        return NextAction(type=NextActionType.NONE, message=f"{sentence} You can try again.")
    if attempt is None or attempt.status == AttemptStatus.UNKNOWN:
        return NextAction(
            type=NextActionType.WAIT,
            message="We are asking the payment company what happened. Please do not pay again.",
        )
    return _pay(payment, attempt)


def _pay(payment: Payment, attempt: PaymentAttempt) -> NextAction:
    is_number = (
        attempt.method == PaymentMethod.CONTROL_NUMBER and attempt.status == AttemptStatus.PENDING
    )
    # Some companies give a page instead; then there is no number of its own.
    if is_number and (attempt.payer_code or not attempt.checkout_url):
        number = attempt.payer_code or attempt.reference
        return NextAction(
            type=NextActionType.PAY_CONTROL_NUMBER,
            message=f"Pay {payment.money} on the control number {number}.",
            payer_code=number,
        )
    if attempt.checkout_url:
        return NextAction(
            type=NextActionType.OPEN_URL,
            message=f"Pay {payment.money} on the page of the payment company.",
            url=attempt.checkout_url,
        )
    if attempt.method == PaymentMethod.MOBILE_PUSH:
        return _approve(payment, attempt)
    return NextAction(type=NextActionType.WAIT, message="The payment is being prepared.")


def _approve(payment: Payment, attempt: PaymentAttempt) -> NextAction:
    phone = mask_phone(attempt.phone_e164)
    arriving = attempt.status in {AttemptStatus.CREATED, AttemptStatus.SENDING}
    where = f"in a moment on {phone}" if arriving else f"on {phone}"
    return NextAction(
        type=NextActionType.APPROVE_ON_PHONE,
        message=f"A request for {payment.money} appears {where}. Approve it with your PIN.",
    )
