"""What each answer to an order and to a prompt means to an attempt."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ntc_core.http import AnswerUnreadable, HttpFailure, NoAnswer, NotSent
from ntc_payments.testing.misbehaving import MISBEHAVIOURS, misbehaving_server
from ntc_payments.types import (
    Claim,
    FailureCode,
    StartResult,
)

from tests.scripted_company import scripted_company
from tests.selcom_company import (
    BODIES,
    CREATE,
    PUSH,
    STATUS,
    UNCLEAR,
    envelope,
    handle,
    make_provider,
    order,
    order_row,
)

CREATED = BODIES["create_order_minimal_ok"]


@pytest.fixture
def scripted():
    """Run a Selcom that answers what the test says."""
    with scripted_company() as company:
        yield company


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("010", FailureCode.INVALID_REQUEST),
        ("400", FailureCode.INVALID_REQUEST),
        ("900", FailureCode.PROVIDER_REFUSED),
        ("4XX", FailureCode.PROVIDER_REFUSED),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_refused_order_that_is_not_there_is_refused(scripted, code, failure, status):
    """Asked about first: no code is documented for an order that exists already."""
    scripted.answer(CREATE, envelope(code), status=status)
    scripted.answer(STATUS, BODIES["order_status_unknown"])

    outcome = make_provider(scripted.base_url).start(order())

    assert (outcome.result, outcome.failure_code) == (StartResult.REFUSED, failure)
    assert outcome.failure_message == "Told so"
    assert not scripted.calls_to(PUSH)


def test_refused_order_that_is_there_is_a_duplicate(scripted):
    """Whatever the code; and no second prompt."""
    scripted.answer(CREATE, envelope("400"))
    scripted.answer(STATUS, order_row(payment_status="PENDING"))

    outcome = make_provider(scripted.base_url).start(order())

    assert outcome.result is StartResult.DUPLICATE
    assert not scripted.calls_to(PUSH)


@pytest.mark.parametrize("status", [500, 401, 429])
def test_refused_order_that_cannot_be_asked_about_is_unknown(scripted, status):
    """It may be the one of an earlier call."""
    scripted.answer(CREATE, envelope("400"))
    scripted.answer(STATUS, envelope("x"), status=status)

    with pytest.raises(NoAnswer):
        make_provider(scripted.base_url).start(order())


def test_missing_parameter_is_refused_at_once(scripted):
    """Such an order cannot exist."""
    scripted.answer(CREATE, BODIES["create_order_http_412"], status=412)

    outcome = make_provider(scripted.base_url).start(order())

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )
    assert len(scripted.calls) == 1


AT_THE_DOOR = [
    (403, BODIES["not_enabled_http_403"]),
    (200, BODIES["not_enabled_http_403"]),
    (403, envelope("403", message="Source IP not whitelisted (4032)")),
    (200, envelope("900", message="Source IP not whitelisted (4032)")),
    (401, envelope("401", message="Invalid signature")),
    (401, b"<html>no</html>"),
    (403, b""),
]


@pytest.mark.parametrize(("status", "body"), AT_THE_DOOR)
def test_closed_door_is_refused_and_wakes_staff(scripted, caplog, status, body):
    """At the order and at the prompt: nothing is in flight, and no payer can repair it."""
    scripted.answer(CREATE, body, status=status)
    scripted.answer(CREATE, CREATED)
    scripted.answer(PUSH, body, status=status)
    provider = make_provider(scripted.base_url)

    for _ in range(2):
        caplog.clear()
        outcome = provider.start(order())

        assert (outcome.result, outcome.failure_code) == (
            StartResult.REFUSED,
            FailureCode.PROVIDER_REFUSED,
        )
        [record] = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
        assert record.message == "payment.provider_setup"
        assert record.http_status == status
    assert len(scripted.calls) == 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "7"}, 7.0), ({"Retry-After": "Wed, 25 Nov 2026"}, None), ({}, None)],
)
def test_busy_company_gets_the_same_order_later(scripted, headers, seconds):
    """No payer has seen anything yet."""
    scripted.answer(CREATE, b"slow down", status=429, headers=headers)

    outcome = make_provider(scripted.base_url).start(order())

    assert (outcome.result, outcome.retry_after_seconds) == (StartResult.TRY_LATER, seconds)


@pytest.mark.parametrize("name", [*UNCLEAR, "running"])
def test_order_with_an_unclear_answer_gets_no_prompt(scripted, name):
    """It is asked about instead."""
    status, body = UNCLEAR.get(name, (200, envelope("111", "PENDING")))
    scripted.answer(CREATE, body, status=status)

    with pytest.raises((HttpFailure, AnswerUnreadable)) as caught:
        make_provider(scripted.base_url).start(order())

    assert not isinstance(caught.value, NotSent)
    assert len(scripted.calls) == 1


# The second step of a push.


@pytest.mark.parametrize("code", ["000", "111", "927", "001", "002", "003"])
def test_prompt_that_was_taken_is_not_paid(scripted, code):
    """000 too: it only says that the prompt is out."""
    scripted.answer(CREATE, CREATED)
    scripted.answer(PUSH, envelope(code, "SUCCESS" if code == "000" else "INPROGRESS"))

    outcome = make_provider(scripted.base_url).start(order())

    assert (outcome.result, outcome.money) == (StartResult.ACCEPTED, None)


@pytest.mark.parametrize("name", [*UNCLEAR, "busy"])
def test_prompt_with_an_unclear_answer_may_be_out(scripted, name):
    """One call, no repetition, and no outcome."""
    status, body = UNCLEAR.get(name, (429, b""))
    scripted.answer(CREATE, CREATED)
    scripted.answer(PUSH, body, status=status)

    with pytest.raises((HttpFailure, AnswerUnreadable)) as caught:
        make_provider(scripted.base_url).start(order())

    assert not isinstance(caught.value, NotSent)
    assert len(scripted.calls_to(PUSH)) == 1


def test_refused_prompt_is_refused(scripted):
    """The payer saw nothing and may try again at once, under another order."""
    scripted.answer(CREATE, CREATED)
    scripted.answer(PUSH, envelope("010", message="Operator not supported"))

    outcome = make_provider(scripted.base_url).start(order())

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.INVALID_REQUEST,
    )


@pytest.mark.parametrize("message", ["Duplicate transid", "Payment already in progress"])
def test_prompt_refused_for_another_one_is_asked_about(scripted, message):
    """The words are a guess; taking them for a refusal could make a second prompt."""
    scripted.answer(CREATE, CREATED)
    scripted.answer(PUSH, envelope("400", message=message))

    assert make_provider(scripted.base_url).start(order()).result is StartResult.DUPLICATE


@contextlib.contextmanager
def company_that_closes_after_one_answer(body: dict[str, Any]) -> Iterator[str]:
    """Answer one call; nobody listens from before that answer is out."""
    listener = socket.create_server(("127.0.0.1", 0))
    raw = json.dumps(body).encode()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            listener.close()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(raw)}\r\n\r\n"
            connection.sendall(head.encode() + raw)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread.join(timeout=5)


def test_prompt_that_never_left_is_no_prompt():
    """Not "send it again": the order exists, and its number has no documented second use."""
    with company_that_closes_after_one_answer(CREATED) as base_url:
        outcome = make_provider(base_url).start(order())

    assert (outcome.result, outcome.failure_code) == (
        StartResult.REFUSED,
        FailureCode.PROVIDER_UNREACHABLE,
    )


def test_refused_order_and_then_nobody_to_ask_is_unknown():
    """The call that was refused did reach the company."""
    with (
        company_that_closes_after_one_answer(envelope("400")) as base_url,
        pytest.raises(NoAnswer),
    ):
        make_provider(base_url).start(order())


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_order_is_asked_about_whatever_became_of_the_prompt(name, scripted):
    """The order's own status tells the truth after each partial failure."""
    answers = {"/v1/checkout/create-order-minimal": json.dumps(CREATED).encode()}
    with (
        misbehaving_server(name, well_answered=answers) as base_url,
        pytest.raises((HttpFailure, AnswerUnreadable)),
    ):
        make_provider(base_url, total_timeout_seconds=0.5).start(order())
    scripted.answer(STATUS, order_row(payment_status="PENDING"))
    scripted.answer(STATUS, order_row())
    provider = make_provider(scripted.base_url)

    claims = [provider.query(handle())[0].claim for _ in range(2)]

    assert claims == [Claim.ACCEPTED, Claim.SUCCESS]
