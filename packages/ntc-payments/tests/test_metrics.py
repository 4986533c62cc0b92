"""What a project's sink is told about payments."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from ntc_core.outbox.services import run_due_jobs
from ntc_core.outbox.tasks import tell_gauges
from ntc_payments import services
from ntc_payments.models import Break, PaymentAttempt
from ntc_payments.services.breaks import open_break
from ntc_payments.types import Claim, Observation, Source

from tests.sinks import ListSink
from tests.test_inbox import deliver, event_of, waiting

__all__ = ["deliver", "waiting"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def told(settings):
    """Return what the project's sink is told."""
    settings.NTC_METRICS_SINK = "tests.sinks.ListSink"
    ListSink.told.clear()
    yield ListSink.told
    ListSink.told.clear()


def labels(told, name):
    return [tuple(labels.values()) for told_name, _, labels in told if told_name == name]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("none", ("accepted", "pending", "2xx")),
        ("error_before", ("no_answer", "unknown", "NoAnswer")),
        ("html", ("no_answer", "unknown", "NoAnswer")),
    ],
)
def test_initiation_and_outcome_are_counted(start, simulator, told, fault, expected):
    """Per company, with what came back, what became of it, and how the call ended."""
    simulator.turn_dial(start=fault)
    start()

    run_due_jobs()

    result, status, ended = expected
    assert labels(told, "ntc_payment_initiations") == [("payment", "simulator", result)]
    assert labels(told, "ntc_payment_outcomes") == [("payment", "simulator", status)]
    assert labels(told, "ntc_payment_exchange_seconds") == [("simulator", "start", ended)]


def test_call_that_never_left_is_counted_as_such(start, told, settings):
    """And no outcome: it is to be sent again."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "simulator": {
            "base_url": "http://127.0.0.1:9",
            "api_key": "key",
            "webhook_secret": "secret" * 8,
        }
    }
    start()

    run_due_jobs()

    assert labels(told, "ntc_payment_initiations") == [("payment", "simulator", "not_sent")]
    assert labels(told, "ntc_payment_outcomes") == []


def test_payment_is_counted_once_however_often_the_company_says_so(start, told):
    attempt = start().attempts.get()
    run_due_jobs()

    for _ in range(3):
        services.apply_observation(
            attempt_id=attempt.pk,
            observation=Observation(
                reference=attempt.reference, claim=Claim.SUCCESS, money=attempt.money
            ),
            source=Source.WEBHOOK,
        )

    assert labels(told, "ntc_payment_outcomes").count(("payment", "simulator", "succeeded")) == 1


def test_oldest_unknown_attempt_and_open_breaks_are_gauges(start, told):
    """Zero is told too: a gauge that is not told keeps its last value."""
    attempt = start().attempts.get()
    tell_gauges()
    assert ("ntc_payment_oldest_unknown_seconds", 0, UNKNOWN) in told
    assert ("ntc_payment_open_breaks", 0, {"kind": "undecided"}) in told

    hour_ago = timezone.now() - timedelta(hours=1)
    PaymentAttempt.objects.filter(pk=attempt.pk).update(status="unknown", sent_at=hour_ago)
    open_break(
        kind=Break.Kind.UNDECIDED, dedupe_key="undecided:1", provider="simulator", detail="?"
    )
    told.clear()
    tell_gauges()

    [age] = [value for name, value, about in told if about == UNKNOWN]
    assert 3600 <= age < 3700
    assert ("ntc_payment_open_breaks", 1, {"kind": "undecided"}) in told


UNKNOWN = {"subject": "payment", "provider": "simulator"}


def test_unknown_attempt_of_a_company_that_is_gone_is_still_told(start, told, settings):
    """Its settings were removed, its attempts were not."""
    attempt = start().attempts.get()
    PaymentAttempt.objects.filter(pk=attempt.pk).update(status="unknown", sent_at=timezone.now())
    settings.NTC_PAYMENT_PROVIDERS = {}

    tell_gauges()

    assert ("payment", "simulator") in labels(told, "ntc_payment_oldest_unknown_seconds")


def test_webhook_is_measured_from_the_door_to_its_effect(waiting, deliver, told):
    """Once, however often the company repeats it."""
    event = event_of(waiting.attempts.get())
    for _ in range(2):
        deliver(event)
    run_due_jobs()

    lags = [(value, about) for name, value, about in told if name == "ntc_webhook_lag_seconds"]
    [(seconds, about)] = lags
    assert 0 <= seconds < 60
    assert about == {"channel": "payments", "provider": "simulator"}
