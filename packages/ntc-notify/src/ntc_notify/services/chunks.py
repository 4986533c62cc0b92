"""Deliver the messages of a bulk chunk by chunk.

Every message goes the way of a single one: claimed with its attempt, called outside any
transaction, settled by itself. One that needs another try leaves the chunk and gets a job
of its own; a worker that dies leaves what it had claimed to be settled as unknown.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.failpoints import failpoint
from ntc_core.outbox import RetryLater, enqueue
from ntc_core.outbox.models import OutboxJob

from ntc_notify.conf import Kind, get_kind
from ntc_notify.errors import ContentGone, RenderingFailed
from ntc_notify.models import DeliveryAttempt, Message
from ntc_notify.providers.base import Provider
from ntc_notify.registry import batch_size_of, get_provider, list_provider_names
from ntc_notify.services.bulk import CHUNK_JOB
from ntc_notify.services.claiming import Prepared, claim
from ntc_notify.services.delivering import (
    LOOK_AGAIN_SECONDS,
    TOO_LATE,
    call_broken,
    call_one,
    may_be_sent_now,
    prepare,
    take_over,
)
from ntc_notify.services.inapp import put_into_inbox
from ntc_notify.services.pacing import take_turn
from ntc_notify.services.sending import DELIVER_JOB
from ntc_notify.services.settling import end_message, settle
from ntc_notify.types import Channel, MessageState, SendOutcome

__all__ = ["break_up_parked_chunk", "deliver_chunk"]

#: A run ends after this and comes back, well before its job's lease does.
RUN_SECONDS = 30.0
#: Rows that are looked at together where the provider takes one message a call.
READ_SIZE = 50
#: A wait for the provider's turn that is not worth another job.
LONGEST_SLEEP_SECONDS = 2.0


def deliver_chunk(chunk: str) -> None:
    """Make the next try for every message of the chunk.

    Raises:
        RetryLater: there is more to do.
    """
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until:
        messages = _queued(UUID(chunk))
        if not messages:
            _look_after_the_dead(UUID(chunk))
            return
        _deliver_some(messages, get_kind(messages[0].notification.kind), until)
    raise RetryLater("there is more in the chunk", delay_seconds=0)


def break_up_parked_chunk(*, job: OutboxJob, parked: bool, **_: object) -> None:
    """Give what is left of a chunk whose job gave up jobs of their own (signal receiver).

    One message that ends every process must not keep the others from leaving.
    """
    if not parked or job.task != CHUNK_JOB:
        return
    left = Message.objects.filter(
        chunk=UUID(job.arguments[0]), state__in=[MessageState.QUEUED, MessageState.SENDING]
    )
    for message in left.only("pk"):
        _hand_over(message, delay_seconds=0)


def _queued(chunk: UUID) -> list[Message]:
    rows = Message.objects.filter(chunk=chunk, state=MessageState.QUEUED)
    first = rows.order_by("id").only("channel").first()
    if first is None:
        return []
    batch_size = batch_size_of(Channel(first.channel))
    size = batch_size if batch_size > 1 else READ_SIZE
    return list(rows.select_related("notification").order_by("id")[:size])


def _deliver_some(messages: Sequence[Message], kind: Kind, until: float) -> None:
    """Try each of these once, or hand it over to a job of its own."""
    channel = Channel(messages[0].channel)
    fresh = [message for message in _fresh(messages) if _can_go(message, kind)]
    if channel is Channel.INAPP:
        for message in fresh:
            _put_into_inbox(message, kind)
        return
    names = list_provider_names(channel)
    if not names:
        for message in fresh:
            end_message(message, MessageState.FAILED, "No provider is left that would take it.")
        return
    provider = get_provider(channel, names[0])
    size = provider.capabilities.batch_size
    for start in range(0, len(fresh), size):
        if time.monotonic() >= until:
            return
        prepared = _prepare(fresh[start : start + size], kind, names[0])
        if prepared:
            _wait_for_turn(channel, names[0], provider)
            _send(provider, prepared, kind)


def _fresh(messages: Sequence[Message]) -> list[Message]:
    """Return those nobody has tried yet; a worker died between a try of the others and the next."""
    tried = set(
        DeliveryAttempt.objects.filter(message__in=messages).values_list("message_id", flat=True)
    )
    for message in messages:
        if message.pk in tried:
            _hand_over(message, delay_seconds=0)
    return [message for message in messages if message.pk not in tried]


def _can_go(message: Message, kind: Kind) -> bool:
    if message.expires_at <= timezone.now():
        end_message(message, MessageState.EXPIRED, TOO_LATE)
        return False
    return may_be_sent_now(message, kind)


def _prepare(messages: Sequence[Message], kind: Kind, provider_name: str) -> list[Prepared]:
    found = []
    for message in messages:
        try:
            prepared = prepare(message, kind, [], provider_name)
        except RenderingFailed:
            # Its facts do not fit the template; the others' do. Its own job says so, and tries
            # again until it expires.
            _hand_over(message, delay_seconds=0)
            continue
        if prepared is not None:
            found.append(prepared)
    return found


def _wait_for_turn(channel: Channel, name: str, provider: Provider) -> None:
    while wait := take_turn(channel, name, provider):
        if wait > LONGEST_SLEEP_SECONDS:
            raise RetryLater(f"{name} takes no more just now", delay_seconds=wait)
        time.sleep(wait)


def _send(provider: Provider, prepared: list[Prepared], kind: Kind) -> None:
    ours, _ = claim(prepared, kind)
    if not ours:
        return
    failpoint("notify.chunk_claimed")
    outcomes = _call(provider, ours)
    failpoint("notify.chunk_answered")
    for each, outcome in zip(ours, outcomes, strict=True):
        try:
            settle(each.message, kind, each.attempt, outcome)
        except RetryLater as later:
            _hand_over(each.message, delay_seconds=later.delay_seconds)
        failpoint("notify.chunk_settled")


def _call(provider: Provider, ours: list[Prepared]) -> list[SendOutcome]:
    if provider.capabilities.batch_size == 1:
        return [call_one(provider, each.outgoing, each.message) for each in ours]
    try:
        outcomes = provider.send_batch([each.outgoing for each in ours])
        if len(outcomes) != len(ours):
            raise ValueError(f"{len(outcomes)} outcomes for {len(ours)} messages")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001 - a provider's bug must not strand the messages
        unknown = call_broken(error, {"provider": provider.name, "messages": len(ours)})
        return [unknown] * len(ours)
    return outcomes


def _put_into_inbox(message: Message, kind: Kind) -> None:
    try:
        put_into_inbox(message, kind)
    except ContentGone:
        end_message(message, MessageState.CANCELED, "Its content is gone.")
    except RenderingFailed:
        _hand_over(message, delay_seconds=0)


def _hand_over(message: Message, *, delay_seconds: float) -> None:
    """Give a message of the chunk a job of its own."""
    with transaction.atomic():
        Message.objects.filter(pk=message.pk).update(chunk=None, updated_at=Now())
        enqueue(
            DELIVER_JOB,
            message.pk,
            dedupe_key=str(message.pk),
            run_at=timezone.now() + timedelta(seconds=delay_seconds),
        )


def _look_after_the_dead(chunk: UUID) -> None:
    """Settle what a dead worker had claimed; come back for what a living one has."""
    claimed = Message.objects.filter(chunk=chunk, state=MessageState.SENDING)
    for message in claimed.filter(claimed_until__lte=Now()).select_related("notification"):
        try:
            take_over(message, get_kind(message.notification.kind))
        except RetryLater as later:
            _hand_over(message, delay_seconds=later.delay_seconds)
    if claimed.exists():
        raise RetryLater("another worker is sending some", delay_seconds=LOOK_AGAIN_SECONDS)
