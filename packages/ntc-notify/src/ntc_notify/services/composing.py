"""From a message and its facts to what a provider is given."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.utils.module_loading import import_string

from ntc_notify.conf import STORED_EMAIL, UNSUBSCRIBE_URL, Kind, notify_settings
from ntc_notify.errors import ContentGone, RenderingFailed
from ntc_notify.models import DeliveryAttempt, Message, StoredEmail, make_provider_uid
from ntc_notify.rendering import Rendered, render, resolve_secrets
from ntc_notify.segments import measure_sms
from ntc_notify.types import (
    Attachment,
    Channel,
    Outcome,
    OutgoingEmail,
    OutgoingMessage,
    OutgoingSms,
)
from ntc_notify.unsubscribe import make_unsubscribe_url, unsubscribe_headers

__all__ = ["Price", "TooLong", "compose", "estimate_cost", "prepare_attempt", "render_message"]


class TooLong(RenderingFailed):
    """The SMS would take more segments than the settings allow."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a message is expected to cost."""

    amount: Decimal
    currency: str


def render_message(message: Message, kind: Kind) -> Rendered:
    """Render the message in its language.

    Raises:
        ContentGone: there is nothing to say any more.
        RenderingFailed: a template is missing or yields nothing.
    """
    context = message.notification.context
    variables = context | resolve_secrets(kind=kind, context=context)
    if kind.marketing:
        variables |= {UNSUBSCRIBE_URL: make_unsubscribe_url(message, kind)}
    return render(
        kind=kind,
        channel=Channel(message.channel),
        language=message.notification.language,
        variables=variables,
    )


def prepare_attempt(
    message: Message, provider_name: str, attempts: Sequence[DeliveryAttempt]
) -> DeliveryAttempt:
    """Return the unsaved attempt; the same road after an unknown outcome bears the same id."""
    attempt = DeliveryAttempt(message=message, provider=provider_name)
    last = attempts[-1] if attempts else None
    if last and last.outcome == Outcome.UNKNOWN and last.provider == provider_name:
        attempt.provider_uid = last.provider_uid
    else:
        attempt.provider_uid = make_provider_uid(attempt.uid)
    return attempt


def compose(message: Message, kind: Kind, attempt: DeliveryAttempt) -> OutgoingMessage:
    """Return what the provider is given.

    Raises:
        ContentGone, RenderingFailed: see `render_message()`.
        TooLong: an SMS of more segments than allowed.
    """
    if kind.name == STORED_EMAIL:
        return _compose_stored(message, attempt)
    rendered = render_message(message, kind)
    if message.channel == Channel.SMS:
        _require_short(rendered.text)
        return OutgoingSms(
            provider_uid=attempt.provider_uid,
            to=message.address,
            text=rendered.text,
            first_sent_at=_find_first_call(attempt),
        )
    return OutgoingEmail(
        provider_uid=attempt.provider_uid,
        to=message.address,
        sender=settings.DEFAULT_FROM_EMAIL,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        reply_to=(kind.reply_to,) if kind.reply_to else (),
        headers=unsubscribe_headers(message, kind) if kind.marketing else {},
        attachments=_attachments(kind, message.notification.context),
    )


def estimate_cost(provider_name: str, segments: int) -> Price | None:
    """Return segments times the price of the settings, or None where there is none."""
    price = notify_settings.SMS_PRICES.get(provider_name)
    if price is None:
        return None
    amount, currency = price
    return Price(amount=Decimal(amount) * segments, currency=currency)


def _find_first_call(attempt: DeliveryAttempt) -> datetime | None:
    """Return when the id of this attempt was used first, or None: it is new."""
    if attempt.provider_uid == make_provider_uid(attempt.uid):
        return None
    same = DeliveryAttempt.objects.filter(provider_uid=attempt.provider_uid).order_by("id")
    return same.values_list("created_at", flat=True).first()


def _require_short(text: str) -> None:
    segments, most = measure_sms(text).segments, notify_settings.NOTIFY_MAX_SMS_SEGMENTS
    if segments > most:
        raise TooLong(
            f"It would take {segments} segments; NTC_NOTIFY_MAX_SMS_SEGMENTS allows {most}."
        )


def _attachments(kind: Kind, context: dict[str, Any]) -> tuple[Attachment, ...]:
    if kind.attachments is None:
        return ()
    return tuple(import_string(kind.attachments)(dict(context)))


def _compose_stored(message: Message, attempt: DeliveryAttempt) -> OutgoingEmail:
    try:
        stored: StoredEmail = message.notification.stored_email
    except ObjectDoesNotExist as error:
        raise ContentGone("The stored email is gone.") from error
    return OutgoingEmail(
        provider_uid=attempt.provider_uid,
        to=message.address,
        sender=stored.sender,
        subject=stored.subject,
        text=stored.text,
        html=stored.html or None,
        reply_to=tuple(stored.reply_to),
        headers=stored.headers,
        attachments=tuple(
            Attachment(
                filename=kept["filename"],
                content_type=kept["content_type"],
                content=base64.b64decode(kept["content"]),
            )
            for kept in stored.attachments
        ),
    )
