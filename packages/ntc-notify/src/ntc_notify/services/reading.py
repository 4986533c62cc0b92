"""What a user has read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from ntc_notify.models import InboxItem

__all__ = ["mark_all_read", "mark_read"]


def mark_read(*, user: Any, uid: UUID) -> InboxItem | None:
    """Mark an item of the user as read, the first time; None: it is not theirs."""
    own = InboxItem.objects.filter(user_id=user.pk, uid=uid)
    own.filter(read_at=None).update(read_at=Now(), updated_at=Now())
    return own.first()


def mark_all_read(*, user: Any) -> int:
    """Mark everything in the user's inbox as read; return how many items were not."""
    unread = InboxItem.objects.filter(user_id=user.pk, read_at=None)
    return unread.update(read_at=Now(), updated_at=Now())
