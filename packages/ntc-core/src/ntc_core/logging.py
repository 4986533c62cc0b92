"""Logging: one line per event, on the console for people, as JSON for machines."""

from __future__ import annotations

from ntc_core.request_id import bind_request_id, get_request_id

__all__ = ["bind_request_id", "configure_structlog", "get_request_id"]


def configure_structlog() -> None:
    """Placeholder."""
