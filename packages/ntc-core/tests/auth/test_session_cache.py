"""A session believed without a query, and never one that has ended."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import transaction
from ntc_core.auth import services
from ntc_core.auth.checks import check_session_cache
from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.models import AuthSession, EndReason
from ntc_core.auth.session_cache import remember
from ntc_core.testing import assert_error, assert_success
from ntc_core.testing.services import redis_url

from tests.auth.conftest import PASSWORD

WHO = "/api/v1/who/"


def away_url() -> str:
    """Return the address of a Redis that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{probe.getsockname()[1]}/0"


@pytest.fixture(params=["locmem", pytest.param("redis", marks=pytest.mark.redis)])
def _cached(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.NTC_SESSION_CACHE_SECONDS = 60
    if request.param == "redis":
        use_redis(settings, str(redis_url(database=13)))
        caches["shared"].clear()


def use_redis(settings: Any, url: str) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {**settings.CACHES, "shared": {"BACKEND": backend, "LOCATION": url}}
    settings.NTC_SESSION_CACHE = "shared"


@pytest.fixture
def ask(api_client: Any, signed_in: services.SignedIn) -> Any:
    """Return a function that makes a request as the person."""
    return lambda: api_client.get(WHO, headers={"Authorization": f"Bearer {signed_in.access}"})


@pytest.mark.usefixtures("_cached")
def test_second_request_costs_no_query(ask, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert_success(ask())
    with django_assert_num_queries(0):
        assert assert_success(ask()) == {"identifier": "asha"}


@pytest.mark.usefixtures("_cached")
@pytest.mark.parametrize("way", ["out", "everywhere", "one", "staff", "deactivate", "delete"])
def test_what_ends_is_refused_at_once(
    ask, person, signed_in, way, django_capture_on_commit_callbacks
):
    assert_success(ask())

    with django_capture_on_commit_callbacks(execute=True):
        if way == "out":
            services.sign_out(refresh_token=signed_in.refresh)
        elif way == "everywhere":
            services.sign_out_everywhere(user=person)
        elif way == "deactivate":
            person.is_active = False
            person.save()
        elif way == "delete":
            User.objects.all().delete()
        else:
            reason = EndReason.DEVICE if way == "one" else EndReason.STAFF
            services.end_session(signed_in.session, reason=reason)

    assert_error(ask(), 401, code="token_invalid")


@pytest.mark.usefixtures("_cached")
def test_theft_is_refused_at_once(ask, signed_in, settings, django_capture_on_commit_callbacks):
    settings.NTC_REFRESH_GRACE_SECONDS = 0
    assert_success(ask())
    services.refresh(refresh_token=signed_in.refresh)

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(TokenInvalid):
        services.refresh(refresh_token=signed_in.refresh)

    assert_error(ask(), 401, code="token_invalid")


@pytest.mark.usefixtures("_cached")
def test_slow_request_does_not_revive_a_session(ask, signed_in, django_capture_on_commit_callbacks):
    """It read the session alive, and writes it to the cache after the end."""
    seen_alive = AuthSession.objects.select_related("user").get()
    with django_capture_on_commit_callbacks(execute=True):
        services.sign_out(refresh_token=signed_in.refresh)

    remember(seen_alive)

    assert_error(ask(), 401, code="token_invalid")


@pytest.mark.usefixtures("_cached")
def test_change_of_the_user_is_seen_at_once(ask, person, django_capture_on_commit_callbacks):
    assert_success(ask())

    with django_capture_on_commit_callbacks(execute=True):
        person.username = "asha2"
        person.save()

    assert assert_success(ask()) == {"identifier": "asha2"}


@pytest.mark.usefixtures("_cached")
@pytest.mark.django_db(transaction=True)
def test_end_that_is_rolled_back_changes_nothing(ask, person):
    assert_success(ask())

    with transaction.atomic():
        services.sign_out_everywhere(user=person)
        transaction.set_rollback(True)

    assert_success(ask())


@pytest.mark.usefixtures("_cached")
def test_update_past_the_orm_is_seen_after_a_minute_at_the_latest(ask, settings):
    with time_machine.travel(datetime.now(tz=UTC), tick=False) as clock:
        assert_success(ask())
        User.objects.update(is_active=False)
        clock.shift(timedelta(seconds=61))
        if "shared" in settings.CACHES:
            caches["shared"].clear()  # Redis has a clock of its own

        assert_error(ask(), 401, code="token_invalid")


@pytest.mark.usefixtures("_cached")
def test_session_that_expires_in_the_cache_is_over(ask):
    AuthSession.objects.update(expires_at=datetime.now(tz=UTC) + timedelta(seconds=20))
    with time_machine.travel(datetime.now(tz=UTC), tick=False) as clock:
        assert_success(ask())
        clock.shift(timedelta(seconds=21))

        assert_error(ask(), 401, code="token_invalid")


@pytest.mark.usefixtures("_cached")
def test_cache_never_holds_the_hash_of_a_password(ask, person, settings):
    assert_success(ask())

    session = caches[getattr(settings, "NTC_SESSION_CACHE", "default")].get(
        f"ntc.auth.session:{AuthSession.objects.get().uid.hex}"
    )

    assert "password" not in vars(session.user)
    assert session.user.check_password(PASSWORD)


def test_cache_that_is_away_costs_a_query_and_nothing_else(
    ask, signed_in, settings, caplog, django_capture_on_commit_callbacks
):
    settings.NTC_SESSION_CACHE_SECONDS = 60
    use_redis(settings, away_url())

    assert_success(ask())
    with django_capture_on_commit_callbacks(execute=True):
        services.sign_out(refresh_token=signed_in.refresh)

    assert_error(ask(), 401, code="token_invalid")
    assert "auth.session_cache.away" in caplog.text
    assert "auth.session_cache.unmarked" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "backend", "problems"),
    [
        (0, "django.core.cache.backends.locmem.LocMemCache", []),
        (60, "django.core.cache.backends.redis.RedisCache", []),
        (60, "django.core.cache.backends.locmem.LocMemCache", ["ntc_auth.E006"]),
        (60, None, ["ntc_auth.E006"]),
    ],
)
def test_cache_must_be_shared_by_all_processes(settings, seconds, backend, problems):
    settings.NTC_SESSION_CACHE_SECONDS = seconds
    settings.CACHES = {"default": {"BACKEND": backend}} if backend else {}

    assert [problem.id for problem in check_session_cache()] == problems
