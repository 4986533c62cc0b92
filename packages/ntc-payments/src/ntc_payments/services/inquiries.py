"""Answer a company that asks, while the payer waits, whether a number can be paid."""

from __future__ import annotations

import logging

from ntc_core.money import Money

from ntc_payments.selectors import find_payable
from ntc_payments.types import Inquiry, InquiryReply, InquiryVerdict

__all__ = ["answer_inquiry"]

log = logging.getLogger("ntc_payments")


def answer_inquiry(*, provider: str, inquiry: Inquiry) -> InquiryReply:
    """Tell whether money under that number would pay something. Changes nothing, one query.

    What is paid, over or late cannot be paid, so that the company gives the money back by
    itself. An amount that differs is named with what is due.
    """
    reply = _reply(provider, inquiry)
    log.info(
        "payment.inquiry_answered",
        extra={"provider": provider, "action": inquiry.action, "verdict": reply.verdict.value},
    )
    return reply


def _reply(provider: str, inquiry: Inquiry) -> InquiryReply:
    attempt = find_payable(provider=provider, payer_code=inquiry.payer_code)
    if attempt is None:
        return InquiryReply(verdict=InquiryVerdict.UNKNOWN)
    return InquiryReply(
        verdict=_judge(inquiry.money, due=attempt.money),
        money=attempt.money,
        description=attempt.payment.description,
    )


def _judge(offered: Money | None, *, due: Money) -> InquiryVerdict:
    # No amount, or zero, asks what is due.
    if offered is None or offered.minor == 0 or offered == due:
        return InquiryVerdict.PAYABLE
    if offered.currency != due.currency or offered.minor < 0:
        return InquiryVerdict.INVALID_AMOUNT
    return InquiryVerdict.TOO_LOW if offered < due else InquiryVerdict.TOO_HIGH
