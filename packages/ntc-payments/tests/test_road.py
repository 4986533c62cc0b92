"""The whole road, with the company as a real process and callbacks over a real socket."""

from __future__ import annotations

import logging
import time

import pytest
from ntc_core.outbox.services import run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments.models import PaymentEvent
from ntc_payments.testing import running_simulator

pytestmark = pytest.mark.django_db(transaction=True)


def test_approved_payment_succeeds_by_its_callback(start, settings, live_server, caplog):
    """Start, approve on the phone, callback: succeeded, and the history tells all of it.

    No log line of ours has the number, the key or the secret.
    """
    caplog.set_level(logging.DEBUG)
    url = f"{live_server.url}/api/v1/webhooks/payments/simulator/"
    with running_simulator(callback_url=url) as simulator:
        settings.NTC_PAYMENT_PROVIDERS = {"simulator": simulator.options}
        payment = start()
        run_due_jobs()
        attempt = payment.attempts.get()
        assert attempt.status == "pending"

        simulator.approve(reference=attempt.reference)
        deadline = time.monotonic() + 10
        while not WebhookEvent.objects.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        run_due_jobs()

    logged = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "payment.moved" in logged
    for secret in ("712345678", simulator.options["api_key"], simulator.options["webhook_secret"]):
        assert secret not in logged
    payment.refresh_from_db()
    attempt.refresh_from_db()
    assert (payment.status, attempt.status, attempt.settles) == ("succeeded", "succeeded", True)
    assert WebhookEvent.objects.get().state == "processed"
    moves = [
        (event.kind, event.source, event.from_status, event.to_status)
        for event in PaymentEvent.objects.order_by("id")
    ]
    assert moves == [
        ("payment", "payer", "", "open"),
        ("attempt", "payer", "", "created"),
        ("attempt", "system", "created", "sending"),
        ("payment", "system", "open", "processing"),
        ("observation", "response", "sending", "pending"),
        ("observation", "webhook", "pending", "succeeded"),
        ("payment", "webhook", "processing", "succeeded"),
    ]
