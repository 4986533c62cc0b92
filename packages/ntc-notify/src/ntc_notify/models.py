"""Who was to be told what, by which road, and what came of every try.

No body is ever stored. A message is rendered in the moment it leaves, from the facts in
its notification; so a code never lies in a row, a mended template mends what still waits,
and there is nothing to purge. Who wants to know what was said renders it again.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID, uuid5

from django.conf import settings
from django.db import models
from ntc_core.models import BaseModel

from ntc_notify.types import Channel, MessageState, Outcome

__all__ = ["DeliveryAttempt", "Message", "Notification", "make_provider_uid"]

_PROVIDER_UID_NAMESPACE = UUID("6a8e5c1e-7f0a-5b0e-9d6e-2f6f0b1c4a55")


def make_provider_uid(attempt_uid: UUID) -> UUID:
    """Return our id of one call as the provider sees it; it does not reveal our own `uid`."""
    return uuid5(_PROVIDER_UID_NAMESPACE, str(attempt_uid))


class Notification(BaseModel):
    """Something a person is to be told, once."""

    kind = models.CharField(max_length=64)
    dedupe_key = models.CharField(max_length=200, help_text="The caller's name for this news.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    language = models.CharField(max_length=8)
    context = models.JSONField(default=dict, blank=True, help_text="Facts and ids, no secrets.")
    fingerprint = models.CharField(
        max_length=64, help_text="Tells whether a repeated key means the same."
    )
    send_after = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["kind", "dedupe_key"], name="ntc_notify_once_per_kind_and_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.dedupe_key}"


class Message(BaseModel):
    """One notification on its way to one address on one channel.

    `state` changes only by conditional UPDATEs in `ntc_notify.services`.
    """

    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="messages"
    )
    channel = models.CharField(max_length=8, choices=[(name.value, name.value) for name in Channel])
    address = models.CharField(max_length=254, help_text="E.164 phone or email address.")
    state = models.CharField(
        max_length=16,
        choices=[(state.value, state.value.replace("_", " ")) for state in MessageState],
        default=MessageState.QUEUED.value,
    )
    provider = models.CharField(max_length=64, blank=True, help_text="The one tried last.")
    error = models.CharField(max_length=300, blank=True, help_text="Why it is not on its way.")
    segments = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="What an SMS is charged as."
    )
    expires_at = models.DateTimeField(help_text="Not sent after this.")
    claimed_until = models.DateTimeField(
        null=True, blank=True, help_text="Sending: after this its worker is dead."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["notification", "channel", "address"],
                name="ntc_notify_once_per_address",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=[state.value for state in MessageState]),
                name="ntc_notify_message_state",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["expires_at"],
                condition=models.Q(state="queued"),
                name="ntc_notify_queued",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.masked_address}"

    @property
    def masked_address(self) -> str:
        """The address as logs and screens may show it."""
        return Channel(self.channel).mask(self.address)


class DeliveryAttempt(BaseModel):
    """One call to one provider. It is committed before the call is made."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attempts")
    provider = models.CharField(max_length=64)
    provider_uid = models.UUIDField(
        db_index=True, help_text="Our id at the provider; the same again after an unknown outcome."
    )
    provider_ref = models.CharField(max_length=255, blank=True, help_text="The provider's own id.")
    outcome = models.CharField(
        max_length=16,
        choices=[(outcome.value, outcome.value) for outcome in Outcome],
        default=Outcome.OPEN.value,
    )
    error = models.CharField(max_length=300, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            # Two calls for one message at the same time cannot be.
            models.UniqueConstraint(
                fields=["message"],
                condition=models.Q(outcome="open"),
                name="ntc_notify_one_open_attempt",
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__in=[outcome.value for outcome in Outcome]),
                name="ntc_notify_attempt_outcome",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["provider", "provider_ref"], name="ntc_notify_provider_ref"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.provider_uid}"
