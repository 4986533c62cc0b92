"""The test utilities: what they accept, what they refuse, and what a run says it left out."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from ntc_core.testing import assert_error, assert_success, services
from ntc_core.testing.plugin import make_user

PACKAGE = Path(__file__).parent.parent


def answer(body, status=200, content_type="application/json", **headers):
    content = body if isinstance(body, str) else json.dumps(body)
    return HttpResponse(content, status=status, content_type=content_type, headers=headers)


GOOD = {"status": "success", "message": "Success", "data": [1]}
BAD = {
    "status": "error",
    "message": "No.",
    "data": None,
    "errors": [
        {"code": "required", "detail": "Say it.", "attr": "name"},
        {"code": "invalid", "detail": "No.", "attr": "phone"},
    ],
    "request_id": "checkout-42",
}


def test_assert_success_returns_the_data():
    assert assert_success(answer(GOOD)) == [1]
    assert assert_success(answer(GOOD, 201), 201) == [1]


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (answer(GOOD, 201), "HTTP 201, expected 200"),
        (answer(GOOD, content_type="text/html"), "Content-Type"),
        (answer(BAD), "status is not 'success'"),
        (answer({**GOOD, "extra": 1}), "keys"),
        (answer({"data": 1}), "not an envelope"),
        (answer([1]), "not an envelope"),
        (answer({**GOOD, "message": {"phone": "x"}}), "message is not a text"),
        (answer('{"status": "success", "message": "x", "data": NaN}'), "NaN"),
    ],
)
def test_assert_success_says_what_is_wrong(response, problem):
    with pytest.raises(AssertionError, match=problem):
        assert_success(response)


def test_assert_error_returns_the_body():
    assert assert_error(answer(BAD, 400), 400) == BAD
    assert assert_error(answer(BAD, 400), 400, "required") == BAD
    assert assert_error(answer(BAD, 400), 400, attr="phone") == BAD
    assert assert_error(answer(BAD, 400), 400, "required", "name") == BAD
    headers = {"X-Request-ID": "checkout-42"}
    assert assert_error(answer(BAD, 400, **headers), 400) == BAD


@pytest.mark.parametrize(
    ("changes", "arguments", "problem"),
    [
        ({}, {"code": "late"}, "no error with code='late'"),
        ({}, {"code": "required", "attr": "phone"}, "no error with"),
        ({"data": {}}, {}, "data is not null"),
        ({"errors": []}, {}, "errors is empty"),
        ({"errors": [{"code": "x"}]}, {}, "other keys"),
        ({"request_id": ""}, {}, "request_id is empty"),
        ({"request_id": "another-id"}, {}, "differs from the X-Request-ID"),
        ({"extra": 1}, {}, "keys"),
        ({"status": "success"}, {}, "status is not 'error'"),
    ],
)
def test_assert_error_says_what_is_wrong(changes, arguments, problem):
    headers = {"X-Request-ID": "checkout-42"}
    response = answer({**BAD, **changes}, 400, **headers)

    with pytest.raises(AssertionError, match=problem):
        assert_error(response, 400, **arguments)


def test_the_user_is_active_saved_and_cannot_sign_in_by_password(user):
    assert get_user_model().objects.get() == user
    assert user.is_active
    assert not user.has_usable_password()


@pytest.mark.django_db
def test_users_differ_and_can_be_given_values():
    asha, juma = make_user(username="asha", email="asha@example.com"), make_user()

    assert (asha.username, asha.email) == ("asha", "asha@example.com")
    assert asha.username != juma.username
    assert "@example.com" not in juma.username


def test_the_signed_in_client_is_let_in(signed_in_client, user):
    data = assert_success(signed_in_client.get("/api/v1/secret/"))

    assert data == {"hello": str(user.pk)}


def test_run_jobs_runs_what_is_due(run_jobs):
    assert run_jobs() == 0


@pytest.fixture
def fresh_services(monkeypatch):
    """Forget what was found out about this machine."""
    for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL", "TEST_DATABASE_SUFFIX"):
        monkeypatch.delenv(name, raising=False)
    services.database_url.cache_clear()
    services.redis_is_reachable.cache_clear()
    yield monkeypatch
    services.database_url.cache_clear()
    services.redis_is_reachable.cache_clear()


def test_a_given_database_url_is_read_completely(fresh_services):
    fresh_services.setenv(
        "TEST_DATABASE_URL", "postgresql://u%40x:p%2Fw@db.example:6543/shop?sslmode=require"
    )
    fresh_services.setenv("TEST_DATABASE_SUFFIX", "two")

    assert services.database_settings("core") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "u@x",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": "6543",
        "OPTIONS": {"sslmode": "require"},
        "TEST": {"NAME": "test_core_two"},
    }


def test_sqlite_is_a_file_per_name(fresh_services):
    fresh_services.setenv("TEST_DATABASE_URL", "sqlite:")

    found = services.database_settings("core")

    assert found["ENGINE"] == "django.db.backends.sqlite3"
    assert found["TEST"]["NAME"].endswith("/test_core.sqlite3")


def test_a_database_we_cannot_test_on_is_named(fresh_services):
    fresh_services.setenv("TEST_DATABASE_URL", "mysql://db")

    with pytest.raises(ValueError, match="'mysql'"):
        services.database_settings("core")


@pytest.fixture
def nobody_listens(fresh_services):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    fresh_services.setattr(services, "LOCAL_POSTGRES_URL", f"postgres://x@127.0.0.1:{port}/x")
    fresh_services.setattr(services, "LOCAL_REDIS_URL", f"redis://127.0.0.1:{port}")


def test_without_servers_sqlite_is_used_and_no_redis(nobody_listens):
    assert services.database_url() == "sqlite:"
    assert services.redis_url() is None


def test_a_given_redis_url_is_used_as_it_is(fresh_services):
    fresh_services.setenv("TEST_REDIS_URL", "redis://cache.example/7")

    assert services.redis_url(database=3) == "redis://cache.example/7"


@pytest.mark.postgres
def test_the_local_postgres_is_found(fresh_services):
    assert services.database_url() == services.LOCAL_POSTGRES_URL
    assert services.database_settings("core")["TEST"] == {"NAME": "test_core"}


@pytest.mark.redis
def test_the_local_redis_is_found(fresh_services):
    assert services.redis_url(database=3) == f"{services.LOCAL_REDIS_URL}/3"


SUITE = """
    import pytest

    @pytest.mark.postgres
    def test_rows(): pass

    @pytest.mark.postgres
    def test_locks(): pass

    @pytest.mark.redis
    def test_cache(): pass

    def test_plain(): pass
"""


@pytest.fixture
def run_suite(pytester, monkeypatch):
    """Run a suite of its own in another process, where no service is."""

    def run(**environment):
        nothing = {"TEST_DATABASE_URL": "sqlite:", "TEST_REDIS_URL": "none"}
        for name, value in {**nothing, **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
        pytester.makepyfile(SUITE)
        return pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider")

    monkeypatch.delenv("CI", raising=False)
    return run


def test_a_run_without_services_says_in_one_line_what_it_left_out(run_suite):
    result = run_suite()

    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(
        ["Not covered here: 2 tests that need PostgreSQL (*); 1 tests that need Redis (*)."]
    )


def test_in_ci_a_missing_service_is_a_failure(run_suite):
    result = run_suite(CI="true")

    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines(["*CI=true and there is no PostgreSQL*"])
    assert "Not covered" not in result.stdout.str()


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("TEST_DATABASE_URL", "postgres://shop:pass@127.0.0.1:9/shop"),
        ("TEST_REDIS_URL", "redis://127.0.0.1:9/0"),
    ],
)
def test_a_service_that_was_named_and_is_silent_stops_the_run_with_a_sentence(
    run_suite, variable, url
):
    result = run_suite(**{variable: url})

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*Nothing answers at the {variable} given (127.0.0.1:9*"])
    assert "pass" not in result.stderr.str()
