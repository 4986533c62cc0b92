"""One id follows a request: in, out, into the log and into errors."""

from __future__ import annotations

import asyncio
import re
import uuid

import pytest
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from ntc_core.middleware import RequestIdMiddleware
from ntc_core.request_id import bind_request_id, get_request_id, new_request_id

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def request_id_of(headers=None, path="/api/v1/hello/"):
    return Client().get(path, headers=headers or {}).headers["X-Request-ID"]


def test_a_request_without_an_id_gets_a_uuid7():
    assert UUID7.fullmatch(request_id_of())
    assert request_id_of() != request_id_of()


@pytest.mark.parametrize("given", ["checkout-42", "a" * 64, "A.b_c-1234", str(uuid.uuid4())])
def test_a_good_id_is_kept(given):
    assert request_id_of({"X-Request-ID": given}) == given


@pytest.mark.parametrize(
    "given", ["short", "a" * 65, "has space", "ü" * 10, "a;b=c&d" * 2, "abcdefgh\n", "<script>aa"]
)
def test_an_id_that_could_hurt_a_log_is_replaced(given):
    assert UUID7.fullmatch(request_id_of({"X-Request-ID": given}))


@pytest.mark.parametrize(
    "path", ["/nothing/", "/health/live/", "/admin/", "/api/v1/raise/conflict/"]
)
def test_every_answer_has_one(path):
    assert UUID7.fullmatch(request_id_of(path=path))


def test_the_id_is_bound_within_the_request_only():
    seen = []

    def view(request):
        seen.append(get_request_id())
        return HttpResponse()

    middleware = RequestIdMiddleware(view)
    response = middleware(RequestFactory().get("/", headers={"X-Request-ID": "checkout-42"}))

    assert seen == ["checkout-42"]
    assert response.headers["X-Request-ID"] == "checkout-42"
    assert get_request_id() == ""


def test_requests_at_the_same_time_do_not_mix_their_ids_under_asgi():
    async def ask():
        clients = [AsyncClient() for _ in range(20)]
        return await asyncio.gather(
            *(
                client.get("/api/v1/hello-async/", headers={"X-Request-ID": f"request-{number}"})
                for number, client in enumerate(clients, start=100)
            )
        )

    ids = [response.headers["X-Request-ID"] for response in asyncio.run(ask())]

    assert ids == [f"request-{number}" for number in range(100, 120)]


def test_binding_is_undone_after_an_error():
    def fail_inside():
        with bind_request_id("outer-id"):
            with bind_request_id("inner-id"):
                assert get_request_id() == "inner-id"
            assert get_request_id() == "outer-id"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()

    assert get_request_id() == ""
    assert new_request_id() < new_request_id()
