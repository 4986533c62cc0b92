"""Questions about notifications. Read only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from django.db.models import Count, QuerySet

from ntc_notify.conf import list_kinds
from ntc_notify.models import InboxItem, Message, Preference, Suppression, list_hashes
from ntc_notify.recipients import read_addresses
from ntc_notify.types import Channel, Choice, SuppressionReason

__all__ = ["count_batch", "count_unread", "list_inbox", "list_messages", "list_preferences"]


def count_batch(batch: str) -> Counter[str]:
    """Return state -> how many messages of the bulk are in it. One query."""
    rows = Message.objects.filter(notification__batch=batch).order_by().values("state")
    return Counter(dict(rows.annotate(count=Count("pk")).values_list("state", "count")))


def list_inbox(*, user: Any, only_unread: bool = False) -> QuerySet[InboxItem]:
    """Return the items of a user, newest first."""
    items = InboxItem.objects.filter(user_id=user.pk).order_by("-id")
    return items.filter(read_at=None) if only_unread else items


def list_messages(*, kinds: Collection[str], dedupe_keys: Collection[str]) -> QuerySet[Message]:
    """Return the messages of those news, oldest first, with their notifications.

    Args:
        kinds: names from `NTC_NOTIFY_KINDS`; both together are what `send()` takes as one.
        dedupe_keys: as they were given to `send()`.
    """
    news = {"notification__kind__in": kinds, "notification__dedupe_key__in": dedupe_keys}
    return Message.objects.filter(**news).select_related("notification").order_by("id")


def list_preferences(*, user: Any) -> list[dict[str, Any]]:
    """Return every kind on each of its channels, and whether the user gets it. Two queries.

    What a link in a message has ended is off, whatever was chosen before.
    """
    chosen = {
        (row.kind, row.channel): row.is_on for row in Preference.objects.filter(user_id=user.pk)
    }
    ended = _ended_by_link(user)
    rows = []
    for kind in list_kinds():
        for channel in kind.channels:
            own = (kind.name, channel.value)
            is_on = kind.choice is Choice.FORCED or (
                chosen.get(own, kind.choice is Choice.ON) and own not in ended
            )
            rows.append(
                {
                    "kind": kind.name,
                    "channel": channel.value,
                    "is_on": is_on,
                    "choice": kind.choice.value,
                }
            )
    return rows


def _ended_by_link(user: Any) -> set[tuple[str, str]]:
    """Return (kind, channel) of what the user's own addresses are unsubscribed from."""
    hashes = {
        digest
        for channel in (Channel.EMAIL, Channel.SMS)
        if (address := read_addresses(user).find_address(channel))
        for digest in list_hashes(channel, address)
    }
    if not hashes:
        return set()
    ended = Suppression.objects.filter(
        address_hash__in=hashes, reason=SuppressionReason.UNSUBSCRIBED, lifted_at=None
    )
    return set(ended.values_list("kind", "channel"))


def count_unread(*, user: Any) -> int:
    """Return how many items of a user are unread."""
    return InboxItem.objects.filter(user_id=user.pk, read_at=None).count()
