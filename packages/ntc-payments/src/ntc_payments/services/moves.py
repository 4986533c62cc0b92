"""The one place where a status changes: a conditional UPDATE with its line of history.

Locks are always taken in this order: payment, then attempt. Zero rows updated is a normal
outcome: somebody else was faster.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from ntc_core.masking import mask_text
from ntc_core.request_id import get_request_id

from ntc_payments.metrics import count_outcome
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent
from ntc_payments.signals import payment_changed
from ntc_payments.transitions import attempt_may_follow, payment_may_follow
from ntc_payments.types import (
    LONGEST_FAILURE_MESSAGE,
    AttemptStatus,
    PaymentStatus,
    Source,
    Subject,
)

__all__ = [
    "kept_message",
    "lock_payment",
    "move_attempt",
    "move_payment",
    "storable_text",
    "told_by_webhook",
    "write_event",
]

log = logging.getLogger("ntc_payments")

_webhook_uid: ContextVar[UUID | None] = ContextVar("ntc_payments_webhook_uid", default=None)


def lock_payment(pk: int) -> Payment:
    """Return the payment, locked until the transaction ends.

    Without FOR KEY SHARE conflicts: rows that only refer to the payment do not wait.
    """
    return Payment.objects.select_for_update(of=("self",), no_key=True).get(pk=pk)


def move_payment(
    payment: Payment,
    *,
    to: PaymentStatus,
    allowed: Collection[PaymentStatus],
    source: Source,
    attempt: PaymentAttempt | None = None,
    reason: str = "",
) -> bool:
    """Move the payment if it is in one of the `allowed` statuses; tell whether it was."""
    before = PaymentStatus(payment.status)
    _require_listed(payment_may_follow(status, to) for status in allowed)
    changes: dict[str, Any] = {"status": to.value, "updated_at": timezone.now()}
    if to is PaymentStatus.SUCCEEDED:
        changes["succeeded_at"] = changes["updated_at"]
    moved = Payment.objects.filter(pk=payment.pk, status__in=allowed).update(
        version=F("version") + 1, **changes
    )
    if not moved:
        return False
    _refresh(payment, changes)
    write_event(
        payment=payment,
        attempt=attempt,
        kind=PaymentEvent.Kind.PAYMENT,
        source=source.value,
        applied=True,
        reason=reason,
        from_status=before.value,
        to_status=to.value,
    )
    log.info(
        "payment.moved",
        extra={
            "payment": str(payment.uid),
            "from": before.value,
            "to": to.value,
            "source": source.value,
        },
    )
    _tell_of_change(payment)
    return True


def move_attempt(
    attempt: PaymentAttempt,
    *,
    to: AttemptStatus,
    allowed: Collection[AttemptStatus],
    changes: dict[str, Any] | None = None,
) -> bool:
    """Move the attempt if it is in one of the `allowed` statuses; tell whether it was.

    The caller writes the line of history: it knows why.
    """
    _require_listed(attempt_may_follow(status, to) for status in allowed)
    changes = {"status": to.value, "updated_at": timezone.now(), **(changes or {})}
    moved = PaymentAttempt.objects.filter(pk=attempt.pk, status__in=allowed).update(
        version=F("version") + 1, **changes
    )
    if not moved:
        return False
    log.info(
        "payment.attempt_moved",
        extra={
            "payment": str(attempt.payment.uid),
            "provider": attempt.provider,
            "reference": attempt.reference,
            "from": str(attempt.status),
            "to": to.value,
        },
    )
    count_outcome(subject=Subject.PAYMENT, provider=attempt.provider, status=to)
    _refresh(attempt, changes)
    _tell_of_change(attempt.payment)
    return True


@contextmanager
def told_by_webhook(uid: UUID) -> Iterator[None]:
    """Have every line of history that is written in this block name the event that told it."""
    token = _webhook_uid.set(uid)
    try:
        yield
    finally:
        _webhook_uid.reset(token)


def write_event(**values: Any) -> PaymentEvent:
    """Add a line to a payment's history."""
    return PaymentEvent.objects.create(
        request_id=get_request_id(), webhook_uid=_webhook_uid.get(), **values
    )


def _tell_of_change(payment: Payment) -> None:
    """Send `payment_changed`; the savepoint keeps what a receiver breaks from breaking ours."""
    if not payment_changed.has_listeners(Payment):
        return
    try:
        with transaction.atomic():
            payment_changed.send(sender=Payment, payment=payment)
    except Exception:
        log.exception("payment.change_not_told", extra={"payment": str(payment.uid)})


def storable_text(text: str) -> str:
    """Return a company's text without what no column takes: NUL, and half a UTF-16 pair.

    A text that was cut in the middle of an emoji has the latter.
    """
    return text.replace("\x00", "").encode(errors="replace").decode()


def kept_message(text: str) -> str:
    """Return the company's sentence as its column takes it, people in it masked."""
    return mask_text(storable_text(text), longest=LONGEST_FAILURE_MESSAGE)


def _refresh(row: Payment | PaymentAttempt, changes: dict[str, Any]) -> None:
    """Let the object in hand say what the row says now; expressions stay with the row."""
    for name, value in changes.items():
        if not hasattr(value, "resolve_expression"):
            setattr(row, name, value)


def _require_listed(answers: Iterable[bool]) -> None:
    if not all(answers):
        raise ValueError("This transition is not in the tables of ntc_payments.transitions.")
