"""The in-app channel: a message is delivered by becoming a row of the user's inbox."""

from __future__ import annotations

import logging

from django.db import transaction

from ntc_notify import signals
from ntc_notify.conf import Kind
from ntc_notify.models import InboxItem, Message
from ntc_notify.registry import INBOX
from ntc_notify.services.composing import render_message
from ntc_notify.services.settling import log_fields, move_message
from ntc_notify.services.suppressing import find_refusals
from ntc_notify.types import MessageState

__all__ = ["put_into_inbox"]

log = logging.getLogger("ntc_notify")

LONGEST_TITLE = 200


def put_into_inbox(message: Message, kind: Kind) -> None:
    """Render it and write the item, both or neither: exactly once.

    Raises:
        ContentGone, RenderingFailed: see `render_message()`.
    """
    rendered = render_message(message, kind)
    with transaction.atomic():
        user_id = message.notification.user_id
        refusal: str | None = "The user is gone."
        if user_id is not None:
            refusal = find_refusals([message], kind).get(message.pk)
        state = MessageState.DELIVERED if refusal is None else MessageState.SUPPRESSED
        if not move_message(message, state, refusal or "", was=MessageState.QUEUED):
            return
        if user_id is not None and refusal is None:
            Message.objects.filter(pk=message.pk).update(provider=INBOX)
            message.provider = INBOX
            item = InboxItem.objects.create(
                user_id=user_id,
                message=message,
                kind=kind.name,
                title=rendered.subject[:LONGEST_TITLE],
                body=rendered.text,
            )
            signals.inbox_item_created.send(sender=InboxItem, item=item)
    log.info("message.tried", extra=log_fields(message) | {"state": str(state)})
