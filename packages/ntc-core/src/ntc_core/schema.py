"""OpenAPI."""

from __future__ import annotations

from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema

__all__ = ["AutoSchema"]


class AutoSchema(SpectacularAutoSchema):
    """Placeholder."""
