"""One payment as a story: everything that was asked, told, decided and booked, in its order.

A fixed number of queries, however long the story. Whatever people or companies wrote is
masked here once more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.db.models import Model, Q
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string
from ntc_core.masking import mask_text
from ntc_core.webhooks.models import WebhookEvent

from ntc_payments.conf import payments_settings
from ntc_payments.models import (
    Break,
    CompanyExchange,
    LedgerTransaction,
    Payment,
    PaymentEvent,
    Payout,
    Refund,
    StatementLine,
)

__all__ = ["TimelineLine", "list_lines"]

log = logging.getLogger("ntc_payments")


@dataclass(frozen=True, kw_only=True)
class TimelineLine:
    """One line.

    Attributes:
        at: when it happened, by our clock.
        kind: one word for what sort of thing it is.
        who: the member of staff who did it, masked; empty: nobody of the staff.
        url: of the page that tells all of it; empty: there is none.
    """

    at: datetime
    kind: str
    text: str
    detail: str = ""
    who: str = ""
    url: str = ""


def list_lines(payment: Payment) -> list[TimelineLine]:
    """Return the story of the payment, oldest first."""
    rows = _Rows(payment)
    lines = [
        *_event_lines(rows),
        *_exchange_lines(payment),
        *_webhook_lines(rows),
        *_refund_lines(rows),
        *_payout_lines(rows),
        *_ledger_lines(rows),
        *_break_lines(rows),
        *_statement_lines(payment),
        *_project_lines(payment),
    ]
    # Stable: of one moment, what is listed first above comes first.
    return sorted(lines, key=lambda line: line.at)


class _Rows:
    """The rows that several kinds of line need, each read once."""

    def __init__(self, payment: Payment) -> None:
        self.payment = payment
        self.attempts = list(payment.attempts.all())
        self.refunds: list[Refund] = list(
            payment.refunds.select_related("payout__created_by", "requested_by")
        )
        self.payouts: list[Payout] = [refund.payout for refund in self.refunds if refund.payout]
        self.breaks: list[Break] = list(
            Break.objects.filter(
                Q(payment=payment)
                | Q(attempt__in=self.attempts)
                | Q(refund__in=self.refunds)
                | Q(payout__in=self.payouts)
            ).select_related("closed_by")
        )
        self.events: list[PaymentEvent] = list(
            PaymentEvent.objects.filter(Q(payment=payment) | Q(payout__in=self.payouts))
            # Breaks are told from their own rows, which also know those that ended by themselves.
            .exclude(kind=PaymentEvent.Kind.BREAK)
            .select_related("attempt", "refund", "payout", "actor")
        )
        uids: set[UUID] = {event.webhook_uid for event in self.events if event.webhook_uid}
        self.webhooks: list[WebhookEvent] = list(
            WebhookEvent.objects.filter(uid__in=uids).defer("body", "headers")
        )


def _event_lines(rows: _Rows) -> Iterator[TimelineLine]:
    for event in rows.events:
        about = event.refund or event.payout or event.attempt
        told = (
            about.reference if about else "",
            event.reason,
            str(event.money or ""),
            event.provider_ref,
            event.failure_code,
            event.failure_message,
        )
        yield TimelineLine(
            at=event.created_at,
            kind=event.kind,
            text=str(event) if event.applied else f"{event} (not applied)",
            detail=mask_text(" · ".join(word for word in told if word)),
            who=_name(event.actor),
            url=_page(event),
        )


def _exchange_lines(payment: Payment) -> Iterator[TimelineLine]:
    exchanges = CompanyExchange.objects.filter(
        Q(attempt__payment=payment)
        | Q(refund__payment=payment)
        | Q(payout__refund__payment=payment)
    )
    for exchange in exchanges.select_related("attempt", "refund", "payout"):
        about = exchange.attempt or exchange.refund or exchange.payout
        yield TimelineLine(
            at=exchange.started_at,
            kind="request",
            text=mask_text(str(exchange)),
            detail=str(about),
        )


def _webhook_lines(rows: _Rows) -> Iterator[TimelineLine]:
    for webhook in rows.webhooks:
        yield TimelineLine(
            at=webhook.created_at,
            kind="webhook",
            text=mask_text(f"{webhook.provider} {webhook.event_type}: {webhook.state}"),
            detail=mask_text(webhook.last_error),
            url=_page(webhook),
        )
    acts = LogEntry.objects.filter(
        content_type__app_label="ntc_webhooks",
        content_type__model="webhookevent",
        object_id__in=[str(webhook.pk) for webhook in rows.webhooks],
    )
    for act in acts.select_related("user"):
        yield TimelineLine(
            at=act.action_time,
            kind="staff",
            text=f"webhook: {act.get_change_message()}",
            who=_name(act.user),
        )


def _refund_lines(rows: _Rows) -> Iterator[TimelineLine]:
    for refund in rows.refunds:
        yield TimelineLine(
            at=refund.created_at,
            kind="refund",
            text=f"refund of {refund.money} asked for ({refund.route}); now {refund.status}",
            detail=mask_text(f"{refund.reference} · {refund.reason}"),
            who=_name(refund.requested_by),
            url=_page(refund),
        )


def _payout_lines(rows: _Rows) -> Iterator[TimelineLine]:
    for payout in rows.payouts:
        yield TimelineLine(
            at=payout.created_at,
            kind="payout",
            text=f"payout of {payout.money} asked for; now {payout.status}",
            detail=str(payout),
            who=_name(payout.created_by),
            url=_page(payout),
        )


def _ledger_lines(rows: _Rows) -> Iterator[TimelineLine]:
    sources: list[tuple[str, Model]] = [
        *(("paymentattempt", row) for row in rows.attempts),
        *(("refund", row) for row in rows.refunds),
        *(("payout", row) for row in rows.payouts),
        *(("break", row) for row in rows.breaks),
    ]
    caused = Q(pk__in=[])
    for name, row in sources:
        same = Q(source_id=str(row.pk)) | Q(source_id__startswith=f"{row.pk}:")
        caused |= Q(source_type=name) & same
    for fact in LedgerTransaction.objects.filter(caused).prefetch_related("entries"):
        yield TimelineLine(
            at=fact.created_at,
            kind="ledger",
            text=f"{fact.kind}: {', '.join(str(entry) for entry in fact.entries.all())}",
            detail=mask_text(fact.description),
            url=_page(fact),
        )


def _break_lines(rows: _Rows) -> Iterator[TimelineLine]:
    for found in rows.breaks:
        yield TimelineLine(
            at=found.created_at,
            kind="break",
            text=f"opened: {found.get_kind_display()}",
            detail=mask_text(found.detail),
            url=_page(found),
        )
        if found.closed_at is not None:
            yield TimelineLine(
                at=found.closed_at,
                kind="break",
                text=f"closed: {found.get_kind_display()}",
                detail=mask_text(found.resolution),
                who=_name(found.closed_by),
                url=_page(found),
            )


def _statement_lines(payment: Payment) -> Iterator[TimelineLine]:
    lines = StatementLine.objects.filter(
        Q(attempt__payment=payment)
        | Q(refund__payment=payment)
        | Q(payout__refund__payment=payment)
    )
    for line in lines:
        yield TimelineLine(
            at=line.created_at,
            kind="statement",
            text=f"{line.money} in the statement of {line.provider}: {line.state}",
            detail=mask_text(line.description),
            url=_page(line),
        )


def _project_lines(payment: Payment) -> Iterator[TimelineLine]:
    path = payments_settings.PAYMENT_TIMELINE_NOTES
    if not path:
        return
    try:
        notes = list(import_string(path)(payment))
    except Exception:
        # The rest of the story is worth reading all the same.
        log.exception("payment.timeline_notes_broke", extra={"payment": str(payment.uid)})
        yield TimelineLine(
            at=payment.created_at,
            kind="project",
            text="What the project would add could not be read; the log says why.",
        )
        return
    for note in notes:
        yield TimelineLine(at=note.at, kind=note.kind, text=mask_text(note.text), url=note.url)


def _name(person: Any) -> str:
    return mask_text(str(person)) if person else ""


def _page(row: Model) -> str:
    """Return the row's page in the admin; empty where the project has none."""
    meta = row._meta  # noqa: SLF001 - public, whatever its name
    try:
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return ""
