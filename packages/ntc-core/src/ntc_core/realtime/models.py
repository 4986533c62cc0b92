"""Events and their numbers, tickets, open sockets."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from ntc_core.auth.models import AuthSession
from ntc_core.models import TimeStampedModel
from ntc_core.realtime.streams import LONGEST_NAME

__all__ = ["RealtimeConnection", "RealtimeEvent", "RealtimeStream", "RealtimeTicket"]


class RealtimeStream(TimeStampedModel):
    """How many events a stream has had; locked for the moment in which some get their number."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=LONGEST_NAME, unique=True)
    last_seq = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class RealtimeEvent(models.Model):
    """What happened. It gets its `seq` after the commit, without gaps and in the order of commits.

    Numbers given within the transaction would either have gaps that a client cannot tell from
    events still to come, or keep the stream locked for as long as the caller's work takes.
    """

    id = models.BigAutoField(primary_key=True)
    stream = models.CharField(max_length=LONGEST_NAME)
    seq = models.BigIntegerField(null=True)
    event = models.CharField(max_length=LONGEST_NAME)
    data = models.JSONField(encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["stream", "seq"], name="ntc_realtime_event_seq"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["stream", "id"],
                condition=models.Q(seq__isnull=True),
                name="ntc_realtime_event_unnumbered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.seq} {self.event}"


class RealtimeTicket(models.Model):
    """Opens one socket, once. Only its SHA-256 is stored."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(AuthSession, on_delete=models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"ticket {self.pk}"


class RealtimeConnection(models.Model):
    """An open socket. One whose process died is not seen again, and soon does not count."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session = models.ForeignKey(AuthSession, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=200)
    opened_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "seen_at"], name="ntc_realtime_connection_user"),
        ]

    def __str__(self) -> str:
        return f"socket {self.pk}"
