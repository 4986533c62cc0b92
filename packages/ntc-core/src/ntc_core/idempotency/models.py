"""The answer to a call that was made under a key."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

__all__ = ["IdempotentAnswer"]


class IdempotentAnswer(models.Model):
    """Written in the transaction of the call itself, so it exists exactly if the effect does."""

    id = models.BigAutoField(primary_key=True)
    #: Whose key it is: `user:<pk>`, or `anonymous`, where the key itself is what nobody guesses.
    owner = models.CharField(max_length=80)
    key = models.CharField(max_length=255)
    #: Keyed hash of method, path and body: the same key for something else is a mistake.
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    #: The `data` of the response, as JSON text: its order is part of the answer.
    body = models.TextField(blank=True)
    headers = models.JSONField(default=dict)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["owner", "key"], name="ntc_idempotency_once"),
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.pk}"
