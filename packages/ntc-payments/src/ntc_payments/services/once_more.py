"""Do a transaction again that the database gave up for reasons that pass."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

__all__ = ["once_more_if_lost"]

log = logging.getLogger("ntc_payments")

#: PostgreSQL: serialization_failure and deadlock_detected.
_PASSING = frozenset({"40001", "40P01"})

_Result = TypeVar("_Result")


def once_more_if_lost(work: Callable[[], _Result]) -> _Result:
    """Run `work`, one transaction, and once more where PostgreSQL chose it as a victim.

    Inside somebody's transaction it runs once: all of that is lost, and theirs to repeat.
    """
    if connection.in_atomic_block:
        return work()
    try:
        return work()
    except OperationalError as error:
        code = _sqlstate(error)
        if code not in _PASSING:
            raise
        log.warning("payment.transaction_lost", extra={"sqlstate": code})
    return work()


def _sqlstate(error: OperationalError) -> str:
    """Return the code that psycopg (`sqlstate`) or psycopg2 (`pgcode`) gives, or ""."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
