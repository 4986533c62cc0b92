"""The companies' books: one SQLite file, so that a restart forgets nothing."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["Callback", "Draft", "DuplicateReference", "Movement", "Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS movement (
    uid TEXT PRIMARY KEY, company TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL,
    company_ref TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    phone TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL,
    fee_minor INTEGER NOT NULL, is_shown INTEGER NOT NULL, prompts INTEGER NOT NULL,
    callback_url TEXT NOT NULL, details TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, updated_at REAL NOT NULL,
    UNIQUE (company, kind, reference)
);
CREATE INDEX IF NOT EXISTS movement_company_ref ON movement (company, company_ref);
CREATE TABLE IF NOT EXISTS callback (
    id INTEGER PRIMARY KEY, company TEXT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL,
    event_id TEXT NOT NULL, attempts INTEGER NOT NULL, next_at REAL, delivered_at REAL
);
CREATE INDEX IF NOT EXISTS callback_due ON callback (next_at);
CREATE TABLE IF NOT EXISTS value (
    company TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (company, name)
);
"""

#: A callback that nobody takes is given up after about a day.
RETRY_DELAYS_SECONDS = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 3600 * 6, 3600 * 12)


class DuplicateReference(Exception):
    """A movement of that kind with this reference exists; a company never makes a second one."""


@dataclass(frozen=True, kw_only=True)
class Movement:
    """Money that a company was asked to move: a collection, a refund or a payout.

    Attributes:
        kind: "collection", "refund" or "payout".
        reference: the merchant's. company_ref: the company's own id.
        status: PENDING, PAID, DECLINED, EXPIRED, CANCELED, FAILED or RETURNED.
        is_shown: it waits on a phone or a page for the payer.
        prompts: how often it was put there: more than once is a mistake of the merchant.
        details: what only this company knows of it.
    """

    company: str
    kind: str
    reference: str
    company_ref: str
    amount_minor: int
    currency: str
    phone: str = ""
    description: str = ""
    status: str = "PENDING"
    fee_minor: int = 0
    is_shown: bool = True
    prompts: int = 1
    callback_url: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: float = field(default_factory=time.time)
    expires_at: float = 0.0
    updated_at: float = 0.0

    @property
    def is_waiting(self) -> bool:
        """Tell whether its end is still to come."""
        return self.status == "PENDING"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A message that the merchant must be told. `event_id`: the same on every try."""

    url: str
    body: str
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, kw_only=True)
class Callback:
    """A message on its way."""

    id: int
    company: str
    url: str
    body: str
    event_id: str
    attempts: int


#: Makes the messages about a movement that has just changed.
Tell = Callable[[Movement], Sequence[Draft]]


class Store:
    """Thread-safe; every method is one transaction."""

    def __init__(self, path: str | Path, *, prompt_seconds: float = 120) -> None:
        self.prompt_seconds = prompt_seconds
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

    def add(self, movement: Movement) -> Movement:
        """Write a movement; without an end of its own it lives as long as a prompt.

        Raises:
            DuplicateReference: the company knows that reference for this kind.
        """
        now = time.time()
        movement = replace(
            movement,
            updated_at=now,
            expires_at=movement.expires_at or now + self.prompt_seconds,
        )
        values = asdict(movement) | {"details": json.dumps(dict(movement.details))}
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        statement = f"INSERT INTO movement ({names}) VALUES ({marks})"  # noqa: S608 - our field names
        with self._transaction() as database:
            try:
                database.execute(statement, values)
            except sqlite3.IntegrityError as error:
                raise DuplicateReference(movement.reference) from error
        return movement

    def find(self, **which: str) -> Movement | None:
        """Return the newest movement with these values, or None."""
        found = self.list_movements(limit=1, **which)
        return found[0] if found else None

    def list_movements(self, *, limit: int = 500, **which: Any) -> list[Movement]:
        """Return the movements with these values, newest first."""
        wanted = " AND ".join(f"{name} = :{name}" for name in which) or "1"
        with self._transaction() as database:
            rows = database.execute(
                f"SELECT * FROM movement WHERE {wanted} ORDER BY created_at DESC LIMIT {limit:d}",  # noqa: S608 - our column names
                which,
            ).fetchall()
        return [_movement(row) for row in rows]

    def change(
        self,
        uid: str,
        *,
        allowed: Sequence[str] = ("PENDING",),
        tell: Tell | None = None,
        details: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Movement | None:
        """Change a movement in one of the `allowed` statuses, and queue what is to be told.

        Returns:
            The movement as it is now, or None where it was in another status.
        """
        with self._transaction() as database:
            row = database.execute("SELECT * FROM movement WHERE uid = ?", (uid,)).fetchone()
            if row is None or row["status"] not in allowed:
                return None
            changes["details"] = json.dumps({**json.loads(row["details"]), **(details or {})})
            changes["updated_at"] = time.time()
            names = ", ".join(f"{name} = :{name}" for name in changes)
            row = database.execute(
                f"UPDATE movement SET {names} WHERE uid = :uid RETURNING *",  # noqa: S608 - our field names
                {**changes, "uid": uid},
            ).fetchone()
            movement = _movement(row)
            for draft in tell(movement) if tell else ():
                self._queue(database, movement.company, draft)
        return movement

    def queue(self, company: str, draft: Draft) -> None:
        """Have something told that follows no change."""
        with self._transaction() as database:
            self._queue(database, company, draft)

    def list_overdue(self) -> list[Movement]:
        """Return the collections that nobody answered in time."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT * FROM movement WHERE status = 'PENDING' AND kind = 'collection'"
                " AND expires_at <= ?",
                (time.time(),),
            ).fetchall()
        return [_movement(row) for row in rows]

    def claim_callbacks(self, *, lease_seconds: float = 30) -> list[Callback]:
        """Return the callbacks that are due; a lost one comes back after the lease."""
        now = time.time()
        with self._transaction() as database:
            rows = database.execute(
                "UPDATE callback SET next_at = ?, attempts = attempts + 1"
                " WHERE id IN (SELECT id FROM callback WHERE next_at <= ? ORDER BY id LIMIT 32)"
                " RETURNING id, company, url, body, event_id, attempts",
                (now + lease_seconds, now),
            ).fetchall()
        return [Callback(**dict(row)) for row in rows]

    def callback_done(self, callback: Callback, *, delivered: bool) -> None:
        """Close a delivered callback, or plan its next try."""
        now = time.time()
        retry = callback.attempts <= len(RETRY_DELAYS_SECONDS)
        next_at = now + RETRY_DELAYS_SECONDS[callback.attempts - 1] if retry else None
        with self._transaction() as database:
            database.execute(
                "UPDATE callback SET next_at = ?, delivered_at = ? WHERE id = ?",
                (None, now, callback.id) if delivered else (next_at, None, callback.id),
            )

    def keep(self, company: str, name: str, value: Any) -> None:
        """Remember a value of a company: a token, where its callbacks go."""
        with self._transaction() as database:
            database.execute(
                "INSERT INTO value VALUES (?, ?, ?)"
                " ON CONFLICT (company, name) DO UPDATE SET text = excluded.text",
                (company, name, json.dumps(value)),
            )

    def recall(self, company: str, name: str) -> Any:
        """Return what was kept, or None."""
        with self._transaction() as database:
            row = database.execute(
                "SELECT text FROM value WHERE company = ? AND name = ?", (company, name)
            ).fetchone()
        return json.loads(row["text"]) if row else None

    def _queue(self, database: sqlite3.Connection, company: str, draft: Draft) -> None:
        database.execute(
            "INSERT INTO callback (company, url, body, event_id, attempts, next_at)"
            " VALUES (?, ?, ?, ?, 0, ?)",
            (company, draft.url, draft.body, draft.event_id, time.time()),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._database.in_transaction:
                yield self._database
                return
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _movement(row: sqlite3.Row) -> Movement:
    values = dict(row)
    return Movement(
        **values | {"details": json.loads(values["details"]), "is_shown": bool(values["is_shown"])}
    )
