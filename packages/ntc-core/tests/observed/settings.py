"""The tests' project, with what the environment switches on."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403 - settings inherit this way

SECRET_KEY = "k" * 20 + "0123456789abcdef" * 3
ROOT_URLCONF = "tests.observed.urls"
NTC_SENTRY_DSN = os.environ.get("SENTRY_DSN", "")
NTC_METRICS_SINK = "ntc_core.prometheus.PrometheusSink"
NTC_METRICS_TOKEN = os.environ.get("METRICS_TOKEN", "")
NTC_TRACES_ENDPOINT = os.environ.get("TRACES_ENDPOINT", "")
