"""Numbers go to the project's sink, and never get in the way."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.db import transaction
from django.utils import timezone
from ntc_core import metrics
from ntc_core.outbox import enqueue
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.tasks import tell_gauges
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import finish_event, replay_event

from tests.outbox.sample_jobs import note
from tests.sinks import ListSink


@pytest.fixture
def told(settings):
    """Return what the project's sink is told."""
    settings.NTC_METRICS_SINK = "tests.sinks.ListSink"
    ListSink.told.clear()
    yield ListSink.told
    ListSink.told.clear()


def gauges(told):
    return {
        (name, *labels.values()): value for kind, name, value, labels in told if kind == "gauge"
    }


def test_sink_is_told_with_labels(told):
    metrics.count("sales", provider="a")
    metrics.observe("wait_seconds", 0.5)
    metrics.gauge("open", 3, kind="x")

    assert told == [
        ("count", "sales", 1, {"provider": "a"}),
        ("observe", "wait_seconds", 0.5, {}),
        ("gauge", "open", 3, {"kind": "x"}),
    ]


def test_nobody_is_told_without_a_sink(settings):
    settings.NTC_METRICS_SINK = ""
    ListSink.told.clear()

    metrics.count("sales")
    metrics.collect_gauges()

    assert ListSink.told == []


def test_broken_sink_stops_nobody(settings, caplog):
    """It is logged, and the payment goes on."""
    settings.NTC_METRICS_SINK = "tests.sinks.BrokenSink"

    with caplog.at_level(logging.ERROR):
        metrics.count("sales")

    assert [record.message for record in caplog.records] == ["metrics.sink_broke"]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_counted(told):
    with transaction.atomic():
        metrics.count_after_commit("sales", provider="undone")
        transaction.set_rollback(True)
    with transaction.atomic():
        metrics.count_after_commit("sales", provider="kept")
        assert told == []

    assert told == [("count", "sales", 1, {"provider": "kept"})]


@pytest.mark.django_db
def test_broken_collector_does_not_silence_the_others(told, caplog):
    """The core's own are told after it, by the alphabet."""

    def aaa_broken():
        raise ZeroDivisionError

    aaa_broken.__module__ = "aaa"
    metrics.collector(aaa_broken)
    try:
        with caplog.at_level(logging.ERROR):
            tell_gauges()
    finally:
        metrics._collectors.pop(f"aaa.{aaa_broken.__qualname__}")

    assert "metrics.collector_broke" in [record.message for record in caplog.records]
    assert ("ntc_outbox_parked",) in gauges(told)


@pytest.mark.django_db
def test_backlog_of_the_outbox_is_told_per_queue(told):
    """Only what is due: a job for tomorrow is not late."""
    enqueue(note, "later", run_at=timezone.now() + timedelta(days=1))
    tell_gauges()
    assert gauges(told)["ntc_outbox_oldest_due_seconds", "default"] == 0
    late = enqueue(note, "late", run_at=timezone.now() - timedelta(hours=1))
    OutboxJob.objects.create(task="tests.note", state=OutboxJob.State.PARKED)

    tell_gauges()

    assert late.state == "queued"
    now = gauges(told)
    assert 3600 <= now["ntc_outbox_oldest_due_seconds", "default"] < 3700
    assert now["ntc_outbox_oldest_due_seconds", "companies"] == 0
    assert now["ntc_outbox_parked",] == 1


@pytest.fixture
def event(db):
    """Return an event that came a minute ago."""
    row = WebhookEvent.objects.create(
        channel="courier", provider="post", dedupe_key="1", job="tests.note", body=b"{}"
    )
    WebhookEvent.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    row.refresh_from_db()
    return row


def test_waiting_events_are_told(told, event):
    tell_gauges()
    assert 60 <= gauges(told)["ntc_webhook_oldest_waiting_seconds",] < 120

    WebhookEvent.objects.update(state="parked")
    told.clear()
    tell_gauges()

    assert gauges(told)["ntc_webhook_oldest_waiting_seconds",] == 0
    assert gauges(told)["ntc_webhook_parked",] == 1


def lags(told):
    return [labels for _, name, _, labels in told if name == "ntc_webhook_lag_seconds"]


@pytest.mark.parametrize("before", ["received", "unmatched", "failed"])
def test_lag_is_from_received_to_processed(told, event, before, django_capture_on_commit_callbacks):
    """Also where it took a second try; until then there is no lag to tell."""
    with django_capture_on_commit_callbacks(execute=True):
        if before != "received":
            finish_event(event, state=before)
        assert lags(told) == []
        finish_event(event, state="processed")

    [(_, _, seconds, labels)] = told
    assert 60 <= seconds < 120
    assert labels == {"channel": "courier", "provider": "post"}


def test_replay_says_nothing_about_lag(told, event, django_capture_on_commit_callbacks):
    """A week later it would look as if we had slept."""
    with django_capture_on_commit_callbacks(execute=True):
        finish_event(event, state="processed")
        replay_event(event)
        event.refresh_from_db()
        finish_event(event, state="processed")

    assert len(lags(told)) == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tests.sinks.Nowhere", "cannot be built"),
        ("tests.sinks.UnbuildableSink", "STATSD_HOST"),
        ("tests.sinks.HalfSink", "has no observe, gauge"),
    ],
)
def test_wrong_sink_is_named_at_start_up(settings, path, words):
    settings.NTC_METRICS_SINK = path

    [error] = [found for found in run_checks() if found.id == "ntc_core.E009"]

    assert words in error.msg


def test_right_sink_is_no_finding(told):
    assert [found for found in run_checks() if found.id == "ntc_core.E009"] == []
