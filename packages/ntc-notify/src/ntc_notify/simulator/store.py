"""Beem's books: one SQLite file, so that a restart forgets nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Pin", "Sms", "Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sms (
    id INTEGER PRIMARY KEY, request_id INTEGER NOT NULL, recipient_id TEXT NOT NULL,
    dest_addr TEXT NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL, segments INTEGER NOT NULL,
    status TEXT NOT NULL, taken_at REAL NOT NULL, due_at REAL NOT NULL, reported INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS sms_request ON sms (request_id, dest_addr);
CREATE INDEX IF NOT EXISTS sms_due ON sms (status, due_at);
CREATE TABLE IF NOT EXISTS pin (
    pin_id TEXT PRIMARY KEY, app_id INTEGER NOT NULL, msisdn TEXT NOT NULL, pin TEXT NOT NULL,
    sent_at REAL NOT NULL, tries INTEGER NOT NULL, used INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS sender (
    name TEXT PRIMARY KEY, status TEXT NOT NULL, sample TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS value (name TEXT PRIMARY KEY, text TEXT NOT NULL);
"""
#: Where Beem's numbers of requests begin.
_FIRST_REQUEST_ID = 35918915


@dataclass(frozen=True, kw_only=True)
class Sms:
    """A message that Beem has taken. `status` in Beem's words; `due_at`: when it changes."""

    id: int
    request_id: int
    recipient_id: str
    dest_addr: str
    sender: str
    text: str
    segments: int
    status: str
    taken_at: float
    due_at: float
    reported: int


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A code that Beem has sent."""

    pin_id: str
    app_id: int
    msisdn: str
    pin: str
    sent_at: float
    tries: int
    used: int


class Store:
    """Thread-safe; every method is one transaction."""

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.RLock()
        self._database = sqlite3.connect(
            path, check_same_thread=False, isolation_level=None, timeout=10
        )
        self._database.row_factory = sqlite3.Row
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def take(
        self, numbers: Sequence[tuple[str, str]], *, sender: str, text: str, segments: int,
        due_at: float,
    ) -> int | None:  # fmt: skip
        """Charge and keep one request, all of it; None: the credits do not suffice.

        Args:
            numbers: recipient id and number of each.
        """
        price = segments * len(numbers)
        with self._transaction() as database:
            left = int(self._value(database, "credits") or 0)
            if price > left:
                return None
            request_id = int(self._value(database, "request_id") or _FIRST_REQUEST_ID)
            self._keep(database, "credits", str(left - price))
            self._keep(database, "request_id", str(request_id + 1))
            database.executemany(
                "INSERT INTO sms (request_id, recipient_id, dest_addr, sender, text, segments,"
                " status, taken_at, due_at, reported)"
                " VALUES (?, ?, ?, ?, ?, ?, 'PENDING', ?, ?, 0)",
                [
                    (request_id, recipient_id, number, sender, text, segments, time.time(), due_at)
                    for recipient_id, number in numbers
                ],
            )
        return request_id

    def list_sms(self, **which: Any) -> list[Sms]:
        """Return the messages with these values, in the order they came."""
        wanted = " AND ".join(f"{name} = :{name}" for name in which) or "1"
        with self._transaction() as database:
            rows = database.execute(
                f"SELECT * FROM sms WHERE {wanted} ORDER BY id",  # noqa: S608 - our column names
                which,
            ).fetchall()
        return [Sms(**dict(row)) for row in rows]

    def list_due(self, *, limit: int) -> list[Sms]:
        """Return the pending messages whose time has come."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT * FROM sms WHERE status = 'PENDING' AND due_at <= ?"
                " ORDER BY due_at, id LIMIT ?",
                (time.time(), limit),
            ).fetchall()
        return [Sms(**dict(row)) for row in rows]

    def settle(self, sms_id: int, *, status: str, due_at: float | None = None) -> None:
        """Change a message's status, and with `due_at` when it is looked at again."""
        with self._transaction() as database:
            database.execute(
                "UPDATE sms SET status = ?, due_at = coalesce(?, due_at) WHERE id = ?",
                (status, due_at, sms_id),
            )

    def note_report(self, sms_id: int) -> None:
        """Count a callback that was posted."""
        with self._transaction() as database:
            database.execute("UPDATE sms SET reported = reported + 1 WHERE id = ?", (sms_id,))

    def add_pin(self, pin: Pin) -> None:
        """Keep a code."""
        with self._transaction() as database:
            database.execute(
                "INSERT INTO pin VALUES (?, ?, ?, ?, ?, ?, ?)",
                (pin.pin_id, pin.app_id, pin.msisdn, pin.pin, pin.sent_at, pin.tries, pin.used),
            )

    def list_pins(self, **which: Any) -> list[Pin]:
        """Return the codes with these values, oldest first."""
        wanted = " AND ".join(f"{name} = :{name}" for name in which) or "1"
        with self._transaction() as database:
            rows = database.execute(
                f"SELECT * FROM pin WHERE {wanted} ORDER BY sent_at",  # noqa: S608 - our column names
                which,
            ).fetchall()
        return [Pin(**dict(row)) for row in rows]

    def try_pin(self, pin_id: str, *, used: bool) -> None:
        """Count a try, and mark the code as used where it was the right one."""
        with self._transaction() as database:
            database.execute(
                "UPDATE pin SET tries = tries + 1, used = used OR ? WHERE pin_id = ?",
                (int(used), pin_id),
            )

    def add_sender(self, name: str, *, status: str, sample: str) -> bool:
        """Keep a sender name; False: there is one of that name."""
        with self._transaction() as database:
            added = database.execute(
                "INSERT INTO sender VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (name, status, sample)
            )
            return added.rowcount == 1

    def list_senders(self) -> list[dict[str, str]]:
        """Return name, status and sample of each."""
        with self._transaction() as database:
            rows = database.execute("SELECT * FROM sender ORDER BY rowid").fetchall()
        return [dict(row) for row in rows]

    def keep(self, name: str, text: str) -> None:
        """Remember a value."""
        with self._transaction() as database:
            self._keep(database, name, text)

    def recall(self, name: str) -> str | None:
        """Return what was kept, or None."""
        with self._transaction() as database:
            return self._value(database, name)

    def _keep(self, database: sqlite3.Connection, name: str, text: str) -> None:
        database.execute(
            "INSERT INTO value VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text",
            (name, text),
        )

    def _value(self, database: sqlite3.Connection, name: str) -> str | None:
        row = database.execute("SELECT text FROM value WHERE name = ?", (name,)).fetchone()
        return str(row["text"]) if row else None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
