"""Jobs that the outbox's tests run. Their effect is a row: a Group whose name tells the job."""

from __future__ import annotations

import os
import time
import uuid

from django.contrib.auth.models import Group
from ntc_core.outbox import RetryLater, job
from ntc_core.request_id import get_request_id

ran: list[object] = []


def effects(label: str) -> int:
    """Count how often a job took effect."""
    return Group.objects.filter(name__startswith=f"{label}:").count()


def take_effect(label: str) -> None:
    """Leave a row behind, a new one each time."""
    Group.objects.create(name=f"{label}:{uuid.uuid4()}")


@job("tests.take_effect")
def take_effect_job(label: str) -> None:
    """Take effect, once."""
    take_effect(label)


@job("tests.take_effect_slowly", lease_seconds=2)
def take_effect_slowly(label: str, milliseconds: int) -> None:
    """Take effect, then dawdle before the commit."""
    take_effect(label)
    time.sleep(milliseconds / 1000)


@job("tests.die", max_attempts=3, lease_seconds=1)
def die(label: str) -> None:
    """Take the process down after the effect and before the commit."""
    take_effect(label)
    os._exit(137)


@job("tests.fail", max_attempts=2)
def fail(label: str) -> None:
    """Take effect, then break."""
    take_effect(label)
    raise RuntimeError(f"no answer from +255712345678 for {label}")


@job("tests.call_company", atomic=False, max_attempts=2)
def call_company(label: str) -> None:
    """Take effect without a transaction around it, then break when told so."""
    take_effect(label)
    if label.startswith("broken"):
        raise RuntimeError("cut off")


@job("tests.hang", atomic=False, queue="companies")
def hang(label: str, milliseconds: int) -> None:
    """Call a company that does not answer."""
    take_effect(f"{label}-began")
    time.sleep(milliseconds / 1000)


@job("tests.wait", max_attempts=2)
def wait(label: str, count: int) -> None:
    """Ask to be run again."""
    take_effect(label)
    raise RetryLater("not yet", delay_seconds=30, count=bool(count))


@job("tests.note")
def note(value: int | str) -> None:
    """Remember the id and the request id."""
    ran.append((value, get_request_id()))


@job("tests.chain")
def chain(length: int) -> None:
    """Enqueue the next link."""
    ran.append(length)
    if length > 1:
        chain_on(length - 1)


def chain_on(length: int) -> None:
    """Enqueue a link."""
    from ntc_core.outbox import enqueue  # noqa: PLC0415 - reads like the caller's module

    enqueue(chain, length)
