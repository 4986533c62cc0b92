"""A worker process of the tests: `python -m tests.outbox.worker <database> [command …]`."""

from __future__ import annotations

import os
import sys

import django
from django.core.management import call_command
from django.db import connection


def main(database: str, *command: str) -> None:
    """Run the management command on that database, which the test created."""
    django.setup()
    connection.settings_dict["NAME"] = database
    if seconds := os.environ.get("OUTBOX_TEST_LOCK_SECONDS"):
        connection.settings_dict["OPTIONS"]["timeout"] = float(seconds)
    from tests.outbox import sample_jobs  # noqa: F401, PLC0415 - registers the jobs

    call_command(*command)


if __name__ == "__main__":
    main(*sys.argv[1:])
