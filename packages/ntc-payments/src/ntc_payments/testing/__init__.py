"""For tests: the pretend company as a process, and the exam that every provider passes.

    def test_checkout(settings, live_server, run_jobs):
        url = f"{live_server.url}/api/v1/webhooks/payments/simulator/"
        with running_simulator(callback_url=url) as simulator:
            settings.NTC_PAYMENT_PROVIDERS = {"simulator": simulator.options}
            ...
            simulator.approve(reference=attempt.reference)

Or take the fixture: `from ntc_payments.testing import simulator  # noqa: F401` in conftest.py.
"""

from ntc_payments.testing.running import RunningSimulator, running_simulator, simulator
from ntc_payments.testing.suite import PaymentProviderSuite

__all__ = ["PaymentProviderSuite", "RunningSimulator", "running_simulator", "simulator"]
