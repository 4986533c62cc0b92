"""Numbers for whoever watches the service: counts, observations and gauges.

The project says in `NTC_METRICS_SINK` where they go, by the dotted path of a class:

    class StatsdSink:
        def count(self, name, value, labels): ...
        def observe(self, name, value, labels): ...
        def gauge(self, name, value, labels): ...

Without one they go nowhere, and cost a look at the setting. A sink that raises is logged and
changes nothing for the one who counts. Labels are words of which there are few (a provider,
a status); never a person, a reference or a text that somebody else writes.

Counts and observations are told as they happen. A gauge is the answer to a question: its
collector, in an app's `metrics.py`, is called by one recurring job, never by a request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

from django.core.signals import setting_changed
from django.db import transaction
from django.utils.module_loading import import_string

from ntc_core.conf import core_settings

__all__ = [
    "MetricsSink",
    "collect_gauges",
    "collector",
    "count",
    "count_after_commit",
    "gauge",
    "observe",
    "observe_after_commit",
]

log = logging.getLogger(__name__)

Collector = Callable[[], None]

_collectors: dict[str, Collector] = {}


class MetricsSink(Protocol):
    """Where the numbers go. Called from every thread; must not wait for anybody."""

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add to a counter, which only grows."""

    def observe(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add one measurement, such as seconds, to a distribution."""

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Say how much of something there is now."""


def count(name: str, value: float = 1, **labels: str) -> None:
    """Count something that happened."""
    _tell("count", name, value, labels)


def observe(name: str, value: float, **labels: str) -> None:
    """Tell one measurement. The name ends with the unit: `_seconds`."""
    _tell("observe", name, value, labels)


def gauge(name: str, value: float, **labels: str) -> None:
    """Tell how much there is now; for collectors."""
    _tell("gauge", name, value, labels)


def count_after_commit(name: str, value: float = 1, **labels: str) -> None:
    """Count once the running transaction commits; at once where there is none."""
    transaction.on_commit(lambda: count(name, value, **labels), robust=True)


def observe_after_commit(name: str, value: float, **labels: str) -> None:
    """Tell a measurement once the running transaction commits; at once where there is none."""
    transaction.on_commit(lambda: observe(name, value, **labels), robust=True)


def collector(function: Collector) -> Collector:
    """Have the function called about once a minute, to tell gauges from what the database says.

    It tells every gauge each time, 0 included: one that is not told keeps its last value.
    """
    _collectors[f"{function.__module__}.{function.__qualname__}"] = function
    return function


def collect_gauges() -> None:
    """Call every collector. One that breaks is logged and does not silence the others."""
    if not core_settings.METRICS_SINK:
        return
    for name, function in sorted(_collectors.items()):
        try:
            function()
        except Exception:
            log.exception("metrics.collector_broke", extra={"collector": name})


@cache
def _sink(path: str) -> MetricsSink:
    sink: MetricsSink = import_string(path)()
    return sink


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "NTC_METRICS_SINK":
        _sink.cache_clear()


def _tell(what: str, name: str, value: float, labels: Mapping[str, str]) -> None:
    path = core_settings.METRICS_SINK
    if not path:
        return
    try:
        getattr(_sink(path), what)(name, value, labels)
    except Exception:
        # Whoever counts is doing something that matters more.
        log.exception("metrics.sink_broke", extra={"metric": name})


setting_changed.connect(_forget, dispatch_uid="ntc.metrics")
