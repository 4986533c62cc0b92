"""Start and wait for real worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

PACKAGE = Path(__file__).resolve().parents[2]


def start_worker(
    *command: str, database: str | None = None, **environment: str
) -> subprocess.Popen[bytes]:
    """Start a process that runs a management command on the test's database, or another."""
    database = database or str(connection.settings_dict["NAME"])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.outbox.worker", database, *command],
        cwd=PACKAGE,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
    )


@contextmanager
def workers(count: int, *command: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `count` workers during the block, then kill what is left of them."""
    started = [start_worker(*command) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Poll until it is true; fail loudly when it does not become so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"Not so within {seconds} s.")
        time.sleep(0.02)
