"""Compare a company's statement with our books. What does not fit becomes a break, by name.

A line is imported once, however often the statement is read. A line of money that we did not
know of moves the attempt, refund or payout like any other proof; a line nobody can match, and
a booking without a line, wait a day for each other before they are a difference: companies
book late, and some of them on the next day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from ntc_core.money import Money

from ntc_payments.models import Break, PaymentAttempt, Payout, Refund, StatementLine
from ntc_payments.services.breaks import open_break, resolve_breaks
from ntc_payments.services.moves import storable_text
from ntc_payments.services.subjects import Known, apply_known, find_known
from ntc_payments.transitions import PAID_ATTEMPTS
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    Observation,
    PaymentMethod,
    Source,
    StatementEntry,
    Subject,
)

if TYPE_CHECKING:
    from ntc_payments.models.calls import CompanyCall

__all__ = ["STATEMENT_ZONE", "StatementReport", "import_statement"]

#: The companies' days are days of Dar es Salaam.
STATEMENT_ZONE = ZoneInfo("Africa/Dar_es_Salaam")
#: So long a line and a booking may wait for each other.
PATIENCE = timedelta(days=1)

_MODELS: dict[Subject, type[CompanyCall]] = {
    Subject.PAYMENT: PaymentAttempt,
    Subject.REFUND: Refund,
    Subject.PAYOUT: Payout,
}
#: The column of `StatementLine` and `Break` that points to such a row.
_COLUMNS = {Subject.PAYMENT: "attempt", Subject.REFUND: "refund", Subject.PAYOUT: "payout"}


@dataclass(kw_only=True)
class StatementReport:
    """What an import found.

    Attributes:
        lines: what became of the lines: "matched", "waiting", "break", "known before".
        breaks: how many breaks of each kind it met, open already or new.
    """

    provider: str
    lines: Counter[str] = field(default_factory=Counter)
    breaks: Counter[str] = field(default_factory=Counter)


def import_statement(
    *,
    provider: str,
    entries: Iterable[StatementEntry],
    complete_days: tuple[date, date] | None = None,
    currencies: Collection[str] | None = None,
    subjects: Collection[Subject] = tuple(Subject),
    methods: Collection[PaymentMethod] = tuple(PaymentMethod),
) -> StatementReport:
    """Import the lines, match them, and name what does not fit.

    Every line is a transaction of its own: an import that dies is begun again from the start.

    Args:
        entries: the lines, also such as were imported before.
        complete_days: first and last day of which these are all the lines: what we booked on
            them and has no line is then missing at the company. None: only a part was given.
        currencies, subjects, methods: what the statement tells of; nothing else can be missing
            in it. Left out: all. A refund that a payout carries has only the payout's line.
    """
    report = StatementReport(provider=provider)
    for entry in entries:
        with transaction.atomic():
            _import_line(entry, report)
    for line in StatementLine.objects.filter(provider=provider, state=StatementLine.State.WAITING):
        with transaction.atomic():
            _match(line, report)
    report.lines["waiting"] = StatementLine.objects.filter(
        provider=provider, state=StatementLine.State.WAITING
    ).count()
    if complete_days is not None:
        told = {
            Subject.PAYMENT: Q(method__in=methods),
            Subject.REFUND: ~Q(route=Refund.Route.PAYOUT),
        }
        of_currency = Q() if currencies is None else Q(currency__in=currencies)
        for subject in subjects:
            rows = _succeeded(subject, provider, days=complete_days)
            rows = rows.filter(of_currency, told.get(subject, Q()))
            _report_missing(subject, rows, report)
    return report


def _import_line(entry: StatementEntry, report: StatementReport) -> None:
    line, is_new = StatementLine.objects.get_or_create(
        provider=report.provider,
        line_key=entry.line_key,
        defaults={
            "subject": entry.subject.value,
            "reference": entry.reference,
            "provider_ref": entry.provider_ref,
            "amount_minor": entry.money.minor,
            "currency": entry.money.currency,
            "fee_minor": entry.fee.minor if entry.fee else None,
            "booked_at": entry.booked_at,
            "description": storable_text(entry.description)[:200],
        },
    )
    if is_new:
        return
    report.lines["known before"] += 1
    if line.money != entry.money:
        _open(
            report,
            Break.Kind.STATEMENT_AMOUNT,
            key=f"line:{line.pk}:{entry.money.minor}{entry.money.currency}",
            detail=f"A line that said {line.money} says {entry.money} now.",
            money=entry.money,
            statement_line=line,
        )


def _match(line: StatementLine, report: StatementReport) -> None:
    subject = Subject(line.subject)
    observation = Observation(
        reference=line.reference,
        provider_ref=line.provider_ref,
        subject=subject,
        claim=Claim.SUCCESS,
        money=line.money,
        fee=None if line.fee_minor is None else Money(line.fee_minor, line.currency),
        occurred_at=line.booked_at,
    )
    known = find_known(provider=line.provider, observation=observation)
    if known is None:
        _wait_or_report(line, report)
        return
    column = _COLUMNS[subject]
    twin = StatementLine.objects.filter(**{f"{column}_id": known.pk}).exclude(pk=line.pk).first()
    setattr(line, f"{column}_id", known.pk)
    if twin is not None:
        _finish(line, StatementLine.State.BREAK, report)
        _open(
            report,
            Break.Kind.STATEMENT_DUPLICATE,
            key=f"line:{line.pk}",
            detail=f"{line.money} stands in the statement twice: {twin.line_key}, {line.line_key}.",
            money=line.money,
            statement_line=line,
            **{f"{column}_id": known.pk},
        )
        return
    fits = _compare(line, known, report)
    _finish(line, StatementLine.State.MATCHED if fits else StatementLine.State.BREAK, report)
    resolve_breaks(
        f"The statement line {line.line_key} came.",
        dedupe_key__in=[
            _key(report, Break.Kind.MISSING_AT_PROVIDER, f"{subject.value}:{known.pk}"),
            _key(report, Break.Kind.MISSING_HERE, f"line:{line.pk}"),
        ],
    )


def _compare(line: StatementLine, known: Known, report: StatementReport) -> bool:
    """Apply the line to its row, and tell whether both say the same afterwards."""
    subject = Subject(line.subject)
    model = _MODELS[subject]
    rows = {"statement_line": line, f"{_COLUMNS[subject]}_id": known.pk}
    row = model._default_manager.get(pk=known.pk)  # noqa: SLF001 - Django's documented name
    if row.status in PAID_ATTEMPTS and row.money != line.money:
        # Not told to the row: it would take the amount for more money that has come.
        _open(
            report,
            Break.Kind.STATEMENT_AMOUNT,
            key=f"line:{line.pk}",
            detail=f"The statement says {line.money}, we booked {row.money}.",
            money=line.money,
            **rows,
        )
        return False
    # Without the company's id: in a statement it may be the line's own, not the payment's.
    observation = replace(known.observation, provider_ref="", reference=row.reference)
    apply_known([replace(known, observation=observation)], source=Source.STATEMENT)
    row.refresh_from_db()
    if line.fee_minor is not None and row.fee_minor != line.fee_minor:
        _open(
            report,
            Break.Kind.STATEMENT_FEE,
            key=f"line:{line.pk}",
            detail=f"The statement says a fee of {known.observation.fee}, we know {row.fee}.",
            money=known.observation.fee,
            **rows,
        )
        return False
    return row.status in PAID_ATTEMPTS


def _wait_or_report(line: StatementLine, report: StatementReport) -> None:
    if timezone.now() - line.booked_at < PATIENCE:
        return
    _finish(line, StatementLine.State.BREAK, report)
    _open(
        report,
        Break.Kind.MISSING_HERE,
        key=f"line:{line.pk}",
        detail=f"{line.money} of {line.line_key} is nothing that we know of. {line.description}",
        money=line.money,
        statement_line=line,
    )


def _report_missing(subject: Subject, rows: QuerySet[CompanyCall], report: StatementReport) -> None:
    column = _COLUMNS[subject]
    for row in rows:
        _open(
            report,
            Break.Kind.MISSING_AT_PROVIDER,
            key=f"{subject.value}:{row.pk}",
            detail=f"We booked {row.money} of {row.reference}; the statement has no such line.",
            money=row.money,
            **{column: row},
        )


def _succeeded(
    subject: Subject, provider: str, *, days: tuple[date, date]
) -> QuerySet[CompanyCall]:
    """Return what succeeded on these days, long enough ago, and has no line."""
    column = _COLUMNS[subject]
    first, last = (datetime.combine(day, datetime.min.time(), STATEMENT_ZONE) for day in days)
    lines = StatementLine.objects.filter(provider=provider).exclude(**{column: None})
    until = min(last + timedelta(days=1), timezone.now() - PATIENCE)
    became_so = {
        "events__applied": True,
        "events__to_status": AttemptStatus.SUCCEEDED,
        "events__created_at__gte": first,
        "events__created_at__lt": until,
    }
    rows = _MODELS[subject]._default_manager.filter(  # noqa: SLF001 - Django's documented name
        provider=provider, status=AttemptStatus.SUCCEEDED, **became_so
    )
    return rows.exclude(pk__in=lines.values(column)).distinct()


def _finish(line: StatementLine, state: StatementLine.State, report: StatementReport) -> None:
    line.state = state
    line.save()
    report.lines[state.value] += 1


def _open(
    report: StatementReport,
    kind: Break.Kind,
    *,
    key: str,
    detail: str,
    money: Money | None,
    **rows: object,
) -> None:
    open_break(
        kind=kind,
        dedupe_key=_key(report, kind, key),
        provider=report.provider,
        detail=detail,
        money=money,
        **rows,  # type: ignore[arg-type]  # rows, or their ids under the column's own name
    )
    report.breaks[kind.value] += 1


def _key(report: StatementReport, kind: Break.Kind, key: str) -> str:
    return f"{kind.value}:{report.provider}:{key}"
