"""Fixtures that all tests of the package share."""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ntc_core.money import Money
from ntc_core.outbox.jobs import UnknownJob, get_job, job
from ntc_core.testing.plugin import make_user
from ntc_payments import services
from ntc_payments.models import Payment
from ntc_payments.services.consequences import REFUND_JOB
from ntc_payments.simulator.callbacks import CallbackSender
from ntc_payments.simulator.faults import FaultDial, Faults
from ntc_payments.simulator.server import SimulatorServer
from ntc_payments.simulator.store import Store
from ntc_payments.testing import RunningSimulator

try:
    get_job(REFUND_JOB)
except UnknownJob:
    # Policies ask for refunds by the job's name; here it is enough that the row can be written.
    job(REFUND_JOB)(lambda attempt_id, amount_minor, key: None)

StartPayment = Callable[..., Payment]


@contextmanager
def listening_simulator(*, prompt_seconds: float = 120) -> Iterator[RunningSimulator]:
    """Run the pretend company in threads of this process, where its coverage is measured.

    It is reached over its socket all the same.
    """
    api_key, secret = secrets.token_hex(16), secrets.token_hex(32)
    store = Store(":memory:", prompt_seconds=prompt_seconds)
    dial = FaultDial(Faults())
    server = SimulatorServer(("127.0.0.1", 0), store=store, dial=dial, api_key=api_key)
    callbacks = CallbackSender(store=store, dial=dial, secret=secret)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    callbacks.start()
    options = {
        "base_url": f"http://127.0.0.1:{server.server_address[1]}",
        "api_key": api_key,
        "webhook_secret": secret,
        "total_timeout_seconds": 1.0,
    }
    yield RunningSimulator(options=options, pid=os.getpid())
    callbacks.stop()
    server.shutdown()
    serving.join()
    server.server_close()
    store.close()


@pytest.fixture(scope="session")
def company() -> Iterator[RunningSimulator]:
    """Run one pretend company for all tests; it calls nobody back."""
    with listening_simulator() as running:
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
            "description": "Plan, one month",
            "idempotency_key": f"key-{next(numbers)}",
            **changes,
        }
        # Another key is another purchase: for the same one a second prompt is refused.
        values.setdefault("purpose", f"subscription:{values['idempotency_key']}")
        values.setdefault("payer", None)
        values["payer"] = values["payer"] or make_user()
        return services.start_payment(**values)

    return start_payment
