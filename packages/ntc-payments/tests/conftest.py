"""Fixtures that all tests of the package share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ntc_core.money import Money
from ntc_core.testing.plugin import make_user
from ntc_payments import services
from ntc_payments.models import Payment
from ntc_payments.testing import RunningSimulator, running_simulator

StartPayment = Callable[..., Payment]


@pytest.fixture(scope="session")
def company() -> Iterator[RunningSimulator]:
    """Run one pretend company for all tests; it calls nobody back."""
    with running_simulator(total_timeout_seconds=1.0) as running:
        yield running


@pytest.fixture
def simulator(company: RunningSimulator, settings: Any) -> RunningSimulator:
    """Return the company with its dial at "fine", as the only provider."""
    company.turn_dial()
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": company.options}
    return company


@pytest.fixture
def start(simulator: RunningSimulator) -> StartPayment:
    """Return a function that starts a payment of TZS 15,000 by mobile push."""
    numbers = itertools.count(1)

    def start_payment(**changes: Any) -> Payment:
        values: dict[str, Any] = {
            "money": Money.from_major("15000", "TZS"),
            "method": "mobile_push",
            "phone": "0712 345 678",
            "purpose": "subscription:1",
            "description": "Plan, one month",
            "idempotency_key": f"key-{next(numbers)}",
            **changes,
        }
        values.setdefault("payer", None)
        values["payer"] = values["payer"] or make_user()
        return services.start_payment(**values)

    return start_payment
