"""How long we wait for PostgreSQL: for everything there is an end, except for a migration.

Three ways to hang, three answers. A server that works too long is told to stop by itself
(`statement_timeout` and its like). A network that swallows packets is noticed by the kernel
(keepalives). A server, or a proxy before it, that takes our bytes and says nothing more is
noticed by nobody, because libpq waits for ever: so we do the waiting ourselves.
"""

from __future__ import annotations

import select
import time
from typing import Any

__all__ = ["lift_limits", "limit_waiting", "postgresql_options"]

CONNECT_TIMEOUT_SECONDS = 5
# Our slowest statement takes some 100 ms; a report of the admin may take seconds. What takes
# longer holds a thread of the web process that hundreds of other requests could have had.
STATEMENT_TIMEOUT_SECONDS = 15
# Whoever holds a row does so for milliseconds. Two seconds is a pile-up: better to fail, and
# be tried again, than to stand in line with every thread we have.
LOCK_TIMEOUT_SECONDS = 2
# No network call happens in a transaction; a process that was stopped within one must not
# hold its locks longer than a job holds its lease.
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 60
# The server has stopped the statement by then, if it still does anything.
ANSWER_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS + 5

_LIMITS = {
    "statement_timeout": STATEMENT_TIMEOUT_SECONDS,
    "lock_timeout": LOCK_TIMEOUT_SECONDS,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_SECONDS,
}


def postgresql_options() -> dict[str, Any]:
    """Return the entries of DATABASES' OPTIONS, which libpq takes."""
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "options": " ".join(f"-c {name}={seconds}s" for name, seconds in _LIMITS.items()),
        # Together: a peer that is gone is noticed within half a minute, idle or not.
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": ANSWER_TIMEOUT_SECONDS * 1000,
    }


def limit_waiting() -> None:
    """Let no connection of this process wait longer than ANSWER_TIMEOUT_SECONDS."""
    from psycopg2.extensions import set_wait_callback  # noqa: PLC0415 - SQLite needs no driver

    set_wait_callback(_wait)


def lift_limits(*, using: str, **_: object) -> None:
    """Receive `pre_migrate`: building an index on a large table takes as long as it takes."""
    from django.db import connections  # noqa: PLC0415 - settings import this module

    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    from psycopg2.extensions import set_wait_callback  # noqa: PLC0415 - see above

    set_wait_callback(None)
    with connection.cursor() as cursor:
        for name in _LIMITS:
            cursor.execute(f"SET {name} = 0")


def _wait(connection: Any) -> None:
    """Wait for libpq, as psycopg2 asks of a wait callback, but not for ever."""
    from psycopg2 import OperationalError, extensions  # noqa: PLC0415 - see above

    connecting = connection.status == extensions.STATUS_SETUP
    seconds = CONNECT_TIMEOUT_SECONDS if connecting else ANSWER_TIMEOUT_SECONDS
    deadline = time.monotonic() + seconds
    events = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), events[state])
        if not poller.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise OperationalError(f"PostgreSQL did not answer within {seconds} s.")
