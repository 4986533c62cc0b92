"""Who is not written to any more, and what a user wants."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from ntc_notify.conf import Kind, get_kind
from ntc_notify.errors import InvalidRecipient
from ntc_notify.models import Message, Preference, Suppression, hash_address, list_hashes
from ntc_notify.recipients import read_addresses
from ntc_notify.types import Channel, Choice, Recipient, SuppressionReason
from ntc_notify.unsubscribe import Unsubscription

__all__ = [
    "find_refusals",
    "lift_suppression",
    "set_preference",
    "set_preferences",
    "suppress_address",
    "unsubscribe",
]

log = logging.getLogger("ntc_notify")

#: What stops every kind, and what a person may take back by turning the kind on again.
_OWN_WISH = SuppressionReason.UNSUBSCRIBED


def find_refusals(messages: Iterable[Message], kind: Kind) -> dict[int, str]:
    """Return message id -> why it must not be sent, for those of these that must not.

    All are of one kind; their notifications are loaded. Two queries, however many they are.
    """
    messages = list(messages)
    hashes = {
        message.pk: list_hashes(message.channel, message.address)
        for message in messages
        if message.channel != Channel.INAPP
    }
    # The channel is part of what is digested.
    suppressed: dict[str, str] = {}
    if hashes:
        found = Suppression.objects.filter(
            address_hash__in={digest for digests in hashes.values() for digest in digests},
            kind__in=["", kind.name],
            lifted_at=None,
        )
        suppressed = {row.address_hash: row.reason for row in found}
    unwanted = _unwanted(messages, kind)
    refusals = {}
    for message in messages:
        reasons = [suppressed[one] for one in hashes.get(message.pk, ()) if one in suppressed]
        if reasons:
            refusals[message.pk] = f"The address is suppressed: {reasons[0]}."
        elif (message.notification.user_id, message.channel) in unwanted:
            refusals[message.pk] = "The person does not want it."
    return refusals


def suppress_address(
    *,
    channel: Channel,
    address: str,
    reason: SuppressionReason,
    source: str,
    kind: str = "",
    detail: str = "",
    actor: Any = None,
) -> Suppression:
    """Write nothing to this address any more; the same again changes nothing.

    Args:
        address: as a `Recipient` has it, so a phone number with its plus.
        source: a provider's name, "link", "inbox" or "staff".
        kind: nothing of this kind only.

    Raises:
        InvalidRecipient: no message goes to an address of that shape, so this would end nothing.
    """
    address = _require_address(channel, address.strip())
    return _suppress(
        channel=channel,
        address_hash=hash_address(channel, address),
        masked_address=channel.mask(address),
        reason=reason,
        source=source,
        kind=kind,
        detail=detail,
        actor=actor,
    )


def unsubscribe(wish: Unsubscription) -> Suppression:
    """Do what a one-click link asks for."""
    return _suppress(
        channel=wish.channel,
        address_hash=wish.address_hash,
        masked_address=wish.masked_address,
        reason=SuppressionReason.UNSUBSCRIBED,
        source="link",
        kind=wish.kind,
    )


def lift_suppression(suppression: Suppression, *, by: Any) -> bool:
    """Let the address be written to again; tell whether it was suppressed."""
    lifted = Suppression.objects.filter(pk=suppression.pk, lifted_at=None).update(
        lifted_at=Now(), lifted_by=by, updated_at=Now()
    )
    if lifted:
        log.info(
            "address.allowed",
            extra={"suppression_uid": str(suppression.uid), "by": getattr(by, "pk", None)},
        )
    return bool(lifted)


def set_preference(*, user: Any, kind: str, channel: Channel, is_on: bool) -> Preference:
    """Write down what the user wants; "on" takes back what a link of that kind has ended.

    Raises:
        UnknownKind: there is no such kind, or it has no such channel, or nobody may choose.
    """
    declared = get_kind(kind)
    declared.require_choice(channel)
    with transaction.atomic():
        preference, _ = Preference.objects.update_or_create(
            user=user, kind=kind, channel=channel.value, defaults={"is_on": is_on}
        )
        if is_on and channel is not Channel.INAPP:
            _take_back(user, kind=kind, channel=channel)
    return preference


def set_preferences(*, user: Any, wanted: Iterable[Mapping[str, Any]]) -> None:
    """Write down several, all or none: `kind`, `channel` and `is_on` of each.

    Raises:
        UnknownKind: as `set_preference()`; nothing is written.
    """
    # In one order, so that two calls at once wait for each other instead of both for ever.
    in_order = sorted(wanted, key=lambda each: (each["kind"], each["channel"]))
    with transaction.atomic():
        for each in in_order:
            set_preference(
                user=user,
                kind=each["kind"],
                channel=Channel(each["channel"]),
                is_on=each["is_on"],
            )


def _require_address(channel: Channel, address: str) -> str:
    is_email = channel is Channel.EMAIL
    person = Recipient(email=address) if is_email else Recipient(phone_e164=address)
    found = person.find_address(channel)
    if found is None:
        raise InvalidRecipient(f"There is no address for {channel}.", attr="address")
    return found


def _take_back(user: Any, *, kind: str, channel: Channel) -> None:
    address = read_addresses(user).find_address(channel)
    if address is None:
        return
    Suppression.objects.filter(
        channel=channel.value,
        address_hash__in=list_hashes(channel, address),
        kind=kind,
        reason=_OWN_WISH.value,
        lifted_at=None,
    ).update(lifted_at=timezone.now(), lifted_by=user, updated_at=timezone.now())


def _suppress(
    *,
    channel: Channel,
    address_hash: str,
    masked_address: str,
    reason: SuppressionReason,
    source: str,
    kind: str = "",
    detail: str = "",
    actor: Any = None,
) -> Suppression:
    row = Suppression(
        channel=channel.value,
        address_hash=address_hash,
        masked_address=masked_address[:254],
        kind=kind,
        reason=reason.value,
        source=source[:64],
        detail=detail[:300],
        actor=actor,
    )
    # ON CONFLICT DO NOTHING: the first reason stays.
    Suppression.objects.bulk_create([row], ignore_conflicts=True)
    stored = Suppression.objects.filter(
        channel=row.channel, address_hash=address_hash, kind=kind, lifted_at=None
    ).first()
    if stored is None:  # lifted at this very moment: asked for again, it stands
        row.save()
        stored = row
    if stored.uid == row.uid:
        log.warning(
            "address.suppressed",
            extra={
                "channel": channel.value,
                "to": row.masked_address,
                "reason": reason.value,
                "source": source,
                "kind": kind,
            },
        )
    return stored


def _unwanted(messages: list[Message], kind: Kind) -> set[tuple[int | None, str]]:
    """Return (user id, channel) of those who do not want this kind there."""
    if kind.choice is Choice.FORCED:
        return set()
    users = {message.notification.user_id for message in messages} - {None}
    chosen: Mapping[tuple[int | None, str], bool] = {
        (row.user_id, row.channel): row.is_on
        for row in Preference.objects.filter(kind=kind.name, user__in=users)
    }
    wanted_unasked = kind.choice is Choice.ON
    return {
        (message.notification.user_id, message.channel)
        for message in messages
        if not chosen.get((message.notification.user_id, message.channel), wanted_unasked)
    }
