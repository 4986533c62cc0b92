"""Abstract models: when a row was made, and the id that may leave the server."""

from __future__ import annotations

import uuid

import uuid_utils
from django.db import models

__all__ = ["BaseModel", "TimeStampedModel", "new_uid"]


def new_uid() -> uuid.UUID:
    """Return a UUIDv7: unguessable enough to publish, ordered enough to index."""
    return uuid.UUID(int=uuid_utils.uuid7().int)


class TimeStampedModel(models.Model):
    """Adds `created_at` and `updated_at`, both aware UTC.

    A conditional `QuerySet.update()` does not touch `updated_at` by itself: pass it.
    """

    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True


class BaseModel(TimeStampedModel):
    """Adds the internal `id`, which never leaves the server, and the public `uid`."""

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=new_uid, unique=True, editable=False)

    class Meta:
        abstract = True
