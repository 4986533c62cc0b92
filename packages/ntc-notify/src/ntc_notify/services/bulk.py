"""Write down that many people are to be told the same kind of thing, in large steps.

Whoever calls it again with the same batch and the same people sends nothing twice: each
person's dedupe key is made of the batch and theirs. So a run that was killed is simply run
again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from ntc_core.errors import NtcError
from ntc_core.failpoints import failpoint
from ntc_core.models import new_uid
from ntc_core.outbox import enqueue

from ntc_notify.conf import Kind, get_kind
from ntc_notify.errors import InvalidContext
from ntc_notify.models import Message, Notification
from ntc_notify.registry import batch_size_of
from ntc_notify.services.sending import LONGEST_DEDUPE_KEY, Request, prepare_request
from ntc_notify.types import Channel

__all__ = ["BulkRecipient", "BulkSummary", "send_bulk"]

log = logging.getLogger("ntc_notify")

CHUNK_JOB = "ntc_notify.deliver_chunk"
#: People per transaction: large enough to be fast, small enough to stay flat in memory.
STEP_SIZE = 1000
#: Messages per job: what a worker does in one go, and what one that dies leaves to another.
CHUNK_SIZE = 100
LONGEST_BATCH = 100

#: Why somebody is not sent anything; what is in a context is told by its own sentence.
ALREADY, REPEATED = "already in this batch", "twice in this call"
GONE = "The user is gone."
UNFIT_KEY = (
    f"The key has a NUL, or more than {LONGEST_DEDUPE_KEY} characters with the batch's name."
)

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class BulkRecipient:
    """One person of a bulk.

    Attributes:
        to: a user, or a `Recipient`.
        key: names the person within the batch, such as the number of a row in a file.
    """

    to: Any
    key: str
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class BulkSummary:
    """What became of a call of `send_bulk()`."""

    batch: str
    people: int = 0
    messages: int = 0
    #: Reason -> how many people.
    skipped: Counter[str] = field(default_factory=Counter)


def send_bulk(
    *,
    kind: str,
    recipients: Iterable[BulkRecipient],
    batch: str,
    channels: Iterable[str] | None = None,
    send_after: datetime | None = None,
    on_step: Callable[[BulkSummary], None] | None = None,
    on_skip: Callable[[str, str], None] | None = None,
) -> BulkSummary:
    """Queue a message per person and channel; a step of 1,000 people is one transaction.

    It reads `recipients` once and keeps no more than a step of it. Nobody is told twice in one
    batch; who cannot be told is skipped and said why, and the others are told.

    Args:
        batch: names this bulk, such as "newsletter-2026-12". With each person's key it makes
            the dedupe key, so the same call again goes on where a killed one stopped.
        on_step: called after each step, for a progress bar.
        on_skip: called with the key and the reason of everybody who is skipped.

    Raises:
        UnknownKind, ValueError: a mistake of the caller, before anything is stored.
    """
    declared = get_kind(kind)
    if not 0 < len(batch) <= LONGEST_BATCH or "\x00" in batch:
        raise ValueError(f"A batch is named in 1 to {LONGEST_BATCH} characters, none of them NUL.")
    options: dict[str, Any] = {
        "channels": None if channels is None else tuple(channels),
        "send_after": send_after,
    }
    summary = BulkSummary(batch=batch)

    def skip(key: str, reason: str) -> None:
        summary.skipped[reason] += 1
        if on_skip is not None:
            on_skip(key, reason)

    for step in _split(recipients, STEP_SIZE):
        requests: dict[str, Request] = {}
        for person in step:
            key = f"{batch}:{person.key}"
            if len(key) > LONGEST_DEDUPE_KEY or "\x00" in key:
                skip(person.key, UNFIT_KEY)
                continue
            try:
                request = _prepare(declared, person, key, options)
            except (InvalidContext, NtcError) as error:
                skip(person.key, getattr(error, "message", None) or str(error))
                continue
            if requests.setdefault(key, request) is not request:
                skip(person.key, REPEATED)
        stored = _store(declared, requests, batch, skip)
        summary.people += len({message.notification_id for message in stored})
        summary.messages += len(stored)
        failpoint("notify.bulk_step_stored")
        if on_step is not None:
            on_step(summary)
    log.info(
        "bulk.queued",
        extra={
            "batch": batch,
            "kind": kind,
            "people": summary.people,
            "messages": summary.messages,
            "skipped": sum(summary.skipped.values()),
        },
    )
    return summary


def _prepare(kind: Kind, person: BulkRecipient, key: str, options: dict[str, Any]) -> Request:
    request = prepare_request(
        kind=kind, to=person.to, context=person.context, dedupe_key=key, **options
    )
    request.require_addresses()
    return request


def _store(
    kind: Kind, requests: dict[str, Request], batch: str, skip: Callable[[str, str], None]
) -> list[Message]:
    """Write the rows and jobs of a step in one transaction; return the messages."""
    while True:
        known = _list_known(kind, requests)
        new = [request for key, request in requests.items() if key not in known]
        try:
            with transaction.atomic():
                messages = _insert(new, batch)
        except IntegrityError:
            # The same bulk runs elsewhere and was faster, or somebody has been deleted.
            gone = _list_gone(requests)
            if not gone and _list_known(kind, requests) == known:
                raise
            for key in gone:
                del requests[key]
                skip(key.removeprefix(f"{batch}:"), GONE)
            continue
        for key in known:
            skip(key.removeprefix(f"{batch}:"), ALREADY)
        return messages


def _list_known(kind: Kind, requests: Mapping[str, Request]) -> set[str]:
    known = Notification.objects.filter(kind=kind.name, dedupe_key__in=requests)
    return set(known.values_list("dedupe_key", flat=True))


def _list_gone(requests: Mapping[str, Request]) -> list[str]:
    """Return the keys of those whose user was deleted after they were read."""
    users = {
        key: request.recipient.user.pk
        for key, request in requests.items()
        if request.recipient.user is not None
    }
    found = get_user_model().objects.filter(pk__in=set(users.values()))
    there = set(found.values_list("pk", flat=True))
    return [key for key, user in users.items() if user not in there]


def _insert(requests: list[Request], batch: str) -> list[Message]:
    rows = [request.make_notification(batch=batch) for request in requests]
    Notification.objects.bulk_create(rows)
    by_channel: dict[Channel, list[Message]] = {}
    for request, row in zip(requests, rows, strict=True):
        for channel, address in request.require_addresses().items():
            by_channel.setdefault(channel, []).append(request.make_message(row, channel, address))
    send_after = requests[0].send_after if requests else None
    for channel, messages in by_channel.items():
        for chunk in _split(messages, max(CHUNK_SIZE, batch_size_of(channel))):
            uid = new_uid()
            for message in chunk:
                message.chunk = uid
            enqueue(CHUNK_JOB, uid, dedupe_key=str(uid), run_at=send_after)
    stored = [message for messages in by_channel.values() for message in messages]
    Message.objects.bulk_create(stored)
    return stored


def _split(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
