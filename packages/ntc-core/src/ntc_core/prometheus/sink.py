"""Counters, histograms and gauges, made when they are first told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

__all__ = ["FOLDER_VARIABLE", "PrometheusSink", "require_library"]

#: Of prometheus_client itself, which reads it when it is loaded.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: Seconds: from a query to a webhook that waited for an hour.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


def require_library() -> None:
    """Load Prometheus' client, with the folder that its processes share.

    Raises:
        ImproperlyConfigured: it is not installed, or the folder cannot be made.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    try:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
        import prometheus_client  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise ImproperlyConfigured(
            "Metrics for Prometheus need the extra: pip install 'ntc-core[prometheus]'."
        ) from error
    except OSError as error:
        raise ImproperlyConfigured(
            f"{FOLDER_VARIABLE} is {folder!r}, which cannot be made: {error.strerror}. Expected "
            "an empty folder that all processes of this machine can write."
        ) from error


class PrometheusSink:
    """`ntc_core.metrics.MetricsSink` on prometheus_client."""

    def __init__(self) -> None:
        require_library()
        self._metrics: dict[str, Any] = {}
        self._lock = Lock()

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add to a counter; Prometheus calls it `<name>_total`."""
        from prometheus_client import Counter  # noqa: PLC0415 - an extra

        self._child(Counter, name, labels).inc(value)

    def observe(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add to a histogram of seconds."""
        from prometheus_client import Histogram  # noqa: PLC0415 - an extra

        self._child(Histogram, name, labels, buckets=_BUCKETS).observe(value)

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Set a gauge. One job tells it, so the process that told it last is right."""
        from prometheus_client import Gauge  # noqa: PLC0415 - an extra

        self._child(Gauge, name, labels, multiprocess_mode="mostrecent").set(value)

    def _child(
        self,
        kind: type[Counter | Gauge | Histogram],
        name: str,
        labels: Mapping[str, str],
        **options: Any,
    ) -> Any:
        # Two threads that meet a new name at once must not both register it.
        with self._lock:
            metric = self._metrics.get(name)
            if metric is None:
                metric = self._metrics[name] = kind(name, name, tuple(labels), **options)
        return metric.labels(**labels) if labels else metric
