"""Where the packages meet: they do not know each other, the project introduces them.

Every signal here is sent inside a transaction, and what a receiver does is rows only: a
message and a period of subscription are written exactly once, together with their cause, or
not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from apps.accounts.signals import registration_refused
from apps.subscriptions import services as subscriptions
from django.dispatch import receiver
from ntc_core.auth.services import code_secrets
from ntc_core.auth.signals import code_issued
from ntc_core.errors import NotFound, Unavailable
from ntc_core.realtime import publish, stream_of
from ntc_notify import services as notify
from ntc_notify.errors import ContentGone, InvalidRecipient, NoReachableAddress
from ntc_notify.signals import inbox_item_created
from ntc_notify.types import Recipient
from ntc_payments.signals import (
    payment_changed,
    payment_failed,
    payment_refunded,
    payment_reversed,
    payment_succeeded,
)

if TYPE_CHECKING:
    from apps.accounts.models import PendingRegistration
    from ntc_core.auth.models import OneTimeCode
    from ntc_notify.models import InboxItem
    from ntc_payments.models import Payment, PaymentAttempt, Refund

__all__ = [
    "grant_and_thank",
    "push_inbox_item",
    "push_payment",
    "read_code",
    "send_code",
    "tell_of_account",
    "tell_of_failed_payment",
    "withdraw_refunded",
    "withdraw_reversed",
]

log = logging.getLogger(__name__)

#: What the clocks of Tanzania show, all year round.
EAST_AFRICA_TIME = timezone(timedelta(hours=3))


@receiver(code_issued, dispatch_uid="farajayangu_be.send_code")
def send_code(challenge: OneTimeCode, **_: Any) -> None:
    """Send the code on the one channel it proves."""
    lifetime = challenge.expires_at - challenge.created_at
    _send_to_destination(
        challenge,
        kind="verification_code",
        context={
            "challenge": str(challenge.uid),
            "minutes": round(lifetime / timedelta(minutes=1)),
        },
    )


def read_code(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the digits for `verification_code`, when its message is written.

    Raises:
        ContentGone: the code is used, replaced or expired; an old one would only confuse.
    """
    try:
        return code_secrets(context)
    except NotFound as error:
        raise ContentGone from error


@receiver(registration_refused, dispatch_uid="farajayangu_be.tell_of_account")
def tell_of_account(registration: PendingRegistration, challenge: OneTimeCode, **_: Any) -> None:
    """Tell the owner of an account that somebody, probably they, tried to register again."""
    _send_to_destination(
        challenge, kind="account_exists", context={}, language=registration.language
    )


@receiver(payment_succeeded, dispatch_uid="farajayangu_be.grant_and_thank")
def grant_and_thank(payment: Payment, attempt: PaymentAttempt | None = None, **_: Any) -> None:
    """Turn the payment into time and send the receipt that says until when."""
    if payment.purpose != subscriptions.PURPOSE:
        return
    period = subscriptions.grant_paid_period(payment=payment)
    paid_at = payment.succeeded_at or period.created_at
    _tell_payer(
        payment,
        kind="receipt",
        dedupe_key=str(payment.uid),
        facts={
            **_facts(payment, attempt),
            "paid_at": f"{paid_at.astimezone(EAST_AFRICA_TIME):%d/%m/%Y %H:%M}",
            "active_until": f"{period.ends_at.astimezone(EAST_AFRICA_TIME):%d/%m/%Y}",
        },
    )


@receiver(payment_failed, dispatch_uid="farajayangu_be.tell_of_failed_payment")
def tell_of_failed_payment(
    payment: Payment, attempt: PaymentAttempt | None = None, **_: Any
) -> None:
    """Say that a try did not work; there may be several, so each has its own message."""
    _tell_payer(
        payment,
        kind="payment_failed",
        dedupe_key=str(attempt.uid if attempt else payment.uid),
        # One of `ntc_payments.types.FailureCode`; the templates have words for what payers can
        # do something about, and neutral ones for the rest.
        facts={**_facts(payment, attempt), "failure": attempt.failure_code if attempt else ""},
    )


@receiver(payment_reversed, dispatch_uid="farajayangu_be.withdraw_reversed")
def withdraw_reversed(payment: Payment, **_: Any) -> None:
    """Take the time back that was paid with money the company has taken back."""
    if payment.purpose == subscriptions.PURPOSE:
        subscriptions.withdraw_period(payment=payment)


@receiver(payment_refunded, dispatch_uid="farajayangu_be.withdraw_refunded")
def withdraw_refunded(payment: Payment, attempt: PaymentAttempt, refund: Refund, **_: Any) -> None:
    """Take the time back once all that paid for it was given back; a part of it buys goodwill."""
    del refund
    whole = attempt.settles and attempt.refunded_minor >= payment.amount_minor
    if whole and payment.purpose == subscriptions.PURPOSE:
        subscriptions.withdraw_period(payment=payment)


@receiver(payment_changed, dispatch_uid="farajayangu_be.push_payment")
def push_payment(payment: Payment, **_: Any) -> None:
    """Let "waiting for your PIN" turn to "paid" by itself; the client fetches the rest."""
    if payment.payer_id is not None:
        data = {"uid": str(payment.uid), "status": payment.status}
        publish(stream_of(payment.payer_id), "payment.updated", data)


@receiver(inbox_item_created, dispatch_uid="farajayangu_be.push_inbox_item")
def push_inbox_item(item: InboxItem, **_: Any) -> None:
    """Show that there is something new; its text is fetched from the inbox."""
    data = {"uid": str(item.uid), "kind": item.kind}
    publish(stream_of(item.user_id), "inbox.item_created", data)


def _facts(payment: Payment, attempt: PaymentAttempt | None) -> dict[str, str]:
    return {
        "amount": str(payment.money),
        "description": payment.description,
        "reference": attempt.reference if attempt else str(payment.uid),
    }


def _tell_payer(payment: Payment, *, kind: str, dedupe_key: str, facts: Mapping[str, str]) -> None:
    """Write to the addresses the payer has proven to be theirs; claimed ones may be a stranger's.

    That nobody can be told must not undo what was paid for.
    """
    payer = payment.payer
    try:
        recipient = Recipient(
            email=payer.email if payer.email_verified_at else None,
            phone_e164=payer.phone if payer.phone_verified_at else None,
            user=payer,
            language=payer.language,
        )
        notify.send(kind=kind, to=recipient, context=facts, dedupe_key=dedupe_key)
    except (InvalidRecipient, NoReachableAddress) as error:
        log.warning(
            "payment.payer_not_told",
            extra={"payment": str(payment.uid), "kind": kind, "code": error.code},
        )


def _send_to_destination(
    challenge: OneTimeCode, *, kind: str, context: Mapping[str, Any], language: str | None = None
) -> None:
    """Send to the one address that the code proves.

    Raises:
        Unavailable: no provider is set up for its channel. Which setting is missing is for the
            log; a stranger who signs up can only come back.
    """
    try:
        notify.send(
            kind=kind,
            to=_recipient_of_code(challenge),
            context=context,
            dedupe_key=str(challenge.uid),
            language=language,
        )
    except NoReachableAddress as error:
        log.error(  # noqa: TRY400 - the hint says all, a traceback nothing more
            "code.cannot_be_sent",
            extra={"channel": challenge.channel, "hint": "Set SMS_PROVIDERS or EMAIL_PROVIDERS."},
        )
        what = "an SMS" if challenge.channel == "sms" else "email"
        raise Unavailable(f"We cannot send {what} right now. Try again later.") from error


def _recipient_of_code(challenge: OneTimeCode) -> Recipient:
    is_phone = challenge.channel == "sms"
    return Recipient(
        email=None if is_phone else challenge.destination,
        phone_e164=challenge.destination if is_phone else None,
        user=challenge.user,
        language=challenge.context.get("language"),
    )
