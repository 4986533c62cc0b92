"""What a project's tests are given: the fixture runs a real process, and nothing else is set up."""

from __future__ import annotations

import os

import pytest
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.testing import simulator  # noqa: F401 - a fixture, taken as a project takes it

pytestmark = pytest.mark.django_db


def test_fixture_is_a_company_of_its_own(start, simulator):  # noqa: F811 - the fixture
    """Another process, the only provider, without callbacks: it is polled."""
    assert simulator.pid != os.getpid()
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()

    simulator.approve(reference=attempt.reference)
    services.poll_attempt(attempt_id=attempt.pk)

    payment.refresh_from_db()
    assert payment.status == "succeeded"
    assert simulator.prompts() == []
