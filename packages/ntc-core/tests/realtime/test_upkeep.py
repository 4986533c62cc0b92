"""What is removed, and what the checks say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from ntc_core.auth import services as auth
from ntc_core.realtime import push
from ntc_core.realtime.checks import check_deployment, check_settings, check_sqlite
from ntc_core.realtime.models import (
    RealtimeConnection,
    RealtimeEvent,
    RealtimeStream,
    RealtimeTicket,
)
from ntc_core.realtime.selectors import watch
from ntc_core.realtime.services import issue_ticket
from ntc_core.realtime.tasks import purge

ROWS = [RealtimeEvent, RealtimeStream, RealtimeTicket, RealtimeConnection]


@pytest.mark.django_db
def test_what_nobody_can_ask_for_is_removed(asha, django_capture_on_commit_callbacks):
    session = auth.sign_in(user=asha).session
    now = timezone.now()
    with django_capture_on_commit_callbacks(execute=True):
        push(asha, "a", {})
    issue_ticket(session=session)
    RealtimeConnection.objects.create(user=asha, session=session, path="/ws/", seen_at=now)

    purge()
    assert [model.objects.count() for model in ROWS] == [1, 1, 1, 1]

    RealtimeEvent.objects.update(created_at=now - timedelta(hours=25))
    RealtimeTicket.objects.update(expires_at=now - timedelta(hours=2))
    RealtimeConnection.objects.update(seen_at=now - timedelta(hours=2))
    purge()
    assert [model.objects.count() for model in ROWS] == [0, 1, 0, 0]

    RealtimeStream.objects.update(updated_at=now - timedelta(days=91))
    purge()
    assert not RealtimeStream.objects.exists()


@pytest.mark.django_db
def test_an_open_socket_is_seen_now_and_then(asha):
    """Not at every look: each is a write, and there may be thousands."""
    session = auth.sign_in(user=asha).session
    now = timezone.now()
    lately, long_ago = (
        RealtimeConnection.objects.create(
            user=asha, session=session, path="/ws/", seen_at=now - timedelta(seconds=seconds)
        )
        for seconds in (5, 40)
    )

    truth = watch(sessions=[], connections=[lately.pk, long_ago.pk], streams=[])

    assert truth.open_connections == {lately.pk, long_ago.pk}
    seen = dict(RealtimeConnection.objects.values_list("pk", "seen_at"))
    assert seen[lately.pk] == lately.seen_at
    assert abs(seen[long_ago.pk] - now) < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("TICKET_SECONDS", 30, []),
        ("TICKET_SECONDS", 31, ["ntc_realtime.E001"]),
        ("TICKET_SECONDS", 0, ["ntc_realtime.E001"]),
        ("ORIGINS", ["https://app.example.com", "http://localhost:3000"], []),
        ("ORIGINS", ["*"], ["ntc_realtime.E002"]),
        ("ORIGINS", ["app.example.com"], ["ntc_realtime.E002"]),
        ("ORIGINS", ["https://app.example.com/x"], ["ntc_realtime.E002"]),
        ("ORIGIN_REGEXES", ["http://localhost:[0-9]+"], []),
        ("ORIGIN_REGEXES", ["("], ["ntc_realtime.E002"]),
    ],
)
def test_settings_that_would_let_strangers_in_are_found(name, value, found, settings):
    setattr(settings, f"NTC_REALTIME_{name}", value)
    assert [message.id for message in check_settings()] == found


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ({}, ["ntc_realtime.W001"]),
        ({"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}, ["ntc_realtime.W001"]),
        ({"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}}, []),
    ],
)
def test_a_layer_that_processes_do_not_share_is_found(layers, found, settings):
    settings.CHANNEL_LAYERS = layers
    assert [message.id for message in check_deployment()] == found


@pytest.mark.parametrize(
    ("engine", "options", "found"),
    [
        ("sqlite3", {}, ["ntc_realtime.W003"]),
        ("sqlite3", {"transaction_mode": "IMMEDIATE"}, []),
        ("postgresql", {}, []),
    ],
)
def test_a_sqlite_whose_writers_do_not_wait_is_found(engine, options, found, settings, monkeypatch):
    database = settings.DATABASES["default"]
    monkeypatch.setitem(database, "ENGINE", f"django.db.backends.{engine}")
    monkeypatch.setitem(database, "OPTIONS", options)
    assert [message.id for message in check_sqlite()] == found
