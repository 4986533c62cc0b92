"""The company's books: one SQLite file, so that a restart forgets nothing."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Callback", "Collection", "DuplicateReference", "Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS collection (
    reference TEXT PRIMARY KEY, uid TEXT UNIQUE NOT NULL, transaction_id TEXT UNIQUE NOT NULL,
    amount INTEGER NOT NULL, currency TEXT NOT NULL, phone TEXT NOT NULL,
    description TEXT NOT NULL, status TEXT NOT NULL, callback_url TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, updated_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS callback (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_at REAL, delivered_at REAL
);
CREATE INDEX IF NOT EXISTS callback_due ON callback (next_at);
"""

#: A callback that nobody takes is given up after about a day.
RETRY_DELAYS_SECONDS = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 3600 * 6, 3600 * 12)


class DuplicateReference(Exception):
    """A collection with this reference exists; a company never makes a second one."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One request for money from one phone."""

    reference: str
    uid: str
    transaction_id: str
    amount: int
    currency: str
    phone: str
    description: str
    status: str
    callback_url: str
    created_at: float
    expires_at: float
    updated_at: float

    def wire(self) -> dict[str, object]:
        """Return what the merchant is told."""
        return {
            "reference": self.reference,
            "transaction_id": self.transaction_id,
            "amount": self.amount,
            "currency": self.currency,
            "phone": self.phone,
            "status": self.status,
        }


@dataclass(frozen=True, kw_only=True)
class Callback:
    """A message that the merchant must be told."""

    id: int
    url: str
    body: str
    attempts: int


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

    def create(
        self,
        *,
        reference: str,
        amount: int,
        currency: str,
        phone: str,
        description: str,
        callback_url: str,
    ) -> Collection:
        """Put a prompt on the phone.

        Raises:
            DuplicateReference: the reference was used before.
        """
        now = time.time()
        collection = Collection(
            reference=reference,
            uid=str(uuid.uuid4()),
            transaction_id=f"SIM{secrets.token_hex(6).upper()}",
            amount=amount,
            currency=currency,
            phone=phone,
            description=description,
            status="PENDING",
            callback_url=callback_url,
            created_at=now,
            expires_at=now + self.prompt_seconds,
            updated_at=now,
        )
        values = asdict(collection)
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        statement = f"INSERT INTO collection ({names}) VALUES ({marks})"  # noqa: S608 - our field names
        with self._transaction() as database:
            try:
                database.execute(statement, values)
            except sqlite3.IntegrityError as error:
                raise DuplicateReference(reference) from error
        return collection

    def find(self, *, reference: str = "", uid: str = "") -> Collection | None:
        """Return the collection of that reference or prompt uid, or None."""
        self.expire_due()
        with self._transaction() as database:
            row = database.execute(
                "SELECT * FROM collection WHERE reference = ? OR uid = ?", (reference, uid)
            ).fetchone()
        return Collection(**dict(row)) if row else None

    def list_collections(self, *, waiting_only: bool) -> list[Collection]:
        """Return the prompts, newest first."""
        self.expire_due()
        with self._transaction() as database:
            rows = database.execute(
                "SELECT * FROM collection WHERE ? = 0 OR status = 'PENDING'"
                " ORDER BY created_at DESC LIMIT 500",
                (int(waiting_only),),
            ).fetchall()
        return [Collection(**dict(row)) for row in rows]

    def settle(self, *, reference: str, status: str) -> bool:
        """Move a waiting prompt to `status` and queue its callback; False if it had ended."""
        now = time.time()
        with self._transaction() as database:
            row = database.execute(
                "UPDATE collection SET status = ?, updated_at = ?"
                " WHERE reference = ? AND status = 'PENDING' RETURNING *",
                (status, now, reference),
            ).fetchone()
            if row is None:
                return False
            collection = Collection(**dict(row))
            if collection.callback_url:
                database.execute(
                    "INSERT INTO callback (url, body, attempts, next_at) VALUES (?, ?, 0, ?)",
                    (collection.callback_url, _callback_body(collection), now),
                )
        return True

    def expire_due(self) -> None:
        """End the prompts that nobody answered in time."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT reference FROM collection WHERE status = 'PENDING' AND expires_at <= ?",
                (time.time(),),
            ).fetchall()
        for row in rows:
            self.settle(reference=row["reference"], status="EXPIRED")

    def claim_callbacks(self, *, lease_seconds: float = 30) -> list[Callback]:
        """Return the callbacks that are due; a lost one comes back after the lease."""
        now = time.time()
        with self._transaction() as database:
            rows = database.execute(
                "UPDATE callback SET next_at = ?, attempts = attempts + 1"
                " WHERE id IN (SELECT id FROM callback WHERE next_at <= ? ORDER BY id LIMIT 32)"
                " RETURNING id, url, body, attempts",
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


def _callback_body(collection: Collection) -> str:
    event: Mapping[str, object] = {
        "id": str(uuid.uuid4()),
        "type": f"collection.{collection.status.lower()}",
        "created_at": collection.updated_at,
        "data": collection.wire(),
    }
    return json.dumps(event, separators=(",", ":"))
