"""Every service is really asked; who refuses, hangs or tells a secret is only a line."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from django.core.cache.backends.locmem import LocMemCache
from ntc_core import doctor
from ntc_core.doctor import (
    AnswerState,
    NotAsked,
    NotReady,
    Service,
    ask_services,
    hide_secrets,
)
from ntc_core.testing import services as reachable

NOWHERE = "redis://:the-password@127.0.0.1:9/0"

pytestmark = pytest.mark.django_db(transaction=True)


class HangingCache(LocMemCache):
    """Answers when it is let go."""

    let_go = threading.Event()

    def set(self, *args, **kwargs):
        self.let_go.wait(20)
        return super().set(*args, **kwargs)


@contextmanager
def listed(*asked):
    """Have the doctor ask these too."""
    lister = doctor.services(lambda: asked)
    try:
        yield
    finally:
        doctor._listers.pop(f"{lister.__module__}.{lister.__qualname__}")


def answers(**options):
    return {answer.name: answer for answer in ask_services(**options)}


def raising(error):
    def ask():
        raise error

    return ask


def test_database_migrations_cache_and_channel_layer_are_asked(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    found = answers()

    names = ["database default", "migrations default", "cache default", "channel layer"]
    assert [(name, found[name].state) for name in names] == [(n, AnswerState.UP) for n in names]
    assert "broker" not in found


@pytest.mark.redis
def test_redis_is_asked_by_each_that_uses_it(settings):
    url = reachable.redis_url()
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
    }
    settings.CELERY_BROKER_URL = url
    layer = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [url], "prefix": "doctor-tests"},
    }
    settings.CHANNEL_LAYERS = {"default": layer}

    found = answers()

    assert {found[name].state for name in ("cache default", "broker", "channel layer")} == {
        AnswerState.UP
    }


def test_what_does_not_answer_is_down_with_what_to_do_and_without_its_password(settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": NOWHERE}
    }
    settings.CELERY_BROKER_URL = NOWHERE

    found = answers()

    assert found["cache default"].state is AnswerState.DOWN
    assert found["cache default"].detail.startswith("ConnectionError: ")
    assert found["cache default"].advice == (
        "Check CACHES['default'], and whether that server runs."
    )
    assert found["broker"].state is AnswerState.DOWN
    assert "the-password" not in str(found)


def test_who_hangs_is_down_at_the_deadline_and_the_others_are_not(settings):
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.HangingCache", "LOCATION": "doctor"}}
    HangingCache.let_go.clear()
    began = time.monotonic()

    try:
        found = answers(deadline_seconds=2)
    finally:
        HangingCache.let_go.set()

    assert found["cache default"].detail == "It did not answer before the deadline."
    assert found["cache default"].state is AnswerState.DOWN
    assert found["database default"].state is AnswerState.UP
    assert time.monotonic() - began < 15  # not the 20 s of the one that hangs


def test_an_app_names_whom_it_needs():
    printer = Service(name="printer", ask=lambda: None, advice="Switch it on.")
    scanner = Service(name="scanner", ask=raising(OSError("no paper")), advice="Feed it.")
    fax = Service(name="fax", ask=raising(NotAsked("a call costs money")), advice="Sell it.")
    safe = Service(name="safe", ask=raising(NotReady("It stands open.")), advice="Close it.")

    with listed(printer, scanner, fax, safe):
        found = answers()

    assert [
        (found[name].state, found[name].detail, found[name].advice)
        for name in ("printer", "scanner", "fax", "safe")
    ] == [
        (AnswerState.UP, "", ""),
        (AnswerState.DOWN, "OSError: no paper", "Feed it."),
        (AnswerState.NOT_ASKED, "a call costs money", ""),
        (AnswerState.DOWN, "It stands open.", "Close it."),
    ]


def test_an_app_that_cannot_even_list_them_is_down_itself():
    @doctor.services
    def list_broken():
        yield Service(name="one", ask=lambda: None, advice="")
        raise ValueError("the setting is a list")

    try:
        found = answers()
    finally:
        doctor._listers.pop(f"{list_broken.__module__}.{list_broken.__qualname__}")

    [answer] = [answer for name, answer in found.items() if "list_broken" in name]
    assert (answer.state, answer.detail) == (AnswerState.DOWN, "ValueError: the setting is a list")
    assert found["database default"].state is AnswerState.UP


def test_no_secret_of_the_settings_and_no_person_is_told(settings):
    settings.SHOP_API_KEY = "k-481516"
    settings.SHOP = {"printers": [{"password": "p-481516", "title": "The printer"}]}
    settings.SHOP_URL = "https://asha:u%2F481516@shop.example/"

    text = hide_secrets(
        "k-481516, p-481516, u%2F481516, u/481516 of The printer: call +255712345678\n\x1b[31m"
    )

    assert text == "***, ***, ***, *** of The printer: call +2557****678  [31m"


def test_an_answer_of_any_length_is_cut():
    flood = Service(name="flood", ask=raising(OSError("x" * 100_000)), advice="")

    with listed(flood):
        detail = answers()["flood"].detail

    assert len(detail) == 400
    assert detail.endswith("…")
