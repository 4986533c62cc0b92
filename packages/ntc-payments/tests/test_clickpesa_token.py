"""ClickPesa's token: fetched once for all threads, replaced once when it is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from ntc_core.http import NotSent
from ntc_payments.types import StartResult

from tests.clickpesa_company import BODIES, Company, running_company
from tests.clickpesa_orders import INITIATE, QUERY, handle, make_provider, order

TOKEN = "/generate-token"
UNAUTHORIZED = {"message": "Unauthorized"}


@pytest.fixture
def company() -> Iterator[Company]:
    """Return a company that knows a token and nothing else yet."""
    with running_company() as running:
        yield running


def test_many_threads_fetch_one_token(company):
    """They all wait for the one that fetches."""
    company.token_seconds = 0.2
    company.answer(QUERY, BODIES["query_payment_ok"])
    provider = make_provider(company.base_url)
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait(timeout=5)
        return len(provider.query(handle()))

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask, range(8))) == 8

    assert len(company.calls_to(TOKEN)) == 1
    assert {call.headers["authorization"] for call in company.calls_to(QUERY)} == {"Bearer token-1"}


def test_many_threads_whose_token_is_refused_fetch_one_more(company):
    """Who comes with the old one after another thread has the new one gets the new one."""
    company.answer(QUERY, BODIES["query_payment_ok"])
    provider = make_provider(company.base_url)
    provider.query(handle())
    company.revoked = {"Bearer token-1"}
    company.token_seconds = 0.1
    together = threading.Barrier(4)

    def ask(_: int) -> int:
        together.wait(timeout=5)
        return len(provider.query(handle()))

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(ask, range(4))) == 4

    assert len(company.calls_to(TOKEN)) == 2


def test_token_that_expires_in_flight_is_replaced_and_the_push_made_once(company):
    """401 is said at the door, so the repeated POST is the only one that counts."""
    company.answer(INITIATE, UNAUTHORIZED, status=401)
    company.answer(INITIATE, BODIES["initiate_ussd_ok"])
    provider = make_provider(company.base_url, preview=False)

    outcome = provider.start(order())

    assert outcome.result is StartResult.ACCEPTED
    first, second = company.calls_to(INITIATE)
    assert first.body == second.body
    assert (first.headers["authorization"], second.headers["authorization"]) == (
        "Bearer token-1",
        "Bearer token-2",
    )


def test_second_401_is_the_answer(company):
    """No loop."""
    company.answer(INITIATE, UNAUTHORIZED, status=401)

    outcome = make_provider(company.base_url, preview=False).start(order())

    assert outcome.result is StartResult.REFUSED
    assert len(company.calls_to(INITIATE)) == len(company.calls_to(TOKEN)) == 2


def test_token_is_kept_for_55_minutes(company):
    company.answer(QUERY, BODIES["query_payment_ok"])
    provider = make_provider(company.base_url)

    with time_machine.travel(0, tick=False) as clock:
        provider.query(handle())
        clock.shift(timedelta(minutes=54))
        provider.query(handle())
        assert len(company.calls_to(TOKEN)) == 1
        clock.shift(timedelta(minutes=2))
        provider.query(handle())

    assert len(company.calls_to(TOKEN)) == 2


@pytest.mark.parametrize("token", ["Bearer aaaa.bbbb.cccc", "aaaa.bbbb.cccc"])
def test_the_word_bearer_is_there_once(company, token):
    company.answer(TOKEN, {"success": True, "token": token})
    company.answer(QUERY, BODIES["query_payment_ok"])

    make_provider(company.base_url).query(handle())

    [call] = company.calls_to(QUERY)
    assert call.headers["authorization"] == "Bearer aaaa.bbbb.cccc"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"success": True}),
        (200, {"token": "a\r\nX-Evil: 1"}),
        (200, {"token": "Bearer "}),
        (200, b"<html>"),
        (404, {"message": "Cannot POST /generate-token"}),
        (409, {"message": "already used"}),
        (500, {"message": "Oops"}),
        (302, b""),
        (0, b""),
    ],
)
def test_without_a_token_nothing_was_sent(company, status, body):
    """The call that moves money was certainly not made, so it may be made again."""
    company.answer(TOKEN, body, status=status)
    provider = make_provider(company.base_url)

    with pytest.raises(NotSent):
        provider.start(order())

    assert {call.path for call in company.calls} == {TOKEN}


def test_limit_on_tokens_is_try_later(company):
    company.answer(TOKEN, {"message": "Too many"}, status=429, headers={"retry-after": "9"})

    outcome = make_provider(company.base_url).start(order())

    assert (outcome.result, outcome.retry_after_seconds) == (StartResult.TRY_LATER, 9.0)


def test_refused_token_is_not_used_again_where_no_other_can_be_had(company):
    """The next call begins with a token."""
    company.answer(QUERY, BODIES["query_payment_ok"])
    provider = make_provider(company.base_url)
    provider.query(handle())
    company.revoked = {"Bearer token-1"}
    company.answer(TOKEN, {"message": "Oops"}, status=500)
    company.answer(TOKEN, {"token": "token-2"})

    with pytest.raises(NotSent):
        provider.query(handle())
    provider.query(handle())

    used = [call.headers["authorization"] for call in company.calls_to(QUERY)]
    assert used == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_nobody_waits_for_ever_for_the_thread_that_fetches_the_token(company):
    """Who gives up has sent nothing."""
    provider = make_provider(company.base_url, total_timeout_seconds=0.1)

    with ThreadPoolExecutor(1) as threads, provider._token._lock:
        asking = threads.submit(provider.query, handle())
        assert isinstance(asking.exception(timeout=5), NotSent)

    assert company.calls == []


def test_no_call_begins_after_the_time_for_all_of_them(company):
    """Here it is over at once: the attempt can be made again."""
    provider = make_provider(company.base_url, total_timeout_seconds=0)

    with pytest.raises(NotSent, match="took too long"):
        provider.start(order())

    assert company.calls == []
