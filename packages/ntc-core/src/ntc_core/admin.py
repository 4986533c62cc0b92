"""What the admin may not do to rows that record what happened."""

from __future__ import annotations

from typing import Any

__all__ = ["KeptRows", "ReadOnlyRows"]


class KeptRows:
    """Mix into a ModelAdmin or inline: rows are written by services and never dropped."""

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        """Nobody adds."""
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        """Nobody deletes."""
        return False


class ReadOnlyRows(KeptRows):
    """The same, and nobody changes a field either."""

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        """Nobody changes."""
        return False
