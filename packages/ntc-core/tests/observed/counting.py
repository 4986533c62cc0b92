"""Count a little in several processes that share a folder; show the page of one of them."""

from __future__ import annotations

import sys

import django

django.setup()

from ntc_core import metrics  # noqa: E402 - after the settings
from ntc_core.prometheus.page import serve_metrics  # noqa: E402 - likewise

metrics.count("shop_sales", provider="a")
metrics.observe("shop_wait_seconds", 0.2)
metrics.gauge("shop_parcels", float(sys.argv[1]))
sys.stdout.write(f"{serve_metrics(port=0, host='127.0.0.1')}\n")
sys.stdout.flush()
sys.stdin.read()
