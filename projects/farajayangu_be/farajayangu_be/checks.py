"""Mistakes in this project's settings that would only show with real people's money."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

__all__ = ["check_real_companies"]


@checks.register(checks.Tags.security, deploy=True)
def check_real_companies(**_: Any) -> list[checks.CheckMessage]:
    """Warn when the public service takes the simulator's word for a payment."""
    if "simulator" not in settings.NTC_PAYMENT_PROVIDERS:
        return []
    return [
        checks.Warning(
            "PAYMENT_PROVIDERS contains the simulator: its payments move no money.",
            hint="Keep it for staging only.",
            id="farajayangu_be.W001",
        )
    ]
