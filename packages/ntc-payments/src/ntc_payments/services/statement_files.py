"""Read a statement from a CSV file: all of it, or nothing and a sentence about what is wrong.

The columns are `line_key, subject, reference, provider_ref, amount, currency, fee, booked_at,
description`. `subject` is payment, refund or payout; `amount` is in major units and without the
fee; `booked_at` is ISO 8601, of Dar es Salaam where it has no zone. A file of a company that
has other names is read with a table of names.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime

from ntc_core.errors import InvalidInput
from ntc_core.money import InvalidMoney, Money

from ntc_payments.services.statements import STATEMENT_ZONE
from ntc_payments.types import StatementEntry, Subject

__all__ = ["read_statement_csv"]

REQUIRED = ("line_key", "amount", "booked_at")
OPTIONAL = ("subject", "reference", "provider_ref", "currency", "fee", "description")


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
    reader = csv.DictReader(lines)
    missing = [names[name] for name in REQUIRED if names[name] not in (reader.fieldnames or [])]
    if missing:
        raise InvalidInput(
            f"The file has no column {', '.join(missing)}; it has "
            f"{', '.join(reader.fieldnames or ['none'])}.",
            attr="file",
        )
    entries: dict[str, StatementEntry] = {}
    for row in reader:
        values = {name: (row.get(column) or "").strip() for name, column in names.items()}
        try:
            entry = _entry(values, currency=currency)
        except (ValueError, InvalidMoney) as error:
            raise InvalidInput(f"Line {reader.line_num}: {error}", attr="file") from error
        if entry.line_key in entries:
            raise InvalidInput(
                f"Line {reader.line_num}: the line_key {entry.line_key!r} occurs twice.",
                attr="file",
            )
        entries[entry.line_key] = entry
    return list(entries.values())


def _entry(values: Mapping[str, str], *, currency: str) -> StatementEntry:
    currency = values["currency"] or currency
    money = Money.from_major(values["amount"].replace(",", ""), currency)
    if not values["line_key"] or money.minor <= 0:
        raise ValueError("line_key is a text and amount is more than zero.")
    booked_at = datetime.fromisoformat(values["booked_at"])
    if booked_at.tzinfo is None:
        booked_at = booked_at.replace(tzinfo=STATEMENT_ZONE)
    fee = values["fee"].replace(",", "")
    return StatementEntry(
        line_key=values["line_key"],
        subject=Subject(values["subject"] or Subject.PAYMENT),
        reference=values["reference"],
        provider_ref=values["provider_ref"],
        money=money,
        fee=Money.from_major(fee, currency) if fee else None,
        booked_at=booked_at,
        description=values["description"],
    )
