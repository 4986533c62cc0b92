"""Bring one message to a provider, and write down what came of it.

    queued ──claim, committed──▶ sending ──call, no transaction──▶ the outcome, committed

The claim and the attempt's id are in the database before the call, so whoever finds a
message in "sending" whose worker is dead knows that it may have left. Every step is a
conditional UPDATE: two workers cannot send one message, and late news changes nothing.
One run makes one call.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.outbox import RetryLater

from ntc_notify import signals
from ntc_notify.conf import Kind, get_kind
from ntc_notify.errors import ContentGone
from ntc_notify.models import DeliveryAttempt, Message
from ntc_notify.providers.base import EmailProvider, Provider, SmsProvider
from ntc_notify.registry import get_provider, list_provider_names
from ntc_notify.services.claiming import Prepared, claim
from ntc_notify.services.composing import TooLong, compose, prepare_attempt
from ntc_notify.services.inapp import put_into_inbox
from ntc_notify.services.pacing import take_turn, wait_for_morning
from ntc_notify.services.settling import choose_provider, end_message, log_fields, settle
from ntc_notify.types import (
    Channel,
    MessageState,
    Outcome,
    OutgoingMessage,
    OutgoingSms,
    SendOutcome,
)

__all__ = [
    "announce",
    "call_broken",
    "call_one",
    "deliver",
    "expire_overdue",
    "may_be_sent_now",
    "prepare",
    "take_over",
]

log = logging.getLogger("ntc_notify")

LOOK_AGAIN_SECONDS = 10.0
EXPIRE_BATCH = 500
TOO_LATE = "It could not be sent in time."


def deliver(message_id: int) -> None:
    """Make the next try for one message, if there is one to make.

    Raises:
        RetryLater: the job must come back.
    """
    message = Message.objects.select_related("notification").filter(pk=message_id).first()
    if message is None:
        return
    kind = get_kind(message.notification.kind)
    if message.state == MessageState.SENDING:
        take_over(message, kind)
    elif message.state == MessageState.QUEUED and message.expires_at <= timezone.now():
        end_message(message, MessageState.EXPIRED, TOO_LATE)
    elif message.state == MessageState.QUEUED:
        _try_once(message, kind)


def announce(message_id: int, state: str) -> None:
    """Tell the project how a message ended; runs inside an atomic job."""
    message = Message.objects.select_related("notification").filter(pk=message_id).first()
    if message is None:
        return
    arrived = state == MessageState.DELIVERED
    signal = signals.message_delivered if arrived else signals.message_failed
    signal.send(sender=Message, message=message)


def expire_overdue() -> int:
    """Close the messages whose time ran out while nothing could try them; return how many."""
    overdue = Message.objects.filter(state=MessageState.QUEUED, expires_at__lte=Now())
    messages = list(overdue.select_related("notification").order_by("expires_at")[:EXPIRE_BATCH])
    for message in messages:
        end_message(message, MessageState.EXPIRED, TOO_LATE)
    return len(messages)


def take_over(message: Message, kind: Kind) -> None:
    """Settle a call whose worker died: it is unknown whether the message left.

    Raises:
        RetryLater: the worker is alive, or the message is queued again.
    """
    alive = Message.objects.filter(
        pk=message.pk, state=MessageState.SENDING, claimed_until__gt=Now()
    )
    attempt = message.attempts.filter(outcome=Outcome.OPEN).first()
    if attempt is None or alive.exists():
        raise RetryLater("another worker is sending it", delay_seconds=LOOK_AGAIN_SECONDS)
    settle(message, kind, attempt, SendOutcome.unknown("The worker died during the call."))


def may_be_sent_now(message: Message, kind: Kind) -> bool:
    """Let what can wait, wait until people are awake; False: by then it is too late.

    Raises:
        RetryLater: so long.
    """
    morning = wait_for_morning(message, kind)
    if morning is None:
        return True
    if morning >= message.expires_at:
        end_message(message, MessageState.EXPIRED, "Its time ends in the quiet hours.")
        return False
    raise RetryLater("quiet hours", delay_seconds=_seconds_until(morning))


def prepare(
    message: Message, kind: Kind, attempts: Sequence[DeliveryAttempt], provider_name: str
) -> Prepared | None:
    """Do everything that can go wrong on our side, before the claim; None: it has ended.

    Raises:
        RenderingFailed: a template is broken; the job tries again until it expires.
    """
    attempt = prepare_attempt(message, provider_name, attempts)
    try:
        outgoing = compose(message, kind, attempt)
    except ContentGone:
        end_message(message, MessageState.CANCELED, "Its content is gone.")
        return None
    except TooLong as error:
        end_message(message, MessageState.FAILED, str(error))
        return None
    return Prepared(message=message, attempt=attempt, outgoing=outgoing)


def call_one(provider: Provider, outgoing: OutgoingMessage, message: Message) -> SendOutcome:
    """Make the one call. Whatever a provider raises, the message may have left."""
    try:
        if isinstance(outgoing, OutgoingSms):
            return cast("SmsProvider", provider).send(outgoing)
        return cast("EmailProvider", provider).send(outgoing)
    except Exception as error:  # noqa: BLE001 - a provider's bug must not strand the message
        return call_broken(error, log_fields(message))


def call_broken(error: Exception, fields: dict[str, object]) -> SendOutcome:
    """Log a provider's bug; return what is known then."""
    # Not log.exception(): the text of a foreign error may repeat address or body.
    place = "".join(traceback.format_tb(error.__traceback__))
    name = type(error).__name__
    log.error("provider.broken", extra=fields | {"error": name, "traceback": place})
    return SendOutcome.unknown(f"The provider's code raised {name}.")


def _try_once(message: Message, kind: Kind) -> None:
    channel = Channel(message.channel)
    if channel is Channel.INAPP:
        try:
            put_into_inbox(message, kind)
        except ContentGone:
            end_message(message, MessageState.CANCELED, "Its content is gone.")
        return
    if not may_be_sent_now(message, kind):
        return
    attempts = list(message.attempts.all())
    name = choose_provider(list_provider_names(channel), attempts, kind.on_ambiguous)
    if name is None:
        end_message(message, MessageState.FAILED, "No provider is left that would take it.")
        return
    provider = get_provider(channel, name)
    prepared = prepare(message, kind, attempts, name)
    if prepared is None:
        return
    if wait := take_turn(channel, name, provider):
        raise RetryLater(f"{name} takes no more just now", delay_seconds=wait)
    ours, refusals = claim([prepared], kind)
    if message.pk in refusals:
        log.info("message.suppressed", extra=log_fields(message))
        return
    if not ours:
        # Another worker has it, or it has expired this moment. This job may be the only
        # one that will look again.
        raise RetryLater("not ours to send", delay_seconds=LOOK_AGAIN_SECONDS)
    settle(message, kind, prepared.attempt, call_one(provider, prepared.outgoing, message))


def _seconds_until(moment: datetime) -> float:
    return max((moment - timezone.now()).total_seconds(), 1.0)
