"""Questions about notifications. Read only."""

from __future__ import annotations

from collections import Counter

from django.db.models import Count, QuerySet

from ntc_notify.models import InboxItem, Message

__all__ = ["count_batch", "count_unread", "list_inbox"]


def count_batch(batch: str) -> Counter[str]:
    """Return state -> how many messages of the bulk are in it. One query."""
    rows = Message.objects.filter(notification__batch=batch).order_by().values("state")
    return Counter(dict(rows.annotate(count=Count("pk")).values_list("state", "count")))


def list_inbox(*, user_id: int) -> QuerySet[InboxItem]:
    """Return the items of a user, newest first."""
    return InboxItem.objects.filter(user_id=user_id).order_by("-id")


def count_unread(*, user_id: int) -> int:
    """Return how many items of a user are unread."""
    return InboxItem.objects.filter(user_id=user_id, read_at=None).count()
