"""Live and ready, with parts that really answer, refuse or hang."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections
from django.test import Client
from ntc_core.health.probes import ask_parts
from ntc_core.testing import assert_error, assert_success, services

LIVE, READY = "/health/live/", "/health/ready/"
NOWHERE = "127.0.0.1:9"

pytestmark = pytest.mark.django_db(transaction=True)


class HangingCache(LocMemCache):
    """Answers when it is let go."""

    let_go = threading.Event()
    questions = 0

    def set(self, *args, **kwargs):
        type(self).questions += 1
        self.let_go.wait(20)
        return super().set(*args, **kwargs)


@pytest.fixture
def client():
    return Client()


def use_cache(settings, backend, **options):
    settings.CACHES = {"default": {"BACKEND": backend, **options}}


def test_live_says_which_version_runs_and_asks_nobody(
    client, settings, monkeypatch, django_assert_num_queries
):
    settings.NTC_PROJECT_VERSION = "1.2.3"
    monkeypatch.setenv("NTC_COMMIT", "abc1234")
    use_cache(
        settings, "django.core.cache.backends.redis.RedisCache", LOCATION=f"redis://{NOWHERE}"
    )

    with django_assert_num_queries(0):
        response = client.get(LIVE)

    assert assert_success(response) == {"status": "ok", "version": "1.2.3", "commit": "abc1234"}
    assert "no-store" in response.headers["Cache-Control"]


def test_ready_tells_a_stranger_nothing_but_that(client):
    assert assert_success(client.get(READY)) == {"status": "ok"}


def test_ready_shows_staff_the_parts(client, admin_user):
    client.force_login(admin_user)

    parts = assert_success(client.get(READY))["parts"]

    assert parts.keys() == {"database", "cache"}
    assert all(part["is_up"] and part["duration_ms"] >= 0 for part in parts.values())


def test_another_signed_in_person_is_a_stranger(client, user):
    client.force_login(user)

    assert assert_success(client.get(READY)) == {"status": "ok"}


@pytest.mark.parametrize("method", ["post", "put", "delete"])
@pytest.mark.parametrize("url", [LIVE, READY])
def test_health_is_only_read(client, method, url):
    assert_error(getattr(client, method)(url), 405, "method_not_allowed")


def require_down(client, caplog, part):
    response = client.get(READY)
    body = assert_error(response, 503, "unavailable")
    assert body["message"] == "Not ready."
    assert part not in response.content.decode()
    assert part in [getattr(record, "part", None) for record in caplog.records]


def test_a_cache_that_refuses_is_not_ready(client, settings, caplog):
    use_cache(
        settings, "django.core.cache.backends.redis.RedisCache", LOCATION=f"redis://{NOWHERE}"
    )

    require_down(client, caplog, "cache")


def test_a_cache_that_forgets_is_not_ready(client, settings, caplog):
    use_cache(settings, "django.core.cache.backends.dummy.DummyCache")

    require_down(client, caplog, "cache")


@pytest.mark.redis
def test_a_cache_on_redis_is_ready(client, settings):
    use_cache(
        settings, "django.core.cache.backends.redis.RedisCache", LOCATION=services.redis_url()
    )

    assert_success(client.get(READY))


def test_a_database_that_refuses_is_not_ready(client, caplog):
    original = connections.settings["default"]
    connections.settings["default"] = {
        **original,
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "/nowhere/at/all.sqlite3",
        "OPTIONS": {},
    }
    try:
        # The probe's thread opens a connection of its own; ours stays what it was.
        require_down(client, caplog, "database")
    finally:
        connections.settings["default"] = original


def test_a_broker_that_refuses_is_not_ready_within_the_deadline(client, settings, caplog):
    pytest.importorskip("kombu")
    settings.CELERY_BROKER_URL = f"redis://{NOWHERE}/0"

    started = time.monotonic()
    require_down(client, caplog, "broker")

    assert time.monotonic() - started < 4


@pytest.mark.redis
def test_a_broker_that_answers_is_ready(client, settings):
    pytest.importorskip("kombu")
    settings.CELERY_BROKER_URL = services.redis_url()

    assert_success(client.get(READY))


def test_a_part_that_hangs_costs_the_deadline_and_one_thread(settings, caplog):
    use_cache(settings, f"{__name__}.HangingCache")
    HangingCache.let_go.clear()
    HangingCache.questions = 0

    started = time.monotonic()
    try:
        answers = [ask_parts(deadline_seconds=0.3) for _ in range(3)]
    finally:
        HangingCache.let_go.set()
    passed = time.monotonic() - started

    assert 0.9 <= passed < 3
    for parts in answers:
        assert {part.name: part.is_up for part in parts} == {"database": True, "cache": False}
    assert HangingCache.questions == 1
    assert "health.part_too_slow" in [record.getMessage() for record in caplog.records]


def test_a_part_that_came_back_is_ready_again(client, settings):
    use_cache(settings, "django.core.cache.backends.dummy.DummyCache")
    logging.getLogger("ntc_core.health").setLevel(logging.CRITICAL)
    try:
        assert_error(client.get(READY), 503)
    finally:
        logging.getLogger("ntc_core.health").setLevel(logging.NOTSET)
    use_cache(settings, "django.core.cache.backends.locmem.LocMemCache")

    assert_success(client.get(READY))
