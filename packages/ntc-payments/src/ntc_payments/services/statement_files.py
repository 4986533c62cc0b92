"""Read a statement from a CSV file: all of it, or nothing and a sentence about what is wrong.

The columns are `line_key, subject, reference, provider_ref, amount, currency, fee, booked_at,
description`. `subject` is payment, refund or payout; `amount` is in major units and without the
fee, `15000.00` or `15,000.00`; `booked_at` is ISO 8601, of Dar es Salaam where it has no zone.
A file of a company that has other names is read with a table of names.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ntc_core.errors import InvalidInput
from ntc_core.money import Money

from ntc_payments.services.statements import STATEMENT_ZONE
from ntc_payments.types import StatementEntry, Subject

__all__ = ["read_statement_csv"]

REQUIRED = ("line_key", "amount", "booked_at")
OPTIONAL = ("subject", "reference", "provider_ref", "currency", "fee", "description")

#: Commas between thousands. Any other may be a decimal one, which makes it a hundred times less.
_WITH_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)


def read_statement_csv(
    lines: Iterable[str],
    *,
    currency: str = "TZS",
    columns: Mapping[str, str] | None = None,
) -> list[StatementEntry]:
    """Return the entries of a file.

    Args:
        lines: the file, or any lines of text; the first one has the names of the columns.
        currency: of the lines that name none.
        columns: our name of a column -> the file's, where that is another.

    Raises:
        InvalidInput: a column is missing or a value is not readable; it names the line.
    """
    names = {name: (columns or {}).get(name, name) for name in (*REQUIRED, *OPTIONAL)}
    # Strict: a quote that is never closed would swallow the rest of the file.
    reader = csv.DictReader(lines, strict=True)
    entries: dict[str, StatementEntry] = {}
    try:
        _require_columns(reader.fieldnames or [], names)
        for row in reader:
            _add(entries, _entry(_values(row, names), currency=currency))
    except csv.Error as error:
        # Of the row that could not be read, which begins after the last one that was.
        raise InvalidInput(f"Line {reader.line_num + 1}: {error}", attr="file") from error
    except ValueError as error:
        raise InvalidInput(f"Line {reader.line_num}: {error}", attr="file") from error
    return list(entries.values())


def _add(entries: dict[str, StatementEntry], entry: StatementEntry) -> None:
    if entries.setdefault(entry.line_key, entry) is not entry:
        raise ValueError(f"the line_key {entry.line_key!r} occurs twice.")


def _require_columns(found: Sequence[str], names: Mapping[str, str]) -> None:
    missing = [names[name] for name in REQUIRED if names[name] not in found]
    if missing:
        raise InvalidInput(
            f"The file has no column {', '.join(missing)}; it has {', '.join(found) or 'none'}.",
            attr="file",
        )


def _values(row: Mapping[str | None, Any], names: Mapping[str, str]) -> dict[str, str]:
    # Where the csv module puts what stands right of the last column.
    if row.get(None):
        raise ValueError("it has more cells than the first line; quote a cell with a comma in it.")
    return {name: (row.get(column) or "").strip() for name, column in names.items()}


def _entry(values: Mapping[str, str], *, currency: str) -> StatementEntry:
    currency = values["currency"] or currency
    money = _money(values["amount"], currency)
    fee = _money(values["fee"], currency) if values["fee"] else None
    if not values["line_key"] or money.minor <= 0 or (fee is not None and fee.minor < 0):
        raise ValueError("line_key is a text, amount is more than zero, fee is none or more.")
    return StatementEntry(
        line_key=values["line_key"],
        subject=Subject(values["subject"] or Subject.PAYMENT),
        reference=values["reference"],
        provider_ref=values["provider_ref"],
        money=money,
        fee=fee,
        booked_at=_moment(values["booked_at"]),
        description=values["description"],
    )


def _money(text: str, currency: str) -> Money:
    plain = text.replace(",", "") if _WITH_THOUSANDS.fullmatch(text) else text
    return Money.from_major(plain, currency)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=STATEMENT_ZONE)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"booked_at {text!r} is no time of a company.") from error
