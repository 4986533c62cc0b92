"""The outbox on SQLite, as in development, whatever database these tests use otherwise."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.outbox.processes import start_worker, wait_until

NOW = "2026-01-01 00:00:00"


class Database:
    """A migrated SQLite file, seen from outside Django."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, timeout=30, isolation_level=None)

    def enqueue(self, task: str, *arguments: object) -> None:
        """Insert a job; its `run_at` is the column's default, now."""
        self.connection.execute(
            "INSERT INTO ntc_outbox_outboxjob (uid, created_at, updated_at, task, arguments,"
            " dedupe_key, state, attempts, last_error, request_id)"
            " VALUES (?, ?, ?, ?, ?, '', 'queued', 0, '', '')",
            [uuid.uuid4().hex, NOW, NOW, task, json.dumps(arguments)],
        )

    def states(self) -> list[str]:
        """List the states of the jobs of this test."""
        rows = self.connection.execute(
            "SELECT state FROM ntc_outbox_outboxjob WHERE task LIKE 'tests.%' ORDER BY id"
        )
        return [state for (state,) in rows]

    def effects(self) -> list[str]:
        """List which jobs took effect, once for each time."""
        rows = self.connection.execute("SELECT name FROM auth_group ORDER BY name")
        return [name.partition(":")[0] for (name,) in rows]

    @contextlib.contextmanager
    def workers(self, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Run workers during the block."""
        started = [self.start("run_jobs", "--forever") for _ in range(count)]
        try:
            yield started
        finally:
            for process in started:
                process.kill()
                process.wait()

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start one process on this database; it waits 0.2 s for a lock at most."""
        return start_worker(
            *command,
            database=str(self.path),
            TEST_DATABASE_URL="sqlite:",
            OUTBOX_TEST_LOCK_SECONDS="0.2",
        )


@pytest.fixture(scope="module")
def migrated(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite3"
    migrate = start_worker("migrate", "-v0", database=str(path), TEST_DATABASE_URL="sqlite:")
    assert migrate.wait(timeout=120) == 0
    return path


@pytest.fixture
def database(migrated, tmp_path) -> Iterator[Database]:
    database = Database(Path(shutil.copy(migrated, tmp_path / "dev.sqlite3")))
    yield database
    database.connection.close()


def test_processes_share_the_jobs_without_a_double(database):
    for number in range(40):
        database.enqueue("tests.take_effect", f"job-{number:02}")

    with database.workers(2):
        wait_until(lambda: database.states() == ["done"] * 40, seconds=90)

    assert database.effects() == [f"job-{number:02}" for number in range(40)]


def test_locked_database_only_delays(database):
    with database.workers(1) as (worker,):
        database.enqueue("tests.take_effect", "before")
        wait_until(lambda: database.states() == ["done"])

        database.connection.execute("BEGIN IMMEDIATE")
        database.enqueue("tests.take_effect", "locked")
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(timeout=2.5)
        database.connection.execute("COMMIT")

        wait_until(lambda: database.states() == ["done", "done"])
    assert database.effects() == ["before", "locked"]


def test_job_of_a_killed_worker_is_done_after_its_lease(database):
    database.enqueue("tests.die", "job")

    worker = database.start("run_jobs")

    assert worker.wait(timeout=60) == 137
    assert database.states() == ["running"]
    assert database.effects() == []
    database.connection.execute(
        "UPDATE ntc_outbox_outboxjob SET task = 'tests.take_effect' WHERE task = 'tests.die'"
    )
    with database.workers(1):
        wait_until(lambda: database.effects() == ["job"])
