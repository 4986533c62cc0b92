"""Metrics for Prometheus: a sink, and the page that Prometheus reads. The extra `prometheus`.

    NTC_METRICS_SINK = "ntc_core.prometheus.PrometheusSink"
    NTC_METRICS_TOKEN = "…"                     # or NTC_METRICS_NETWORKS
    path("", include("ntc_core.prometheus.urls"))     # /metrics

Where several processes serve, PROMETHEUS_MULTIPROC_DIR names a folder that they share and that
is empty at their start. The page then adds them up, whichever of them answers.
"""

from __future__ import annotations

from ntc_core.prometheus.sink import PrometheusSink

__all__ = ["PrometheusSink"]
