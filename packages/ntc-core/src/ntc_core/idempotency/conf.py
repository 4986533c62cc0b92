"""The settings of idempotency keys."""

from __future__ import annotations

from ntc_core.conf import AppSettings

__all__ = ["IdempotencySettings", "idempotency_settings"]


class IdempotencySettings(AppSettings):
    """What a project may decide about repeated calls."""

    #: How long a key is known. Later, the same key is another call.
    IDEMPOTENCY_KEEP_HOURS: int = 24


idempotency_settings = IdempotencySettings()
