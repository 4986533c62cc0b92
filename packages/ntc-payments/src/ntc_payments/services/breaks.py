"""Open and close breaks: differences that only a person can decide, or time."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone
from ntc_core.errors import Conflict, InvalidInput
from ntc_core.masking import mask_text
from ntc_core.money import Money

from ntc_payments.models import Break, PaymentEvent
from ntc_payments.services.moves import write_event
from ntc_payments.types import Source

__all__ = ["close_break", "open_break", "resolve_breaks"]

log = logging.getLogger("ntc_payments")

LONGEST_DETAIL = 500


def open_break(
    *,
    kind: Break.Kind,
    dedupe_key: str,
    provider: str,
    detail: str,
    money: Money | None = None,
    **rows: Model | None,
) -> Break:
    """Open a break, once per key, in the caller's transaction.

    Seen again, it is the same row: an open one is left alone, a closed one stays closed.

    Args:
        dedupe_key: the difference, not the sighting: `"integrity:attempt:17:<provider_ref>"`.
        detail: a sentence for staff; people in it are masked here.
        rows: payment, attempt, refund, payout, statement_line: what it is about.
    """
    found, is_new = Break.objects.get_or_create(
        dedupe_key=dedupe_key,
        defaults={
            "kind": kind,
            "provider": provider,
            "detail": mask_text(detail, longest=LONGEST_DETAIL),
            "amount_minor": money.minor if money else None,
            "currency": money.currency if money else "",
            **rows,
        },
    )
    if is_new:
        log.error(
            "payment.break_opened",
            extra={"break": str(found.uid), "kind": found.kind, "provider": provider},
        )
    return found


def resolve_breaks(resolution: str, *, by: Any = None, **which: Any) -> int:
    """Close the open breaks among these: the question has answered itself.

    In the caller's transaction.

    Args:
        resolution: a sentence about what answered it.
        by: the member of staff who did; None: nobody, the machine.
        which: a filter, such as `dedupe_key="undecided:attempt:17"`.
    """
    now = timezone.now()
    closed = Break.objects.filter(state=Break.State.OPEN, **which).update(
        state=Break.State.CLOSED,
        resolution=resolution,
        closed_by=by,
        closed_at=now,
        updated_at=now,
    )
    if closed:
        log.info("payment.breaks_resolved", extra={"count": closed, "resolution": resolution})
    return closed


def close_break(*, break_uid: Any, by: Any, resolution: str) -> Break:
    """Close a break with the decision that was taken.

    Raises:
        Conflict: it is closed already.
        InvalidInput: no resolution is given.
    """
    if not resolution.strip():
        raise InvalidInput("Say what was decided.", code="required", attr="resolution")
    with transaction.atomic():
        found = Break.objects.select_for_update(of=("self",)).get(uid=break_uid)
        if found.state == Break.State.CLOSED:
            raise Conflict("This break is closed already.", code="break_closed")
        found.state = Break.State.CLOSED
        found.resolution = resolution.strip()[:LONGEST_DETAIL]
        found.closed_by = by
        found.closed_at = timezone.now()
        found.save()
        _write_closing(found, by=by)
    log.info(
        "payment.break_closed",
        extra={"break": str(found.uid), "kind": found.kind, "by": str(by.pk)},
    )
    return found


def _write_closing(found: Break, *, by: Any) -> None:
    """Add the act to the history of what the break is about, where that has one."""
    about = found.attempt or found.refund
    payment = found.payment or (about.payment if about else None)
    if payment is None and found.payout is None:
        return
    write_event(
        payment=payment,
        attempt=found.attempt,
        refund=found.refund,
        payout=found.payout,
        actor=by,
        kind=PaymentEvent.Kind.BREAK,
        source=Source.STAFF.value,
        applied=True,
        reason=found.kind,
        from_status=Break.State.OPEN.value,
        to_status=Break.State.CLOSED.value,
    )
