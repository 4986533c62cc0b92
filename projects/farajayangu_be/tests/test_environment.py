"""Reading the environment: values as they are, and sentences that help."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from farajayangu_be.settings.environment import Environment


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return the way to set variables; FileAwareEnv caches, so each test has its own names."""
    return monkeypatch


def test_a_secret_that_begins_with_a_dollar_is_taken_as_it_is(env):
    """django-environ's own call would look for a variable called "ecret"."""
    env.setenv("J_DOLLAR", "$ecret")

    assert Environment().text("J_DOLLAR") == "$ecret"


def test_a_file_may_hold_the_value_and_its_last_line_break_does_not_count(env, tmp_path: Path):
    (tmp_path / "key").write_text("from-a-file\n")
    env.setenv("J_FILED_FILE", str(tmp_path / "key"))

    assert Environment().required("J_FILED", expected="a key") == "from-a-file"


def test_a_file_that_cannot_be_read_is_named_by_its_variable(env):
    env.setenv("J_GONE_FILE", "/does/not/exist")

    with pytest.raises(ImproperlyConfigured, match=r"^J_GONE_FILE cannot be read\. Expected .*"):
        Environment().text("J_GONE")


@pytest.mark.parametrize("value", ["", "   "])
def test_an_empty_value_counts_as_not_set(env, value):
    env.setenv("J_EMPTY", value)

    with pytest.raises(ImproperlyConfigured) as caught:
        Environment().required("J_EMPTY", expected="a key of 50 characters")

    assert str(caught.value) == (
        "J_EMPTY is not set. Expected a key of 50 characters; see .env.example."
    )


def test_words_are_split_at_commas_and_trimmed(env):
    env.setenv("J_WORDS", " a, b,,c ")

    assert Environment().words("J_WORDS") == ["a", "b", "c"]
    assert Environment().words("J_NO_WORDS", default=["d"]) == ["d"]


@pytest.mark.parametrize("value", ["-1", "1.5", "two", "٣"])
def test_a_whole_number_is_digits_only(env, value):
    env.setenv("J_NUMBER", value)

    with pytest.raises(ImproperlyConfigured, match=r"^J_NUMBER is not a whole number"):
        Environment().whole_number("J_NUMBER", default=1)


def test_a_choice_is_known_or_refused(env):
    env.setenv("J_LEVEL", "info")
    assert Environment().one_of("J_LEVEL", ["INFO", "ERROR"], default="ERROR") == "INFO"

    env.setenv("J_LEVEL", "loud")
    with pytest.raises(ImproperlyConfigured, match="one of INFO, ERROR"):
        Environment().one_of("J_LEVEL", ["INFO", "ERROR"], default="ERROR")


@pytest.mark.parametrize(
    "value", ["app.example.com", "https://*.example.com", "https://a.example.com/", "*"]
)
def test_an_origin_has_a_scheme_a_host_and_nothing_else(env, value):
    env.setenv("J_ORIGINS", f"https://good.example.com,{value}")

    with pytest.raises(ImproperlyConfigured, match=r"^J_ORIGINS has an entry"):
        Environment().origins("J_ORIGINS")


@pytest.mark.parametrize(
    "value",
    [
        "https://u:p@a.example.com",
        "https://a.example.com/x",
        "https://a.example.com?b",
        "https://a/#",
    ],
)
def test_the_url_of_a_site_has_no_path_and_no_user(env, value):
    env.setenv("J_SITE", value)

    with pytest.raises(ImproperlyConfigured, match=r"^J_SITE has more than"):
        Environment().site_url("J_SITE", default="")


def test_the_url_of_a_site_may_end_with_a_slash(env):
    env.setenv("J_SLASH", "https://a.example.com:8443/")

    assert Environment().site_url("J_SLASH", default="") == "https://a.example.com:8443"


@pytest.mark.parametrize(
    "value", ["example.com", "ftp://example.com", "https://", "https://[a", "https://a:b"]
)
def test_a_web_url_is_http_with_a_host(env, value):
    env.setenv("J_URL", value)

    with pytest.raises(ImproperlyConfigured, match=r"^J_URL is not a URL"):
        Environment().web_url("J_URL")


def test_a_redis_url_is_one(env):
    env.setenv("J_REDIS", "amqp://host")

    with pytest.raises(ImproperlyConfigured, match=r"^J_REDIS is not a Redis URL"):
        Environment().redis_url("J_REDIS")


def test_a_postgresql_url_becomes_a_persistent_checked_connection(env):
    env.setenv("J_DATABASE", "postgres://faraja:p%40ss@db.internal:5433/faraja?sslmode=require")

    database = Environment().database("J_DATABASE")

    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["USER"], database["PASSWORD"]) == ("faraja", "p@ss")
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.internal", 5433, "faraja")
    assert database["OPTIONS"]["sslmode"] == "require"
    assert database["OPTIONS"]["connect_timeout"] == 5
    assert "-c lock_timeout=2s" in database["OPTIONS"]["options"]
    assert database["CONN_MAX_AGE"] == 60
    assert database["CONN_HEALTH_CHECKS"] is True


def test_a_sqlite_url_becomes_a_file_that_processes_can_share(env, tmp_path: Path):
    env.setenv("J_SQLITE", f"sqlite:///{tmp_path}/deep/db.sqlite3")

    database = Environment().database("J_SQLITE")

    assert database["NAME"] == f"{tmp_path}/deep/db.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]


@pytest.mark.parametrize("value", ["", "mysql://host/name", "postgres://host", "postgres://h:x/n"])
def test_another_database_url_is_refused_and_named(env, value):
    env.setenv("J_WRONG_DATABASE", value)

    with pytest.raises(ImproperlyConfigured, match=r"^J_WRONG_DATABASE "):
        Environment().database("J_WRONG_DATABASE")
