"""Read messages. Nothing here changes a row."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import QuerySet

from ntc_notify.models import Message

__all__ = ["list_messages"]


def list_messages(*, kinds: Collection[str], dedupe_keys: Collection[str]) -> QuerySet[Message]:
    """Return the messages of those news, oldest first, with their notifications.

    Args:
        kinds: names from `NTC_NOTIFY_KINDS`; both together are what `send()` takes as one.
        dedupe_keys: as they were given to `send()`.
    """
    news = {"notification__kind__in": kinds, "notification__dedupe_key__in": dedupe_keys}
    return Message.objects.filter(**news).select_related("notification").order_by("id")
