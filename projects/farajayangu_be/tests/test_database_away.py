"""PostgreSQL is cut off, falls silent, or keeps a lock: requests end, and soon go well again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg2
import pytest
from farajayangu_be import database
from ntc_core.testing import assert_error

from .processes import run
from .proxy import Proxy, proxy_to
from .stack import Stack

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

ANSWER_SECONDS = database.ANSWER_TIMEOUT_SECONDS + 10


@pytest.fixture(scope="module")
def road(
    fresh_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, str]]:
    """Return the way to PostgreSQL, and the URL of a list that is read from it."""
    folder: Path = tmp_path_factory.mktemp("away")
    with proxy_to(fresh_postgres) as (proxy, url):
        stack = Stack(database_url=url, folder=folder)
        with stack.web():
            yield proxy, f"{stack.base_url}/api/v1/plans/"


def test_a_connection_that_is_cut_costs_nobody_more_than_one_answer(road):
    proxy, plans = road
    assert httpx.get(plans, timeout=ANSWER_SECONDS).status_code == 200

    proxy.cut()

    assert httpx.get(plans, timeout=ANSWER_SECONDS).status_code in {200, 503}
    assert httpx.get(plans, timeout=ANSWER_SECONDS).status_code == 200


def test_a_server_that_says_nothing_more_ends_in_503_and_not_in_waiting(road):
    """Neither on the connection that we have nor on the one that we then try to make."""
    proxy, plans = road
    assert httpx.get(plans, timeout=ANSWER_SECONDS).status_code == 200
    proxy.silent = True
    try:
        response = httpx.get(plans, timeout=ANSWER_SECONDS)
    finally:
        proxy.silent = False

    assert_error(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "5"
    proxy.cut()
    httpx.get(plans, timeout=ANSWER_SECONDS)
    assert httpx.get(plans, timeout=ANSWER_SECONDS).status_code == 200


def test_a_lock_that_is_not_given_ends_in_503(road, fresh_postgres):
    _, plans = road
    holder = psycopg2.connect(fresh_postgres)
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE subscriptions_plan IN ACCESS EXCLUSIVE MODE")
        response = httpx.get(plans, timeout=ANSWER_SECONDS)
    finally:
        holder.close()

    assert_error(response, 503, "unavailable")
    assert httpx.get(plans, timeout=ANSWER_SECONDS).status_code == 200


@pytest.mark.parametrize(("command", "limits"), [("shell", "15s 2s 1min"), ("migrate", "0 0 0")])
def test_only_a_migration_may_take_as_long_as_it_takes(fresh_postgres, tmp_path, command, limits):
    stack = Stack(database_url=fresh_postgres, folder=tmp_path)
    show = " ".join(
        f"current_setting('{name}')||' '||"
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    ).removesuffix("||' '||")
    ask = f"""
import django
django.setup()
from django.core.management import call_command
from django.db import connection
if {command!r} == "migrate":
    call_command("migrate", verbosity=0)
with connection.cursor() as cursor:
    cursor.execute({"SELECT " + show!r})
    print("limits:", cursor.fetchone()[0])
"""
    with run("ask", ["-c", ask], env=stack.env, folder=tmp_path) as asking:
        assert asking.process.wait(60) == 0, asking.output

    assert f"limits: {limits}\n" in asking.output
