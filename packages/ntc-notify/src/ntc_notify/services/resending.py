"""Try a message again because a person says so."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.outbox import enqueue

from ntc_notify.conf import get_kind
from ntc_notify.models import Message
from ntc_notify.services.sending import DELIVER_JOB
from ntc_notify.services.settling import log_fields
from ntc_notify.types import MessageState

__all__ = ["RESENDABLE", "resend_message"]

log = logging.getLogger("ntc_notify")

#: What has ended without arriving, as far as we know.
RESENDABLE = (
    MessageState.UNKNOWN,
    MessageState.FAILED,
    MessageState.EXPIRED,
    MessageState.SOFT_BOUNCED,
)


def resend_message(message: Message, *, by: Any) -> bool:
    """Queue it once more, with all its time; tell whether it could be.

    After an unknown outcome the person has decided that a second copy does less harm than
    none; the same provider gets it under the same id. Suppressions and preferences hold.
    """
    kind = get_kind(message.notification.kind)
    expires_at = timezone.now() + timedelta(seconds=kind.expires_seconds)
    with transaction.atomic():
        queued = Message.objects.filter(pk=message.pk, state__in=RESENDABLE).update(
            state=MessageState.QUEUED, error="", expires_at=expires_at, updated_at=Now()
        )
        if not queued:
            return False
        # No dedupe key: the UPDATE lets one through, and a job that is done must not be met again.
        enqueue(DELIVER_JOB, message.pk)
    log.info("message.resent", extra=log_fields(message) | {"by": getattr(by, "pk", None)})
    return True
