"""Forget what nobody needs any more: facts, read items, emails that never left."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from ntc_notify.conf import notify_settings
from ntc_notify.models import InboxItem, Message, Notification, StoredEmail
from ntc_notify.types import MessageState

__all__ = ["purge"]

BATCH = 1000
_OPEN = [MessageState.QUEUED, MessageState.SENDING]


def purge() -> int:
    """Do one batch of each kind; return how many rows were changed or deleted."""
    return _empty_contexts() + _delete_items() + _delete_stored_emails()


def _empty_contexts() -> int:
    """Facts are about people; the row itself is kept, for its dedupe key and its history."""
    long_ago = Now() - timedelta(days=notify_settings.NOTIFY_CONTEXT_KEEP_DAYS)
    old = (
        Notification.objects.filter(created_at__lt=long_ago)
        .exclude(context={})
        .exclude(messages__in=Message.objects.filter(state__in=_OPEN))
    )
    ids = list(old.order_by("id").values_list("pk", flat=True)[:BATCH])
    return Notification.objects.filter(pk__in=ids).update(context={}, updated_at=Now())


def _delete_items() -> int:
    days = notify_settings.NOTIFY_INBOX_KEEP_DAYS
    old = Q(read_at__lt=Now() - timedelta(days=days)) | Q(
        created_at__lt=Now() - timedelta(days=2 * days)
    )
    ids = list(InboxItem.objects.filter(old).order_by("id").values_list("pk", flat=True)[:BATCH])
    return InboxItem.objects.filter(pk__in=ids).delete()[0]


def _delete_stored_emails() -> int:
    """Those of messages that are held, or that ended before they left, after the same time."""
    long_ago = Now() - timedelta(days=notify_settings.NOTIFY_CONTEXT_KEEP_DAYS)
    old = StoredEmail.objects.filter(created_at__lt=long_ago).exclude(
        notification__messages__in=Message.objects.filter(state__in=_OPEN)
    )
    ids = list(old.order_by("id").values_list("pk", flat=True)[:BATCH])
    return StoredEmail.objects.filter(pk__in=ids).delete()[0]
