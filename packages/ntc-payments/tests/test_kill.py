"""kill -9 in the middle of sending: nothing lost, never a second prompt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import PaymentAttempt

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

KILLED = 137

WORKER = textwrap.dedent(
    """
    import json, os, sys
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = os.environ["WORKER_DATABASE"]
    settings.NTC_PAYMENT_PROVIDERS = json.loads(os.environ["WORKER_PROVIDERS"])
    django.setup()
    from ntc_core.outbox.services import run_due_jobs

    print("ready", flush=True)
    run_due_jobs()
    """
)


def worker(settings: Any, **environment: str) -> subprocess.Popen[str]:
    """Start a process that runs the due jobs, with this test's database and company."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "WORKER_DATABASE": connection.settings_dict["NAME"],
            "WORKER_PROVIDERS": json.dumps(settings.NTC_PAYMENT_PROVIDERS),
            **environment,
        },
        stdout=subprocess.PIPE,
        text=True,
    )


def let_leases_end() -> None:
    """Both leases ran out: the job's and the attempt's."""
    past = timezone.now() - timedelta(seconds=1)
    OutboxJob.objects.filter(state="running").update(lease_until=past)
    PaymentAttempt.objects.filter(status="sending").update(lease_until=past)


@pytest.mark.parametrize(
    ("failpoint", "prompts"),
    [("payments.sending_committed", 0), ("payments.answer_received", 1)],
)
def test_killed_sender_leaves_an_attempt_that_is_asked_about(
    start, simulator, settings, failpoint, prompts
):
    """Before the socket, or with the answer in hand: unknown, query, one prompt at most."""
    payment = start()
    process = worker(settings, NTC_FAILPOINT=failpoint)
    process.communicate(timeout=30)
    assert process.returncode == KILLED
    attempt = payment.attempts.get()
    assert attempt.status == "sending"
    assert len(simulator.prompts_of(attempt.reference)) == prompts

    let_leases_end()
    run_due_jobs()  # the job again, by another worker: it must not send
    services.poll_due()
    attempt.refresh_from_db()
    assert attempt.status == "unknown"
    services.poll_due()
    run_due_jobs()

    attempt.refresh_from_db()
    assert len(simulator.prompts_of(attempt.reference)) == prompts
    assert attempt.sends == 1
    assert attempt.status == ("pending" if prompts else "unknown")


def test_sigkill_while_the_company_thinks_is_survived(start, simulator, settings):
    """A real SIGKILL between the bytes out and the answer in; then approved; then paid."""
    simulator.turn_dial(start="hang_after", hang_seconds=20)
    options = {**simulator.options, "total_timeout_seconds": 15}
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": options}
    payment = start()
    attempt = payment.attempts.get()
    process = worker(settings)
    deadline = time.monotonic() + 20
    while not simulator.prompts_of(attempt.reference) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=20)
    simulator.turn_dial()
    simulator.approve(reference=attempt.reference)

    let_leases_end()
    for _ in range(3):
        services.poll_due()
        run_due_jobs()

    payment.refresh_from_db()
    attempt.refresh_from_db()
    assert (payment.status, attempt.status, attempt.sends) == ("succeeded", "succeeded", 1)
    assert len(simulator.prompts_of(attempt.reference)) == 1


def test_sender_killed_before_the_call_lets_the_payer_try_again(start, simulator, settings):
    """Not found for long enough: over, and a new attempt is a new prompt, the only one."""
    payment = start()
    worker(settings, NTC_FAILPOINT="payments.sending_committed").communicate(timeout=30)
    let_leases_end()
    services.poll_due()
    attempt = payment.attempts.get()
    PaymentAttempt.objects.update(sent_at=timezone.now() - timedelta(seconds=31))
    for _ in range(3):
        services.poll_attempt(attempt_id=attempt.pk)
    payment.refresh_from_db()
    assert payment.status == "failed"

    services.retry_payment(payment=payment)
    run_due_jobs()

    first, second = payment.attempts.all()
    assert (first.status, second.status) == ("expired", "pending")
    assert simulator.prompts_of(first.reference) == []
    assert len(simulator.prompts_of(second.reference)) == 1
