"""Sinks as a project would write them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["BrokenSink", "HalfSink", "ListSink", "UnbuildableSink"]


class ListSink:
    """Keeps what it is told where a test can look."""

    told: list[tuple[str, str, float, dict[str, str]]] = []

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self.told.append(("count", name, value, dict(labels)))

    def observe(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self.told.append(("observe", name, value, dict(labels)))

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self.told.append(("gauge", name, value, dict(labels)))


class BrokenSink(ListSink):
    """Its server is away, and it tells everybody so."""

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        raise ConnectionError("statsd is away")


class HalfSink:
    """Forgot two of the three."""

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None: ...


class UnbuildableSink(ListSink):
    def __init__(self) -> None:
        raise KeyError("STATSD_HOST")
