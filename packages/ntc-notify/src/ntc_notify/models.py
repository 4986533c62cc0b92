"""Who was to be told what, by which road, and what came of every try.

No body is stored for SMS and email. A message is rendered in the moment it leaves, from the
facts in its notification; so a code never lies in a row, and a mended template mends what
still waits. Who wants to know what was said renders it again. Two things are kept because
they have to be read later: an item of somebody's inbox, and an email that other code has
written (`StoredEmail`) until it has left.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID, uuid5

from django.conf import settings
from django.db import models
from django.utils.crypto import salted_hmac
from ntc_core.masking import mask_text
from ntc_core.models import BaseModel

from ntc_notify.types import Channel, MessageState, Outcome, SuppressionReason

__all__ = [
    "DeliveryAttempt",
    "InboxItem",
    "Message",
    "MessageReceipt",
    "Notification",
    "Preference",
    "StoredEmail",
    "Suppression",
    "hash_address",
    "list_hashes",
    "make_provider_uid",
]

_PROVIDER_UID_NAMESPACE = UUID("6a8e5c1e-7f0a-5b0e-9d6e-2f6f0b1c4a55")


def make_provider_uid(attempt_uid: UUID) -> UUID:
    """Return our id of one call as the provider sees it; it does not reveal our own `uid`."""
    return uuid5(_PROVIDER_UID_NAMESPACE, str(attempt_uid))


def hash_address(channel: Channel | str, address: str) -> str:
    """Return the digest under which an address is remembered, keyed with SECRET_KEY.

    Letters of an address that differ in case only reach the same person.
    """
    return list_hashes(channel, address)[0]


def list_hashes(channel: Channel | str, address: str) -> list[str]:
    """Return every digest under which the address may be remembered, the present one first.

    A new SECRET_KEY must not make us write to those who were written down under the old one.
    """
    plain = f"{Channel(channel).value}\n{address.strip().casefold()}"
    return [
        salted_hmac("ntc_notify.address", plain, secret=key, algorithm="sha256").hexdigest()
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]


def _choices(words: Iterable[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value.replace("_", " ")) for word in words]


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
    batch = models.CharField(max_length=100, blank=True, help_text="The bulk it belongs to.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["kind", "dedupe_key"], name="ntc_notify_once_per_kind_and_key"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["batch"], condition=~models.Q(batch=""), name="ntc_notify_by_batch"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.masked_key}"

    @property
    def masked_key(self) -> str:
        """The dedupe key as logs and screens may show it: of a bulk it may name a person."""
        return mask_text(self.dedupe_key)


class Message(BaseModel):
    """One notification on its way to one address on one channel.

    `state` changes only by conditional UPDATEs in `ntc_notify.services`.
    """

    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="messages"
    )
    channel = models.CharField(max_length=8, choices=_choices(Channel))
    address = models.CharField(
        max_length=254, help_text='E.164 phone, email address, or "user:" and a user\'s id.'
    )
    state = models.CharField(
        max_length=16, choices=_choices(MessageState), default=MessageState.QUEUED.value
    )
    provider = models.CharField(max_length=64, blank=True, help_text="The one tried last.")
    error = models.CharField(max_length=300, blank=True, help_text="Why it is not on its way.")
    segments = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="What an SMS is charged as."
    )
    cost_estimate = models.DecimalField(
        max_digits=12, decimal_places=4, null=True, blank=True, help_text="Segments times price."
    )
    cost_currency = models.CharField(max_length=3, blank=True)
    expires_at = models.DateTimeField(help_text="Not sent after this.")
    chunk = models.UUIDField(
        null=True, blank=True, editable=False, help_text="Of a bulk: delivered together with these."
    )
    claimed_until = models.DateTimeField(
        null=True, blank=True, help_text="Sending: after this its worker is dead."
    )

    class Meta:
        permissions: ClassVar[list[tuple[str, Any]]] = [
            ("resend_message", "Can send a message again")
        ]
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
            models.Index(
                fields=["chunk", "state"],
                condition=models.Q(chunk__isnull=False),
                name="ntc_notify_by_chunk",
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
    next_query_at = models.DateTimeField(
        null=True, blank=True, help_text="When the provider is asked what became of it."
    )
    queries = models.PositiveSmallIntegerField(default=0)

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
            models.Index(
                fields=["next_query_at"],
                condition=models.Q(next_query_at__isnull=False),
                name="ntc_notify_query_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.provider_uid}"


class MessageReceipt(BaseModel):
    """One thing that a provider said later about a message. Rows are only added."""

    attempt = models.ForeignKey(DeliveryAttempt, on_delete=models.CASCADE, related_name="receipts")
    state = models.CharField(max_length=16, choices=_choices(MessageState))
    applied = models.BooleanField(help_text="It changed the message's state.")
    suppression = models.CharField(
        max_length=16, blank=True, choices=_choices(SuppressionReason), help_text="What follows."
    )
    reason = models.CharField(max_length=300, blank=True)
    occurred_at = models.DateTimeField(null=True, blank=True, help_text="By the provider's clock.")
    webhook_uid = models.UUIDField(
        null=True, blank=True, help_text="The event that told it; null: we asked."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["attempt", "webhook_uid", "state"], name="ntc_notify_receipt_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.created_at:%Y-%m-%d %H:%M:%S}"


class Suppression(BaseModel):
    """An address to which nothing, or nothing of one kind, is sent. Not the address itself."""

    channel = models.CharField(max_length=8, choices=_choices(Channel))
    address_hash = models.CharField(max_length=64, editable=False)
    masked_address = models.CharField(max_length=254)
    kind = models.CharField(max_length=64, blank=True, help_text="Empty: nothing at all.")
    reason = models.CharField(max_length=16, choices=_choices(SuppressionReason))
    source = models.CharField(max_length=64, help_text='A provider, "link", "inbox" or "staff".')
    detail = models.CharField(max_length=300, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["channel", "address_hash", "kind"],
                condition=models.Q(lifted_at=None),
                name="ntc_notify_suppressed_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.masked_address}: {self.reason}"


class Preference(BaseModel):
    """What a user wants of one kind on one channel; without a row the kind's own choice holds."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_preferences"
    )
    kind = models.CharField(max_length=64)
    channel = models.CharField(max_length=8, choices=_choices(Channel))
    is_on = models.BooleanField()

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["user", "kind", "channel"], name="ntc_notify_one_preference"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.channel}: {'on' if self.is_on else 'off'}"


class InboxItem(BaseModel):
    """A message on the in-app channel, as its user reads it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="inbox_items"
    )
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="inbox_item")
    kind = models.CharField(max_length=64)
    title = models.CharField(max_length=200)
    body = models.TextField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "-id"], name="ntc_notify_inbox"),
            models.Index(
                fields=["user"], condition=models.Q(read_at=None), name="ntc_notify_unread"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for user {self.user_id}"


class StoredEmail(BaseModel):
    """An email that other code wrote, until it has left; see `ntc_notify.mail_backend`."""

    notification = models.OneToOneField(
        Notification, on_delete=models.CASCADE, related_name="stored_email"
    )
    sender = models.CharField(max_length=500)
    subject = models.CharField(max_length=998)
    text = models.TextField()
    html = models.TextField(blank=True)
    reply_to = models.JSONField(default=list)
    headers = models.JSONField(default=dict)
    #: A list of {"filename", "content_type", "content": base64}.
    attachments = models.JSONField(default=list)

    class Meta:
        verbose_name = "stored email"

    def __str__(self) -> str:
        return f"stored email {self.uid}"
