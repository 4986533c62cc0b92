"""What was uploaded, and what has become of it."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from ntc_core.models import BaseModel

__all__ = ["Upload", "new_key"]


def new_key(extension: str) -> str:
    """Return a name for an object that nobody can guess, and that no user had a part in."""
    return f"{secrets.token_hex(16)}.{extension}"


class Upload(BaseModel):
    """A file, or the announcement of one.

    `updated_at` is when it came into its state: how long it may stay there is counted from then.
    """

    class State(models.TextChoices):
        """pending → stored → attached; refused and deleted are the ends."""

        PENDING = "pending"
        STORED = "stored"
        ATTACHED = "attached"
        REFUSED = "refused"
        DELETED = "deleted"

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        # Its files are deleted by then; the row goes when nothing is left in the storage.
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Nobody: a file of the service itself.",
    )
    purpose = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    filename = models.CharField(max_length=200, help_text="What it is saved as. Not where it is.")
    content_type = models.CharField(max_length=100)
    size = models.BigIntegerField(help_text="Bytes.")
    provider = models.CharField(max_length=20, help_text="Where it is kept.")
    key = models.CharField(max_length=64, unique=True)
    etag = models.CharField(
        max_length=200, blank=True, help_text="Names the bytes that were looked at."
    )
    expires_at = models.DateTimeField(help_text="Until then its address takes the bytes.")
    stored_at = models.DateTimeField(null=True, blank=True)
    refusal_code = models.CharField(max_length=40, blank=True)
    refusal = models.CharField(max_length=300, blank=True)
    #: Whether nothing is, nor can come, at `incoming_key` any more.
    is_incoming_cleared = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["pending", "stored", "attached", "refused", "deleted"]
                ),
                name="ntc_storage_upload_state_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["updated_at"],
                condition=~models.Q(state="attached"),
                name="ntc_storage_upload_to_end",
            ),
            models.Index(
                fields=["created_at"],
                condition=models.Q(is_incoming_cleared=False),
                name="ntc_storage_upload_to_clear",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.filename} {self.uid}"

    @property
    def incoming_key(self) -> str:
        """Where the client puts the bytes."""
        return f"incoming/{self.key}"

    @property
    def file_key(self) -> str:
        """Where they are once they were looked at; no client writes there."""
        return f"files/{self.key}"

    @property
    def is_readable(self) -> bool:
        """Tell whether there is a file to show."""
        return self.state in {self.State.STORED, self.State.ATTACHED}
