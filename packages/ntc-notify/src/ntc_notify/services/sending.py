"""Write down that somebody is to be told something, in the caller's transaction."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from ntc_core.outbox import enqueue

from ntc_notify.conf import Kind, get_kind, notify_settings
from ntc_notify.errors import (
    DedupeKeyReused,
    InvalidContext,
    NoReachableAddress,
    UnknownKind,
)
from ntc_notify.models import Message, Notification
from ntc_notify.recipients import read_person
from ntc_notify.registry import list_provider_names
from ntc_notify.types import Channel, Recipient

__all__ = ["LONGEST_DEDUPE_KEY", "Request", "prepare_request", "queue_message", "send"]

log = logging.getLogger(__name__)

DELIVER_JOB = "ntc_notify.deliver_message"
LONGEST_DEDUPE_KEY = 200
#: What `send()` writes besides the kind and the key.
_STORED = ("user", "language", "context", "fingerprint", "send_after")
_NUL = "\\u0000"  # as JSON writes it; PostgreSQL refuses it
_LANGUAGE = re.compile(r"[a-z]{2,3}", re.ASCII)


def send(
    *,
    kind: str,
    to: Any,
    context: Mapping[str, Any],
    dedupe_key: str,
    channels: Iterable[str] | None = None,
    language: str | None = None,
    send_after: datetime | None = None,
) -> Notification:
    """Queue one message per channel on which the person is reached.

    Nothing leaves before the caller's transaction commits, and nothing at all if it does
    not. The same kind and key again return the first notification and send nothing.

    Args:
        kind: a name from `NTC_NOTIFY_KINDS`.
        to: a user (`email`, `phone` or `phone_e164`, `language`), or a `Recipient`.
        context: exactly the kind's variables, JSON values. They are stored: no secrets.
        dedupe_key: names this news, like `"receipt:payment:<uid>"`.
        channels: some of the kind's channels; None: all of them.
        language: None: the recipient's own, else the first of `NTC_NOTIFY_LANGUAGES`.
        send_after: not before this moment (aware).

    Raises:
        UnknownKind, InvalidContext, DedupeKeyReused, ValueError: a mistake of the caller.
        InvalidRecipient, NoReachableAddress: the person cannot be reached.
        No row is written in any of these cases.
    """
    request = prepare_request(
        kind=get_kind(kind),
        to=to,
        context=context,
        dedupe_key=dedupe_key,
        channels=channels,
        language=language,
        send_after=send_after,
    )
    known = Notification.objects.filter(kind=kind, dedupe_key=dedupe_key).first()
    if known is not None:
        return _require_same(known, request.fingerprint)
    addresses = request.require_addresses()
    with transaction.atomic():
        row = request.make_notification()
        notification, created = Notification.objects.get_or_create(
            kind=kind,
            dedupe_key=dedupe_key,
            defaults={name: getattr(row, name) for name in _STORED},
        )
        if not created:
            return _require_same(notification, request.fingerprint)
        for channel, address in addresses.items():
            _queue(request.make_message(notification, channel, address))
    return notification


@dataclass(frozen=True, kw_only=True)
class Request:
    """One notification that has been asked for, every part of it looked at. No row yet."""

    kind: Kind
    recipient: Recipient
    channels: tuple[Channel, ...]
    facts: dict[str, Any]
    dedupe_key: str
    language: str
    send_after: datetime | None
    fingerprint: str
    expires_at: datetime

    def require_addresses(self) -> dict[Channel, str]:
        """Return where the person is reached on the channels that can be used.

        Raises:
            NoReachableAddress: nowhere.
        """
        usable = [
            channel
            for channel in self.channels
            if channel is Channel.INAPP or list_provider_names(channel)
        ]
        if not usable:
            raise NoReachableAddress(
                f"No provider is configured for {' or '.join(self.channels)}, so "
                f"{self.kind.name!r} cannot be sent. See NTC_SMS_PROVIDERS and "
                "NTC_EMAIL_PROVIDERS."
            )
        found = {channel: self.recipient.find_address(channel) for channel in usable}
        addresses = {channel: address for channel, address in found.items() if address}
        if not addresses:
            raise NoReachableAddress(f"The person has no address for {' or '.join(usable)}.")
        return addresses

    def make_notification(self, *, batch: str = "") -> Notification:
        """Return the unsaved row."""
        return Notification(
            kind=self.kind.name,
            dedupe_key=self.dedupe_key,
            user=self.recipient.user,
            language=self.language,
            context=self.facts,
            fingerprint=self.fingerprint,
            send_after=self.send_after,
            batch=batch,
        )

    def make_message(self, notification: Notification, channel: Channel, address: str) -> Message:
        """Return the unsaved row of one channel."""
        return Message(
            notification=notification, channel=channel, address=address, expires_at=self.expires_at
        )


def prepare_request(
    *,
    kind: Kind,
    to: Any,
    context: Mapping[str, Any],
    dedupe_key: str,
    channels: Iterable[str] | None = None,
    language: str | None = None,
    send_after: datetime | None = None,
) -> Request:
    """Look at everything that was asked for; see `send()`. Reads and writes no row.

    Raises:
        UnknownKind, InvalidContext, ValueError, InvalidRecipient: as `send()` does.
    """
    chosen = _choose_channels(kind, channels)
    facts = _require_facts(kind, context)
    if not 0 < len(dedupe_key) <= LONGEST_DEDUPE_KEY or "\x00" in dedupe_key:
        raise ValueError(
            f"A dedupe_key has 1 to {LONGEST_DEDUPE_KEY} characters, none of them NUL."
        )
    if send_after is not None and timezone.is_naive(send_after):
        raise ValueError("send_after must be an aware datetime.")
    if language is not None and _main_language(language) is None:
        raise ValueError(f"{language[:16]!r} is not a language code such as 'sw' or 'en'.")
    recipient = to if isinstance(to, Recipient) else read_person(to)
    return Request(
        kind=kind,
        recipient=recipient,
        channels=chosen,
        facts=facts,
        dedupe_key=dedupe_key,
        language=_choose_language(language, recipient),
        send_after=send_after,
        fingerprint=_fingerprint(
            who=_identify(to, recipient),
            facts=facts,
            channels=None if channels is None else sorted(chosen),
            language=language,
        ),
        expires_at=(send_after or timezone.now()) + timedelta(seconds=kind.expires_seconds),
    )


def queue_message(message: Message) -> None:
    """Have a stored message delivered, once the running transaction commits."""
    run_at = message.notification.send_after
    enqueue(DELIVER_JOB, message.pk, dedupe_key=str(message.pk), run_at=run_at)


def _queue(message: Message) -> None:
    message.save()
    queue_message(message)
    log.info(
        "message.queued",
        extra={
            "message_uid": str(message.uid),
            "kind": message.notification.kind,
            "channel": message.channel,
            "to": message.masked_address,
        },
    )


def _choose_channels(kind: Kind, channels: Iterable[str] | None) -> tuple[Channel, ...]:
    if channels is None:
        return kind.channels
    chosen = tuple(dict.fromkeys(channels))
    unknown = [name for name in chosen if name not in kind.channels]
    if unknown or not chosen:
        raise UnknownKind(
            f"The kind {kind.name!r} has the channels {', '.join(kind.channels)}, "
            f"not {', '.join(unknown) or 'none'}."
        )
    return tuple(Channel(name) for name in chosen)


def _require_facts(kind: Kind, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context as JSON will give it back; the errors never repeat a value."""
    problems = []
    missing, surplus = kind.variables - context.keys(), context.keys() - kind.variables
    if missing:
        problems.append(f"missing: {', '.join(sorted(missing))}")
    secret = surplus & kind.secret_variables
    if secret:
        problems.append(f"secret, so never to be stored: {', '.join(sorted(secret))}")
    if surplus - secret:
        problems.append(f"not declared: {', '.join(sorted(map(str, surplus - secret)))}")
    if problems:
        raise InvalidContext(f"Context of {kind.name!r}: {'; '.join(problems)}.")
    try:
        text = json.dumps(dict(context), allow_nan=False, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        raise InvalidContext(
            f"Context of {kind.name!r}: a text contains half a character (a lone surrogate)."
        ) from None
    except (TypeError, ValueError) as error:
        raise InvalidContext(
            f"Context of {kind.name!r}: values must be JSON (text, numbers, lists): {error}"
        ) from None
    if _NUL in text:
        raise InvalidContext(f"Context of {kind.name!r}: a text contains a NUL character.")
    facts: dict[str, Any] = json.loads(text)
    return facts


def _identify(to: Any, recipient: Recipient) -> list[Any]:
    """Return what makes it the same person again.

    A user who has changed their phone meanwhile is still the same; addresses that the
    caller chose are part of what was asked for.
    """
    user_pk = None if recipient.user is None else str(recipient.user.pk)
    if user_pk is not None and not isinstance(to, Recipient):
        return [user_pk]
    return [user_pk, recipient.email, recipient.phone_e164]


def _fingerprint(**content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _require_same(known: Notification, fingerprint: str) -> Notification:
    if known.fingerprint != fingerprint:
        raise DedupeKeyReused(
            f"{known.kind!r} was already sent under this dedupe_key, to somebody else or with "
            "other facts. A key names one piece of news: put what differs into it."
        )
    return known


def _choose_language(language: str | None, recipient: Recipient) -> str:
    own = recipient.language or getattr(recipient.user, "language", None)
    return _main_language(language or own or "") or notify_settings.NOTIFY_LANGUAGES[0]


def _main_language(code: str) -> str | None:
    """Return "en" for "en-GB", None for what is no language code."""
    main = re.split("[-_]", code.strip().lower())[0]
    return main if _LANGUAGE.fullmatch(main) else None
