"""Keep what was asked of a company and how it ended, whatever happens next."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from django.db import Error
from django.utils import timezone
from ntc_core.http import TracedCall, traced_calls
from ntc_core.masking import mask_text
from ntc_core.request_id import get_request_id

from ntc_payments.metrics import observe_exchange
from ntc_payments.models import CompanyExchange, PaymentAttempt, Payout, Refund
from ntc_payments.models.exchange import LONGEST_PATH

__all__ = ["recorded"]

log = logging.getLogger("ntc_payments")

Purpose = CompanyExchange.Purpose

#: Of one attempt, refund or payout. The schedule of queries stays below it; a company that
#: makes us ask without end by its webhooks fills the log, not the table.
MOST_KEPT = 100


@contextmanager
def recorded(row: PaymentAttempt | Refund | Payout, *, purpose: Purpose) -> Iterator[None]:
    """Keep every call that a provider makes in this block, and what the block ended with.

    Outside any transaction, as the call itself: what was asked is kept even if what came of
    it cannot be. A record that cannot be written is logged; it changes nothing.
    """
    began = timezone.now()
    broke = ""
    with traced_calls() as calls:
        try:
            yield
        except Exception as error:
            broke = type(error).__name__
            raise
        finally:
            _keep(row, purpose, _ended(calls, broke=broke, began=began))


def _ended(calls: list[TracedCall], *, broke: str, began: datetime) -> list[TracedCall]:
    """Return the calls, the last of them with the error that the provider made of it."""
    if not broke:
        return calls
    if not calls:
        seconds = (timezone.now() - began).total_seconds()
        nothing = TracedCall(
            method="", host="", path="", status=None, started_at=began, seconds=seconds
        )
        return [replace(nothing, error=broke)]
    *others, last = calls
    return [*others, replace(last, error=last.error or broke)]


def _keep(row: PaymentAttempt | Refund | Payout, purpose: Purpose, calls: list[TracedCall]) -> None:
    for call in calls:
        observe_exchange(provider=row.provider, purpose=purpose.value, call=call)
        log.info(
            "payment.exchange",
            extra={
                "provider": row.provider,
                "reference": row.reference,
                "purpose": purpose.value,
                "http_status": call.status,
                "error": call.error,
                "seconds": round(call.seconds, 3),
            },
        )
    about = {_ABOUT[type(row)]: row}
    try:
        room = MOST_KEPT - CompanyExchange.objects.filter(**about).count()
        CompanyExchange.objects.bulk_create(
            CompanyExchange(
                **about,
                purpose=purpose,
                method=call.method[:10],
                host=call.host,
                path=mask_text(call.path, longest=LONGEST_PATH),
                http_status=call.status,
                started_at=call.started_at,
                duration_ms=round(call.seconds * 1000),
                error=call.error[:100],
                request_id=get_request_id(),
            )
            for call in calls[: max(room, 0)]
        )
    except Error:
        log.exception("payment.exchange_not_kept", extra={"reference": row.reference})


_ABOUT: dict[type[PaymentAttempt | Refund | Payout], str] = {
    PaymentAttempt: "attempt",
    Refund: "refund",
    Payout: "payout",
}
