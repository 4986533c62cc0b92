"""A sink as a project would write one."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ListSink"]


class ListSink:
    """Keeps what it is told where a test can look."""

    told: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self.told.append((name, value, dict(labels)))

    observe = gauge = count
