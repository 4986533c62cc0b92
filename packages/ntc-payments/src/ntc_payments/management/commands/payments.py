"""What staff do with payments at a terminal.

    manage.py payments reconcile                 ask the companies about all that is open
    manage.py payments statement clickpesa --from 2026-11-01 --to 2026-11-02
    manage.py payments statement selcom --file selcom.csv
                                                 import a statement and compare it
    manage.py payments close --day 2026-11-02    the closing report of a day
    manage.py payments replay --state failed     run stored webhooks again

Long runs tell on standard error how far they are; the table at the end goes to standard output.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from ntc_core.errors import Conflict, NtcError
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.money import CURRENCY_EXPONENTS, Money
from ntc_core.registry import UnknownProvider
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import replay_event

from ntc_payments.conf import provider_registry
from ntc_payments.models import PaymentAttempt
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.services import poll_attempt
from ntc_payments.services.closing import ClosingReport, close_day
from ntc_payments.services.statement_files import read_statement_csv
from ntc_payments.services.statements import STATEMENT_ZONE, StatementReport, import_statement
from ntc_payments.transitions import LIVE_ATTEMPTS
from ntc_payments.types import StatementEntry

__all__ = ["Command"]

_Item = TypeVar("_Item")


class Command(BaseCommand):
    help = "Reconcile, import a statement, close a day, replay webhooks."

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-command per task."""
        tasks = parser.add_subparsers(dest="task", required=True)

        reconcile = tasks.add_parser("reconcile", help="ask about every attempt on its way")
        reconcile.add_argument("--provider", help="only of this company")

        statement = tasks.add_parser("statement", help="import a statement and compare it")
        statement.add_argument("provider")
        statement.add_argument("--file", type=Path, help="CSV; else the company is asked")
        statement.add_argument("--from", dest="first", type=_day, help="first day; asked: needed")
        statement.add_argument("--to", dest="last", type=_day, help="last day; left out: the first")
        statement.add_argument("--currency", default="TZS", choices=sorted(CURRENCY_EXPONENTS))
        statement.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="OURS=THEIRS",
            type=_pair,
            help="the file's name of a column, such as amount=Amount; may be repeated",
        )

        close = tasks.add_parser("close", help="the closing report of a day")
        close.add_argument("--day", type=_day, help="left out: yesterday in Dar es Salaam")

        replay = tasks.add_parser("replay", help="run stored webhooks again")
        replay.add_argument("--event", help="the uid of one event")
        replay.add_argument("--provider")
        replay.add_argument("--state", choices=WebhookEvent.State.values)
        replay.add_argument("--since", type=_day, help="received on that day or later")

    def handle(self, *_: Any, task: str, **options: Any) -> None:
        """Run the task; what it refuses is an error of the command."""
        try:
            getattr(self, f"_{task}")(**options)
        except NtcError as error:
            raise CommandError(error.message) from error

    def _reconcile(self, *, provider: str | None, **_: Any) -> None:
        if provider:
            _configured(provider)
        attempts = PaymentAttempt.objects.filter(status__in=LIVE_ATTEMPTS).order_by("pk")
        if provider:
            attempts = attempts.filter(provider=provider)
        outcomes: Counter[tuple[str, str]] = Counter()
        for attempt in self._told(list(attempts)):
            poll_attempt(attempt_id=attempt.pk)
            attempt.refresh_from_db(fields=["status"])
            outcomes[(attempt.provider, attempt.status)] += 1
        self._table(
            ("company", "status now", "attempts"),
            [(*key, str(count)) for key, count in sorted(outcomes.items())],
        )

    def _statement(
        self,
        *,
        provider: str,
        file: Path | None,
        first: date | None,
        last: date | None,
        currency: str,
        column: list[tuple[str, str]],
        **_: Any,
    ) -> None:
        company = _configured(provider)
        if last is not None and (first is None or last < first):
            raise CommandError("--to is a day after --from; it stands before it, or alone.")
        days = None if first is None else (first, last or first)
        coverage: dict[str, Any] = {}
        if file is not None:
            entries = _read(file, currency=currency, columns=dict(column))
        elif days is not None:
            entries = _fetch(company, days, currency=currency)
            coverage["subjects"] = company.capabilities.statement_subjects
            coverage["methods"] = company.capabilities.statement_methods
        else:
            raise CommandError("Give --file, or --from: the first day to ask the company for.")
        report = import_statement(
            provider=provider,
            entries=self._told(entries),
            complete_days=days,
            currencies={currency, *(entry.money.currency for entry in entries)},
            **coverage,
        )
        self._show_statement(report)

    def _show_statement(self, report: StatementReport) -> None:
        lines = [("lines", what, str(count)) for what, count in sorted(report.lines.items())]
        breaks = [("breaks", kind, str(count)) for kind, count in sorted(report.breaks.items())]
        self._table((report.provider, "", ""), [*lines, *breaks])

    def _close(self, *, day: date | None, **_: Any) -> None:
        yesterday = timezone.now().astimezone(STATEMENT_ZONE).date() - timedelta(days=1)
        self._show_closing(close_day(day=day or yesterday))

    def _show_closing(self, report: ClosingReport) -> None:
        self.stdout.write(f"Closing of {report.day} (Africa/Dar_es_Salaam)\n\n")
        columns = ("opening", "received", "refunded", "paid_out", "fees", "other", "closing")
        self._table(
            ("company", "currency", *(name.replace("_", " ") for name in columns)),
            [
                (
                    row.provider,
                    row.opening.currency,
                    *(getattr(row, name).to_major() for name in columns),
                )
                for row in report.companies
            ],
        )
        self._table(
            ("open", "", ""),
            [
                *(("in suspense", money.currency, money.to_major()) for money in report.suspense),
                *_owed_rows(report.customer_credit),
                *(("break", kind, str(count)) for kind, count in report.open_breaks.items()),
                ("attempts on their way", "", str(report.live_attempts)),
                ("the oldest since", "", str(report.oldest_live_at or "-")),
            ],
        )

    def _replay(
        self,
        *,
        event: str | None,
        provider: str | None,
        state: str | None,
        since: date | None,
        **_: Any,
    ) -> None:
        events = WebhookEvent.objects.filter(channel="payments").order_by("pk")
        filters = {"uid": event, "provider": provider, "state": state}
        chosen: dict[str, Any] = {name: value for name, value in filters.items() if value}
        if since is not None:
            chosen["created_at__gte"] = datetime.combine(since, datetime.min.time(), STATEMENT_ZONE)
        if not chosen:
            raise CommandError("Say which: --event, --provider, --state or --since.")
        replayed: Counter[str] = Counter()
        for found in self._told(list(events.filter(**chosen))):
            try:
                replay_event(found)
            except Conflict as error:
                # Of one event by name it is the answer; of many, one that is passed over.
                if event:
                    raise
                self.stderr.write(f"\n{error.message}")
                continue
            replayed[found.provider] += 1
        self._table(
            ("company", "events to be run again"),
            [(name, str(count)) for name, count in sorted(replayed.items())],
        )

    def _told(self, items: Sequence[_Item]) -> Iterator[_Item]:
        """Yield the items and tell how far we are, on a line that is written over."""
        for number, item in enumerate(items, start=1):
            yield item
            self.stderr.write(f"\r{number} of {len(items)}", ending="")
        if items:
            self.stderr.write("")

    def _table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = [tuple(head), *(tuple(row) for row in rows)]
        widths = [max(len(row[place]) for row in table) for place in range(len(head))]
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
        self.stdout.write("")


def _owed_rows(owed: list[Money]) -> list[tuple[str, str, str]]:
    return [("owed to payers", money.currency, money.to_major()) for money in owed]


def _read(file: Path, *, currency: str, columns: dict[str, str]) -> list[StatementEntry]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            return read_statement_csv(stream, currency=currency, columns=columns)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read as a UTF-8 text: {error}.") from error


def _configured(name: str) -> PaymentProvider:
    try:
        return provider_registry.get(name)
    except UnknownProvider as error:
        raise CommandError(str(error)) from error


def _fetch(
    provider: PaymentProvider, days: tuple[date, date], *, currency: str
) -> list[StatementEntry]:
    if not provider.capabilities.has_statement:
        raise CommandError(f"{provider.title} sends no statement; import its CSV with --file.")
    first, last = days
    try:
        return list(provider.fetch_statement(first=first, last=last, currency=currency))
    # ValueError: a line that no column of ours takes.
    except (HttpFailure, AnswerUnreadable, ValueError) as error:
        raise CommandError(f"{provider.title} gave no statement: {error}") from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("a day such as 2026-11-02") from error


def _pair(text: str) -> tuple[str, str]:
    ours, separator, theirs = text.partition("=")
    if not separator or not ours or not theirs:
        raise argparse.ArgumentTypeError("a pair such as amount=Amount")
    return ours, theirs
