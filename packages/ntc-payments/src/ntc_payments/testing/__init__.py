"""For tests: the pretend company as a process, and the exam that every provider passes.

    def test_checkout(settings, live_server, run_jobs):
        url = f"{live_server.url}/api/v1/webhooks/payments/simulator/"
        with running_simulator(callback_url=url) as simulator:
            settings.NTC_PAYMENT_PROVIDERS = {"simulator": simulator.options}
            ...
            simulator.approve(reference=attempt.reference)

Or take the fixture: `from ntc_payments.testing import simulator  # noqa: F401` in conftest.py.
"""

import pytest

# Before the imports below (E402), so that a failed assert of the exam shows its values.
pytest.register_assert_rewrite("ntc_payments.testing.suite")

from ntc_payments.testing.running import RunningSimulator, running_simulator, simulator  # noqa: E402
from ntc_payments.testing.suite import PaymentProviderSuite  # noqa: E402

__all__ = ["PaymentProviderSuite", "RunningSimulator", "running_simulator", "simulator"]
