"""What staff do with notifications at a terminal.

    manage.py notify send people.csv --kind news --batch december
                                            tell everybody in the file; the same again goes on
    manage.py notify progress december      how far a bulk is
    manage.py notify balance                what the accounts still have

The file is UTF-8 and has a header; its fields are parted by commas, or by semicolons. Its columns
are `phone`, `email` or `user` (a user's id), optionally `key` and `language`, and the variables of
the kind. Without a key a person is known by the address, however it is spelled.

Long runs tell on standard error how far they are; the table at the end goes to standard output.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from ntc_core.phone import InvalidPhone, parse_phone

from ntc_notify.conf import Kind, get_kind
from ntc_notify.errors import InvalidRecipient, UnknownKind
from ntc_notify.recipients import read_person
from ntc_notify.registry import get_provider, list_provider_names
from ntc_notify.selectors import count_batch
from ntc_notify.services import BulkRecipient, BulkSummary, send_bulk
from ntc_notify.types import Channel, Recipient

__all__ = ["Command"]

_ADDRESSES = ("user", "phone", "email")
_OURS = frozenset({*_ADDRESSES, "key", "language"})
_BAR = 30


class Command(BaseCommand):
    help = "Send a file of notifications, show how far it is, ask for balances."

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-command per task."""
        tasks = parser.add_subparsers(dest="task", required=True)
        send = tasks.add_parser("send", help="tell everybody in a CSV file")
        send.add_argument("file", type=Path)
        send.add_argument("--kind", required=True)
        send.add_argument("--batch", required=True, help="names this bulk; the same again goes on")
        send.add_argument("--channel", action="append", help="left out: all of the kind")
        send.add_argument("--skipped", type=Path, help="write who was skipped, and why, here")
        progress = tasks.add_parser("progress", help="how far a bulk is")
        progress.add_argument("batch")
        tasks.add_parser("balance", help="what the accounts still have")

    def handle(self, *_: Any, task: str, **options: Any) -> None:
        """Run the task; what it refuses is an error of the command."""
        tasks = {"send": self._send, "progress": self._progress, "balance": self._balance}
        try:
            tasks[task](**options)
        except UnicodeDecodeError as error:
            raise CommandError(
                f'{options["file"]} is not UTF-8. Save it as "CSV UTF-8"; nobody was told anything.'
            ) from error
        except (UnknownKind, ValueError, OSError, csv.Error) as error:
            raise CommandError(str(error)) from error

    def _send(self, *, file: Path, kind: str, batch: str, **options: Any) -> None:
        declared = get_kind(kind)
        total = _count_rows(file)  # and reads all of it, before anybody is told anything
        skipped: list[tuple[str, str]] = []

        def show(summary: BulkSummary) -> None:
            done = summary.people + sum(summary.skipped.values())
            filled = _BAR * done // max(total, 1)
            bar = "█" * filled + "·" * (_BAR - filled)
            self.stderr.write(f"\r{bar} {done:,} of {total:,}", ending="")

        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text, delimiter=_find_delimiter(file))
            _require_columns(reader.fieldnames or [], declared)
            summary = send_bulk(
                kind=kind,
                batch=batch,
                channels=options["channel"],
                recipients=_read(reader, skipped),
                on_step=show,
                on_skip=lambda key, reason: skipped.append((key, reason)),
            )
        self.stderr.write("")
        self._table(
            [
                ("people", summary.people),
                ("messages", summary.messages),
                *_count_reasons(skipped),
            ]
        )
        if options["skipped"] is not None:
            with options["skipped"].open("w", newline="", encoding="utf-8") as text:
                csv.writer(text).writerows([("key", "reason"), *skipped])

    def _progress(self, *, batch: str, **_: Any) -> None:
        states = count_batch(batch)
        if not states:
            raise CommandError(f"There is no batch {batch!r}.")
        self._table([*sorted(states.items()), ("all", sum(states.values()))])

    def _balance(self, **_: Any) -> None:
        rows = []
        for channel in Channel:
            for name in list_provider_names(channel):
                provider = get_provider(channel, name)
                if provider.capabilities.can_tell_balance:
                    balance = provider.balance()
                    rows.append((f"{channel} {name}", f"{balance.amount:,} {balance.unit}"))
        if not rows:
            raise CommandError("No configured provider tells its balance.")
        self._table(rows)

    def _table(self, rows: list[tuple[str, Any]]) -> None:
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            shown = f"{value:,}" if isinstance(value, int) else value
            self.stdout.write(f"{name:<{width}}  {shown:>12}")


def _count_rows(file: Path) -> int:
    with file.open(newline="", encoding="utf-8-sig") as text:
        rows = csv.reader(text, delimiter=_find_delimiter(file))
        return max(sum(1 for _ in rows) - 1, 0)


def _find_delimiter(file: Path) -> str:
    """Return a semicolon where the header has only those: so does Excel in half of the world."""
    with file.open(newline="", encoding="utf-8-sig") as text:
        header = text.readline(csv.field_size_limit())
    return ";" if ";" in header and "," not in header else ","


def _require_columns(names: Any, kind: Kind) -> None:
    if not set(names) & set(_ADDRESSES):
        raise CommandError(
            f"The file needs a column {', '.join(_ADDRESSES)}; it has {', '.join(names) or 'none'}."
        )
    missing = sorted(kind.variables - set(names))
    surplus = sorted(set(names) - kind.variables - _OURS)
    if missing or surplus:
        raise CommandError(
            f"The columns do not fit {kind.name!r}: missing {', '.join(missing) or 'none'}, "
            f"surplus {', '.join(surplus) or 'none'}."
        )


def _read(reader: Any, skipped: list[tuple[str, str]]) -> Iterator[BulkRecipient]:
    """Give the people of the file one by one; who cannot be read is skipped and said why."""
    for row in reader:
        name = row.get("key") or "+".join(filter(None, map(row.get, _ADDRESSES)))
        if not name:
            skipped.append((f"line {reader.line_num}", "no address"))
            continue
        if None in row or None in row.values():
            skipped.append((name, "more or fewer fields than the header"))
            continue
        try:
            person = _read_person(row)
        except (InvalidPhone, InvalidRecipient) as error:
            skipped.append((name, str(error)))
            continue
        facts = {name: value for name, value in row.items() if name not in _OURS}
        yield BulkRecipient(to=person, key=row.get("key") or _make_key(person), context=facts)


def _read_person(row: Mapping[str, str]) -> Recipient:
    language = row.get("language") or None
    if row.get("user"):
        try:
            user = get_user_model().objects.filter(pk=row["user"]).first()
        except (ValueError, ValidationError):  # what this project's users cannot have as an id
            user = None
        if user is None:
            raise InvalidRecipient("There is no such user.")
        person = read_person(user)
        return replace(person, language=language or person.language)
    phone = row.get("phone")
    return Recipient(
        phone_e164=parse_phone(phone) if phone else None,
        email=row.get("email") or None,
        language=language,
    )


def _make_key(person: Recipient) -> str:
    """Name the person by what they are reached at, so that two spellings are one person."""
    if person.user is not None:
        return str(person.user.pk)
    addresses = map(person.find_address, (Channel.SMS, Channel.EMAIL))
    return "+".join(filter(None, addresses)).casefold()


def _count_reasons(skipped: list[tuple[str, str]]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for _, reason in skipped:
        counts[reason] = counts.get(reason, 0) + 1
    return [(f"skipped: {reason}", count) for reason, count in sorted(counts.items())]
