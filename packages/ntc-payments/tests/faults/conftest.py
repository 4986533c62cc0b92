"""The company, the payer and the number of repetitions of the fault runs."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ntc_core.money import Money
from ntc_core.testing.plugin import make_user
from ntc_payments import services
from ntc_payments.models import Payment
from ntc_payments.testing import RunningSimulator, running_simulator


def repeated(quick: int, full: int) -> Any:
    """Parametrize a row with its two sizes: in every test run, and in the fault run."""
    return pytest.mark.parametrize(
        "repeats",
        [pytest.param(quick, id="quick"), pytest.param(full, id="full", marks=pytest.mark.faults)],
    )


@pytest.fixture
def scene(settings: Any, transactional_db: None) -> Iterator[RunningSimulator]:
    """A company with empty books, as the only provider; it calls nobody back."""
    settings.NTC_PAYMENT_MAX_LIVE_PER_PHONE = 100_000
    # Long enough for a machine that is busy with something else: a query that times out there
    # would be a fault that no row has asked for.
    with running_simulator(total_timeout_seconds=10) as running:
        settings.NTC_PAYMENT_PROVIDERS = {"simulator": running.options}
        yield running


@pytest.fixture
def dice() -> random.Random:
    """Random numbers whose seed is printed, so that a failing run can be run again."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed={seed}")  # noqa: T201 - shown by pytest when the test fails
    return random.Random(seed)  # noqa: S311 - shuffles, guards nothing


@pytest.fixture
def buy(scene: RunningSimulator) -> Callable[..., Payment]:
    """Return a function that starts a payment of a new purchase."""
    payer = make_user()
    numbers = itertools.count()

    def start(**changes: Any) -> Payment:
        key = f"buy-{next(numbers)}"
        return services.start_payment(
            **{
                "payer": payer,
                "money": Money.from_major("15000", "TZS"),
                "method": "mobile_push",
                "phone": "0712345678",
                "purpose": key,
                "description": "Plan, one month",
                "idempotency_key": key,
                **changes,
            }
        )

    return start
