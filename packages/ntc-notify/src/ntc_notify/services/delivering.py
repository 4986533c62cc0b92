"""Bring one message to a provider, and write down what came of it.

    queued ──claim, committed──▶ sending ──call, no transaction──▶ the outcome, committed

The claim and the attempt's id are in the database before the call, so whoever finds a
message in "sending" whose worker is dead knows that it may have left. Every step is a
conditional UPDATE: two workers cannot send one message, and late news changes nothing.
One run makes one call.
"""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.masking import mask_text
from ntc_core.outbox import RetryLater, enqueue
from ntc_core.outbox.clock import seconds_from_now

from ntc_notify import signals
from ntc_notify.conf import Kind, get_kind
from ntc_notify.errors import ContentGone
from ntc_notify.models import DeliveryAttempt, Message, make_provider_uid
from ntc_notify.providers.base import (
    LONGEST_CALL_SECONDS,
    EmailProvider,
    Provider,
    SmsProvider,
)
from ntc_notify.registry import get_provider, list_provider_names
from ntc_notify.rendering import Rendered, render, resolve_secrets
from ntc_notify.segments import measure_sms
from ntc_notify.types import (
    Channel,
    MessageState,
    OnAmbiguous,
    Outcome,
    OutgoingEmail,
    OutgoingMessage,
    OutgoingSms,
    SendOutcome,
    may_follow,
)

__all__ = ["announce", "deliver", "expire_overdue"]

log = logging.getLogger(__name__)

ANNOUNCE_JOB = "ntc_notify.announce"
#: A claim outlives the longest call, and ends before the job's own lease does.
CLAIM_SECONDS = LONGEST_CALL_SECONDS + 5
LOOK_AGAIN_SECONDS = 10.0
BACKOFF_BASE_SECONDS = 2.0
BACKOFF_CAP_SECONDS = 15 * 60.0
#: "resend" allows one second copy, not a stream of them to a server that never answers.
MOST_UNKNOWN_ATTEMPTS = 2
LONGEST_ERROR = 300
EXPIRE_BATCH = 500

_ARRIVED = {
    Outcome.ACCEPTED: MessageState.ACCEPTED,
    Outcome.DELIVERED: MessageState.DELIVERED,
}
_ANNOUNCED = (MessageState.DELIVERED, MessageState.FAILED, MessageState.EXPIRED)
_TOO_LATE = "It could not be sent in time."
_random = random.SystemRandom()


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
        _take_over(message, kind)
    elif message.state == MessageState.QUEUED and message.expires_at <= timezone.now():
        _end(message, MessageState.EXPIRED, _TOO_LATE)
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
        _end(message, MessageState.EXPIRED, _TOO_LATE)
    return len(messages)


def _try_once(message: Message, kind: Kind) -> None:
    """Prepare everything that can go wrong on our side, then claim, call and settle."""
    channel = Channel(message.channel)
    attempts = list(message.attempts.all())
    provider_name = _choose_provider(list_provider_names(channel), attempts)
    if provider_name is None:
        _end(message, MessageState.FAILED, "No provider is left that would take it.")
        return
    provider = get_provider(channel, provider_name)
    try:
        rendered = _render(message, kind)
    except ContentGone:
        _end(message, MessageState.CANCELED, "Its content is gone.")
        return
    attempt = _prepare_attempt(message, provider_name, attempts)
    outgoing = _compose(message, attempt, rendered)
    if not _claim(message, attempt, outgoing):
        # Another worker has it, or it has expired this moment. This job may be the only
        # one that will look again.
        raise RetryLater("not ours to send", delay_seconds=LOOK_AGAIN_SECONDS)
    _settle(message, kind, attempt, _call(provider, outgoing, message))


def _take_over(message: Message, kind: Kind) -> None:
    """Settle a call whose worker died: it is unknown whether the message left."""
    alive = Message.objects.filter(
        pk=message.pk, state=MessageState.SENDING, claimed_until__gt=Now()
    )
    attempt = message.attempts.filter(outcome=Outcome.OPEN).first()
    if attempt is None or alive.exists():
        raise RetryLater("another worker is sending it", delay_seconds=LOOK_AGAIN_SECONDS)
    _settle(message, kind, attempt, SendOutcome.unknown("The worker died during the call."))


def _choose_provider(names: Sequence[str], attempts: Sequence[DeliveryAttempt]) -> str | None:
    """Return the provider for the next try: each once before any twice, in their order.

    After an unknown outcome it is the same one again, the only one that could recognise
    the second copy. One that refused is out.
    """
    if attempts and attempts[-1].outcome == Outcome.UNKNOWN and attempts[-1].provider in names:
        return attempts[-1].provider
    refused = {attempt.provider for attempt in attempts if attempt.outcome == Outcome.REFUSED}
    tried = [attempt.provider for attempt in attempts]
    return min((name for name in names if name not in refused), key=tried.count, default=None)


def _render(message: Message, kind: Kind) -> Rendered:
    context = message.notification.context
    return render(
        kind=kind,
        channel=Channel(message.channel),
        language=message.notification.language,
        variables=context | resolve_secrets(kind=kind, context=context),
    )


def _prepare_attempt(
    message: Message, provider_name: str, attempts: Sequence[DeliveryAttempt]
) -> DeliveryAttempt:
    """Return the unsaved attempt; after an unknown outcome it bears the same id again."""
    attempt = DeliveryAttempt(message=message, provider=provider_name)
    last = attempts[-1] if attempts else None
    if last and last.outcome == Outcome.UNKNOWN and last.provider == provider_name:
        attempt.provider_uid = last.provider_uid
    else:
        attempt.provider_uid = make_provider_uid(attempt.uid)
    return attempt


def _compose(message: Message, attempt: DeliveryAttempt, rendered: Rendered) -> OutgoingMessage:
    if message.channel == Channel.SMS:
        return OutgoingSms(
            provider_uid=attempt.provider_uid, to=message.address, text=rendered.text
        )
    return OutgoingEmail(
        provider_uid=attempt.provider_uid,
        to=message.address,
        sender=settings.DEFAULT_FROM_EMAIL,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )


def _claim(message: Message, attempt: DeliveryAttempt, outgoing: OutgoingMessage) -> bool:
    """Take the message and write the attempt down; False: it is not ours to send."""
    is_sms = isinstance(outgoing, OutgoingSms)
    segments = measure_sms(outgoing.text).segments if is_sms else None
    with transaction.atomic():
        claimed = Message.objects.filter(
            pk=message.pk, state=MessageState.QUEUED, expires_at__gt=Now()
        ).update(
            state=MessageState.SENDING,
            provider=attempt.provider,
            segments=segments,
            error="",
            claimed_until=seconds_from_now(CLAIM_SECONDS),
            updated_at=Now(),
        )
        if claimed:
            attempt.save()
    message.provider, message.segments = attempt.provider, segments
    return bool(claimed)


def _call(provider: Provider, outgoing: OutgoingMessage, message: Message) -> SendOutcome:
    """Make the one call. Whatever a provider raises, the message may have left."""
    try:
        if isinstance(outgoing, OutgoingSms):
            return cast("SmsProvider", provider).send(outgoing)
        return cast("EmailProvider", provider).send(outgoing)
    except Exception as error:  # noqa: BLE001 - a provider's bug must not strand the message
        # Not log.exception(): the text of a foreign error may repeat address or body.
        place = "".join(traceback.format_tb(error.__traceback__))
        name = type(error).__name__
        log.error("provider.broken", extra=_fields(message) | {"error": name, "traceback": place})  # noqa: TRY400
        return SendOutcome.unknown(f"The provider's code raised {name}.")


@dataclass(frozen=True, kw_only=True)
class _Next:
    """Where a message stands after a call, and when it is tried again if it is queued."""

    state: MessageState
    delay_seconds: float = 0.0


def _settle(message: Message, kind: Kind, attempt: DeliveryAttempt, result: SendOutcome) -> None:
    """Write down what came of a call, and what follows from it.

    Raises:
        RetryLater: the message is queued again.
    """
    following = _decide(message, kind, attempt, result)
    reason = _mask(result.reason, message)
    with transaction.atomic():
        calls = DeliveryAttempt.objects.filter(pk=attempt.pk)
        answer = {
            "outcome": result.outcome,
            "provider_ref": result.provider_ref[:255],
            "error": reason,
            "finished_at": Now(),
            "updated_at": Now(),
        }
        # Another worker may have taken us for dead and called the outcome unknown. Our
        # answer still is the truth about the call, and may still say that it arrived.
        in_time = calls.filter(outcome=Outcome.OPEN).update(**answer)
        if not in_time:
            calls.filter(outcome=Outcome.UNKNOWN).update(**answer)
        moved = bool(in_time or result.outcome in _ARRIVED) and _move(
            message, following.state, reason, was=MessageState.SENDING
        )
    fields = _fields(message) | {"outcome": str(result.outcome), "state": str(following.state)}
    log.log(
        logging.INFO if result.outcome in _ARRIVED else logging.WARNING,
        "message.tried",
        extra=fields | {"reason": reason},
    )
    if moved and following.state == MessageState.QUEUED:
        raise RetryLater(str(result.outcome), delay_seconds=following.delay_seconds)


def _decide(message: Message, kind: Kind, attempt: DeliveryAttempt, result: SendOutcome) -> _Next:
    if result.outcome in _ARRIVED:
        return _Next(state=_ARRIVED[result.outcome])
    if result.outcome == Outcome.REFUSED and not result.elsewhere:
        return _Next(state=MessageState.FAILED)
    attempts = list(message.attempts.all())
    for known in attempts:
        if known.pk == attempt.pk:
            known.outcome = result.outcome
    if result.outcome == Outcome.UNKNOWN and not _may_resend(kind, attempts):
        return _Next(state=MessageState.UNKNOWN)
    tried = [known.provider for known in attempts]
    name = _choose_provider(list_provider_names(Channel(message.channel)), attempts)
    if name is None:
        return _Next(state=MessageState.FAILED)
    delay = 0.0
    if tried.count(name) >= tried.count(attempt.provider):  # every provider had its turn
        delay = result.retry_after_seconds or _backoff_seconds(tried.count(attempt.provider))
    if timezone.now() + timedelta(seconds=delay) >= message.expires_at:
        return _Next(state=_too_late(attempts))
    return _Next(state=MessageState.QUEUED, delay_seconds=delay)


def _may_resend(kind: Kind, attempts: Sequence[DeliveryAttempt]) -> bool:
    unknown = [attempt for attempt in attempts if attempt.outcome == Outcome.UNKNOWN]
    return kind.on_ambiguous == OnAmbiguous.RESEND and len(unknown) < MOST_UNKNOWN_ATTEMPTS


def _too_late(attempts: Sequence[DeliveryAttempt]) -> MessageState:
    """Return "unknown" rather than "expired" if an earlier copy may have arrived."""
    perhaps = any(attempt.outcome == Outcome.UNKNOWN for attempt in attempts)
    return MessageState.UNKNOWN if perhaps else MessageState.EXPIRED


def _backoff_seconds(rounds: int) -> float:
    """Full jitter: anything up to a ceiling that doubles, so that failures spread out."""
    ceiling = min(BACKOFF_BASE_SECONDS * 2 ** min(rounds - 1, 20), BACKOFF_CAP_SECONDS)
    return _random.uniform(0, ceiling)


def _end(message: Message, state: MessageState, reason: str) -> None:
    """Close a message that is not, or not again, handed to a provider."""
    if state == MessageState.EXPIRED:
        state = _too_late(list(message.attempts.all()))
    with transaction.atomic():
        moved = _move(message, state, reason, was=MessageState.QUEUED)
    if moved:
        log.warning("message.ended", extra=_fields(message) | {"state": str(state)})


def _move(message: Message, state: MessageState, reason: str, *, was: MessageState) -> bool:
    """Change the state if it is still `was`; news of an arrival only has to be new."""
    expected = [was]
    if state in _ARRIVED.values():
        expected = [old for old in MessageState if may_follow(old, state)]
    moved = Message.objects.filter(pk=message.pk, state__in=expected).update(
        state=state, error=reason, claimed_until=None, updated_at=Now()
    )
    if moved and state in _ANNOUNCED:
        enqueue(ANNOUNCE_JOB, message.pk, str(state))
    return bool(moved)


def _mask(reason: str, message: Message) -> str:
    """Return the provider's words without the person; servers like to repeat the address."""
    masked = reason.replace(message.address, message.masked_address)
    return mask_text(masked, longest=LONGEST_ERROR)


def _fields(message: Message) -> dict[str, object]:
    return {
        "message_uid": str(message.uid),
        "kind": message.notification.kind,
        "channel": message.channel,
        "to": message.masked_address,
        "provider": message.provider,
        "segments": message.segments,
    }
