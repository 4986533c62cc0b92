"""Write down what came of a call, and what follows from it. Every change of state is here.

Each is a conditional UPDATE: two workers cannot settle one message twice, and late news
changes nothing.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.masking import mask_text
from ntc_core.outbox import RetryLater, enqueue
from ntc_core.outbox.clock import seconds_from_now

from ntc_notify.conf import Kind
from ntc_notify.models import DeliveryAttempt, Message, StoredEmail
from ntc_notify.registry import get_provider, list_provider_names
from ntc_notify.types import Channel, MessageState, OnAmbiguous, Outcome, SendOutcome, may_follow

__all__ = [
    "FIRST_QUERY_SECONDS",
    "choose_provider",
    "end_message",
    "log_fields",
    "mask_reason",
    "move_message",
    "settle",
    "too_late",
]

log = logging.getLogger("ntc_notify")

ANNOUNCE_JOB = "ntc_notify.announce"
BACKOFF_BASE_SECONDS = 2.0
BACKOFF_CAP_SECONDS = 15 * 60.0
#: "resend" and "failover" allow one second copy, not a stream of them to a silent server.
MOST_UNKNOWN_ATTEMPTS = 2
LONGEST_ERROR = 300
#: A provider that can be asked is asked so long after the call.
FIRST_QUERY_SECONDS = 60.0

ARRIVED = {
    Outcome.ACCEPTED: MessageState.ACCEPTED,
    Outcome.DELIVERED: MessageState.DELIVERED,
}
#: State -> what the project is told, once per message each.
_ANNOUNCED = {
    MessageState.DELIVERED: MessageState.DELIVERED,
    MessageState.OPENED: MessageState.DELIVERED,
    MessageState.CLICKED: MessageState.DELIVERED,
    MessageState.FAILED: MessageState.FAILED,
    MessageState.EXPIRED: MessageState.EXPIRED,
}
#: The words of an email are still needed in these.
_MAY_LEAVE_AGAIN = frozenset({MessageState.QUEUED, MessageState.UNKNOWN})
_random = random.SystemRandom()


@dataclass(frozen=True, kw_only=True)
class _Next:
    """Where a message stands after a call, and when it is tried again if it is queued."""

    state: MessageState
    delay_seconds: float = 0.0


def settle(message: Message, kind: Kind, attempt: DeliveryAttempt, result: SendOutcome) -> None:
    """Write down what came of a call, and what follows from it.

    Raises:
        RetryLater: the message is queued again.
    """
    following = _decide(message, kind, attempt, result)
    reason = mask_reason(result.reason, message)
    with transaction.atomic():
        calls = DeliveryAttempt.objects.filter(pk=attempt.pk)
        answer = {
            "outcome": result.outcome,
            "provider_ref": result.provider_ref.replace("\x00", "")[:255],
            "error": reason,
            "finished_at": Now(),
            "updated_at": Now(),
        }
        if _can_be_asked(message, attempt, result):
            answer["next_query_at"] = seconds_from_now(FIRST_QUERY_SECONDS)
        # Another worker may have taken us for dead and called the outcome unknown. Our
        # answer still is the truth about the call, and may still say that it arrived.
        in_time = calls.filter(outcome=Outcome.OPEN).update(**answer)
        if not in_time:
            calls.filter(outcome=Outcome.UNKNOWN).update(**answer)
        moved = bool(in_time or result.outcome in ARRIVED) and move_message(
            message, following.state, reason, was=MessageState.SENDING, segments=result.segments
        )
    fields = log_fields(message) | {"outcome": str(result.outcome), "state": str(following.state)}
    log.log(
        logging.INFO if result.outcome in ARRIVED else logging.WARNING,
        "message.tried",
        extra=fields | {"reason": reason},
    )
    if moved and following.state == MessageState.QUEUED:
        raise RetryLater(str(result.outcome), delay_seconds=following.delay_seconds)


def end_message(message: Message, state: MessageState, reason: str) -> bool:
    """Close a message that is not, or not again, handed to a provider; tell whether it was open."""
    if state == MessageState.EXPIRED:
        state = too_late(list(message.attempts.all()))
    with transaction.atomic():
        moved = move_message(message, state, reason, was=MessageState.QUEUED)
    if moved:
        log.warning("message.ended", extra=log_fields(message) | {"state": str(state)})
    return moved


def move_message(
    message: Message,
    state: MessageState,
    reason: str,
    *,
    was: MessageState | None,
    segments: int | None = None,
) -> bool:
    """Change the state if it is still `was`; news of an arrival only has to be new.

    Args:
        was: None: what a provider says, which has to be of a higher rank.
        segments: what the provider counts the SMS as, where it says so.
    """
    expected = [was]
    if was is None or state in ARRIVED.values():
        expected = [old for old in MessageState if may_follow(old, state)]
    changes = {} if segments is None else {"segments": segments}
    moved = Message.objects.filter(pk=message.pk, state__in=expected).update(
        state=state, error=reason, claimed_until=None, updated_at=Now(), **changes
    )
    if not moved:
        return False
    if message.channel == Channel.EMAIL and state not in _MAY_LEAVE_AGAIN:
        # It has left, or never will: nobody needs the words of another program any more.
        StoredEmail.objects.filter(notification=message.notification_id).delete()
    told = _ANNOUNCED.get(state)
    if told is not None:
        enqueue(ANNOUNCE_JOB, message.pk, str(told), dedupe_key=f"{message.pk}:{told}")
    return True


def choose_provider(
    names: Sequence[str], attempts: Sequence[DeliveryAttempt], on_ambiguous: OnAmbiguous
) -> str | None:
    """Return the provider for the next try: each once before any twice, in their order.

    After an unknown outcome it is the same one again, the only one that could recognise the
    second copy, unless the kind would rather have it by another road. One that refused is out.
    """
    refused = {attempt.provider for attempt in attempts if attempt.outcome == Outcome.REFUSED}
    able = [name for name in names if name not in refused]
    last = attempts[-1] if attempts else None
    if last and last.outcome == Outcome.UNKNOWN and last.provider in able:
        others = [name for name in able if name != last.provider]
        if on_ambiguous != OnAmbiguous.FAILOVER or not others:
            return last.provider
    tried = [attempt.provider for attempt in attempts]
    return min(able, key=tried.count, default=None)


def too_late(attempts: Sequence[DeliveryAttempt]) -> MessageState:
    """Return "unknown" rather than "expired" if an earlier copy may have arrived."""
    perhaps = any(attempt.outcome == Outcome.UNKNOWN for attempt in attempts)
    return MessageState.UNKNOWN if perhaps else MessageState.EXPIRED


def mask_reason(reason: str, message: Message) -> str:
    """Return the provider's words without the person; servers like to repeat the address."""
    masked = reason.replace("\x00", "").replace(message.address, message.masked_address)
    return mask_text(masked, longest=LONGEST_ERROR)


def log_fields(message: Message) -> dict[str, object]:
    """Return what a log line says of a message."""
    return {
        "message_uid": str(message.uid),
        "kind": message.notification.kind,
        "channel": message.channel,
        "to": message.masked_address,
        "provider": message.provider,
        "segments": message.segments,
    }


def _decide(message: Message, kind: Kind, attempt: DeliveryAttempt, result: SendOutcome) -> _Next:
    if result.outcome in ARRIVED:
        return _Next(state=ARRIVED[result.outcome])
    if result.outcome == Outcome.REFUSED and not result.elsewhere:
        return _Next(state=MessageState.FAILED)
    attempts = list(message.attempts.all())
    for known in attempts:
        if known.pk == attempt.pk:
            known.outcome = result.outcome
    if result.outcome == Outcome.UNKNOWN and not _may_resend(kind, attempts):
        return _Next(state=MessageState.UNKNOWN)
    tried = [known.provider for known in attempts]
    names = list_provider_names(Channel(message.channel))
    name = choose_provider(names, attempts, kind.on_ambiguous)
    if name is None:
        return _Next(state=MessageState.FAILED)
    delay = 0.0
    if tried.count(name) >= tried.count(attempt.provider):  # every provider had its turn
        delay = result.retry_after_seconds or _backoff_seconds(tried.count(attempt.provider))
    if timezone.now() + timedelta(seconds=delay) >= message.expires_at:
        return _Next(state=too_late(attempts))
    return _Next(state=MessageState.QUEUED, delay_seconds=delay)


def _may_resend(kind: Kind, attempts: Sequence[DeliveryAttempt]) -> bool:
    unknown = [attempt for attempt in attempts if attempt.outcome == Outcome.UNKNOWN]
    return kind.on_ambiguous != OnAmbiguous.HOLD and len(unknown) < MOST_UNKNOWN_ATTEMPTS


def _can_be_asked(message: Message, attempt: DeliveryAttempt, result: SendOutcome) -> bool:
    if result.outcome not in {Outcome.ACCEPTED, Outcome.UNKNOWN}:
        return False
    try:
        provider = get_provider(Channel(message.channel), attempt.provider)
    except LookupError:
        return False  # not in the settings any more
    return provider.capabilities.can_query


def _backoff_seconds(rounds: int) -> float:
    """Full jitter: anything up to a ceiling that doubles, so that failures spread out."""
    ceiling = min(BACKOFF_BASE_SECONDS * 2 ** min(rounds - 1, 20), BACKOFF_CAP_SECONDS)
    return _random.uniform(0, ceiling)
