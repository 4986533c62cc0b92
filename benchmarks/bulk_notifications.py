"""Store and queue a bulk of 100,000 people, and the same by a loop over send(), in one run.

    make bench        (PostgreSQL as the tests find it; PEOPLE=20000 make bench: fewer)

Prints how many a second, and how much memory the large one took beyond what it began with.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.test.utils import (  # noqa: E402 - likewise
    setup_databases,
    teardown_databases,
)
from ntc_notify import services  # noqa: E402 - likewise
from ntc_notify.services import BulkRecipient  # noqa: E402 - likewise
from ntc_notify.types import Recipient  # noqa: E402 - likewise

PEOPLE = int(os.environ.get("PEOPLE", "100000"))
#: The loop is slow: a part of the people is enough to tell its speed.
LOOP_PEOPLE = max(PEOPLE // 50, 1)


def people(count: int) -> Iterator[BulkRecipient]:
    for number in range(count):
        yield BulkRecipient(
            to=Recipient(phone_e164=f"+2557{number:08d}"),
            key=str(number),
            context={"title": f"Bei mpya {number}"},
        )


def loop(count: int) -> float:
    began = time.perf_counter()
    for person in people(count):
        services.send(
            kind="news",
            to=person.to,
            context=person.context,
            dedupe_key=f"loop:{person.key}",
            channels=["sms"],
        )
    return count / (time.perf_counter() - began)


def bulk(count: int, batch: str) -> float:
    began = time.perf_counter()
    summary = services.send_bulk(
        kind="news", recipients=people(count), batch=batch, channels=["sms"]
    )
    assert summary.people == count, summary
    return count / (time.perf_counter() - began)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        looped = loop(LOOP_PEOPLE)
        bulk(2000, "warm")
        before = peak_mib()
        bulked = bulk(PEOPLE, "bench")
        grown = peak_mib() - before
    finally:
        teardown_databases(databases, verbosity=0)
    print(f"send() in a loop: {looped:,.0f} people/s")
    print(f"send_bulk(): {PEOPLE:,} people in {PEOPLE / bulked:.1f} s, {bulked:,.0f} people/s")
    print(f"ratio: {bulked / looped:.1f}; peak memory grew by {grown:.1f} MiB")


if __name__ == "__main__":
    main()
