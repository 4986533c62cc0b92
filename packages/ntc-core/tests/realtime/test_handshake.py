"""Who gets a socket: one ticket, one socket, from our pages or an app."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from ntc_core.auth import services as auth
from ntc_core.realtime.errors import OriginRefused
from ntc_core.realtime.handshake import read_opening
from ntc_core.realtime.models import RealtimeConnection, RealtimeTicket
from ntc_core.realtime.services import issue_ticket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.models import Shop
from tests.realtime.conftest import ORIGIN

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/realtime/tickets/"


@pytest.fixture
def signed_in(asha):
    return auth.sign_in(user=asha)


@pytest.fixture
def refuse(server):
    """Return a function that expects a refusal and returns its status and code."""

    def refused(path="/ws/", *, protocols, origin=None, headers=None):
        asked = {"subprotocols": protocols, "origin": origin, "additional_headers": headers}
        with (
            pytest.raises(InvalidStatus) as refusal,
            connect(f"{server.socket_url}{path}", **asked),
        ):
            pass
        response = refusal.value.response
        body = json.loads(response.body)
        assert body["status"] == "error"
        return response.status_code, body["errors"][0]["code"]

    return refused


def protocols(ticket: str) -> list[str]:
    return ["ntc.v1", f"ticket.{ticket}"]


def test_a_ticket_of_the_api_opens_a_socket(server, signed_in):
    client = Client(headers={"Authorization": f"Bearer {signed_in.access}"})
    response = client.post(URL, headers={"Host": f"127.0.0.1:{server.port}"})

    assert response.status_code == 201
    data = response.json()["data"]
    assert data["expires_in"] == 30
    assert data["url"] == f"{server.socket_url}/ws/"
    assert data["protocols"] == protocols(data["ticket"])
    with connect(data["url"], subprotocols=data["protocols"], origin=ORIGIN) as socket:
        assert socket.subprotocol == "ntc.v1"
        assert json.loads(socket.recv()) == {"type": "hello", "seq": 0, "heartbeat_seconds": 20}
        [row] = RealtimeConnection.objects.all()
        assert (row.session, row.user, row.path) == (
            signed_in.session,
            signed_in.session.user,
            "/ws/",
        )


def test_nobody_gets_a_ticket_without_signing_in():
    assert Client().post(URL).status_code == 401


def test_a_cookie_needs_its_csrf_token_for_a_ticket(signed_in):
    client = Client(enforce_csrf_checks=True)
    client.cookies["ntc_access"] = signed_in.access
    client.cookies["__Host-ntc_access"] = signed_in.access
    assert client.post(URL).status_code == 403
    assert not RealtimeTicket.objects.exists()


def test_tickets_are_limited_per_user(signed_in, settings):
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"realtime": "2/min"},
    }
    client = Client(headers={"Authorization": f"Bearer {signed_in.access}"})
    assert [client.post(URL).status_code for _ in range(3)] == [201, 201, 429]


def test_no_usable_ticket_is_stored(signed_in):
    ticket = issue_ticket(session=signed_in.session)
    [row] = RealtimeTicket.objects.all()
    assert ticket not in str(vars(row))
    assert row.token_hash == hashlib.sha256(ticket.encode()).hexdigest()


def test_a_ticket_opens_one_socket(open_socket, refuse, signed_in):
    ticket = issue_ticket(session=signed_in.session)
    open_socket(ticket=ticket)
    assert refuse(protocols=protocols(ticket)) == (401, "ticket_invalid")


def test_a_ticket_is_redeemed_once_by_many_at_once(server, signed_in):
    ticket = issue_ticket(session=signed_in.session)

    def try_it(_):
        try:
            with connect(f"{server.socket_url}/ws/", subprotocols=protocols(ticket)):
                return True
        except InvalidStatus:
            return False

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(try_it, range(24))) == 1


@pytest.mark.parametrize(
    "query", ["ticket={}", "token={}", "x={}", "ticket=ticket.{}", "after=0&y={}"]
)
def test_a_ticket_in_the_url_is_refused_and_spent(query, refuse, signed_in):
    ticket = issue_ticket(session=signed_in.session)
    path = "/ws/?" + query.format(ticket)
    assert refuse(path, protocols=protocols(ticket)) == (400, "ticket_in_url")
    assert refuse(protocols=protocols(ticket)) == (401, "ticket_invalid")


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "after=", "after=1&after=2", "after=1e3", "page=1", "after=٣"]
)
def test_an_odd_query_is_refused(query, refuse, signed_in):
    ticket = issue_ticket(session=signed_in.session)
    status, code = refuse(f"/ws/?{query}", protocols=protocols(ticket))
    assert (status, code) == (400, "invalid")


@pytest.mark.parametrize("age", [30, 31, 3600])
def test_a_ticket_is_for_30_seconds(age, refuse, signed_in):
    ticket = issue_ticket(session=signed_in.session)
    made = timezone.now() - timedelta(seconds=age)
    RealtimeTicket.objects.update(expires_at=made + timedelta(seconds=30))
    assert refuse(protocols=protocols(ticket)) == (401, "ticket_invalid")


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_ticket_goes_by_the_clock_of_the_database(hours, open_socket, signed_in):
    """The machine that issues it and the one that redeems it may have two others."""
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        ticket = issue_ticket(session=signed_in.session)
    left = RealtimeTicket.objects.get().expires_at - timezone.now()
    assert timedelta(seconds=0) < left <= timedelta(seconds=31)
    open_socket(ticket=ticket)


@pytest.mark.parametrize("end", ["sign out", "deactivate", "delete"])
def test_a_ticket_ends_with_its_session(end, refuse, signed_in, asha):
    ticket = issue_ticket(session=signed_in.session)
    match end:
        case "sign out":
            auth.sign_out_everywhere(user=asha)
        case "deactivate":
            User.objects.update(is_active=False)
        case "delete":
            asha.delete()
    assert refuse(protocols=protocols(ticket)) == (401, "ticket_invalid")


@pytest.mark.parametrize(
    "offered",
    [
        None,
        ["ntc.v1"],
        ["ticket.{}"],
        ["ntc.v2", "ticket.{}"],
        ["ntc.v1", "ticket.{}", "ticket.another"],
        ["ntc.v1", "bearer.{}"],
    ],
)
def test_the_subprotocols_are_required(offered, refuse, signed_in):
    ticket = issue_ticket(session=signed_in.session)
    names = offered and [name.format(ticket) for name in offered]
    assert refuse(protocols=names) == (400, "subprotocol_missing")


@pytest.mark.parametrize("ticket", ["", "x", "a" * 500, "e3b0c44298fc1c149afbf4c8996fb924"])
def test_a_guess_opens_nothing(ticket, refuse):
    assert refuse(protocols=["ntc.v1", f"ticket.{ticket}"]) == (401, "ticket_invalid")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://app.example.com:8443",
        "https://user@app.example.com",
        "https://app.example.com/page",
        "https://app.example.com?x",
        "null",
        "",
        "file://",
        "https://[",
    ],
)
def test_a_page_of_another_origin_is_refused_and_spends_nothing(
    origin, refuse, signed_in, open_socket
):
    ticket = issue_ticket(session=signed_in.session)
    # The client leaves an empty Origin away unless it is a header like others.
    headers = {"Origin": origin}
    assert refuse(protocols=protocols(ticket), headers=headers) == (403, "origin_refused")
    open_socket(ticket=ticket)


@pytest.mark.parametrize("origin", [ORIGIN, f"{ORIGIN}:443", "HTTPS://APP.example.com", None])
def test_our_pages_and_apps_are_let_in(origin, open_socket, asha):
    assert open_socket(asha, origin=origin).hello["seq"] == 0


def test_an_origin_may_match_a_pattern_as_a_whole(open_socket, refuse, signed_in, settings):
    settings.NTC_REALTIME_ORIGIN_REGEXES = [r"http://localhost:\d+"]
    ticket = issue_ticket(session=signed_in.session)
    longer = "http://localhost:3000.evil.example"
    assert refuse(protocols=protocols(ticket), origin=longer) == (403, "origin_refused")
    open_socket(ticket=ticket, origin="http://localhost:3000")


def test_two_origins_are_refused():
    """By servers that let them through."""
    headers = [(b"origin", ORIGIN.encode()), (b"origin", b"https://evil.example")]
    with pytest.raises(OriginRefused):
        read_opening({"headers": headers, "path": "/ws/"})


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/nothing/", "/ws/shops/x/", "/api/v1/ws/"])
def test_there_are_sockets_only_where_there_are_handlers(path, refuse, signed_in):
    ticket = issue_ticket(session=signed_in.session)
    assert refuse(path, protocols=protocols(ticket)) == (404, "not_found")


def test_a_handler_refuses_who_may_not(refuse, signed_in, open_socket):
    ticket = issue_ticket(session=signed_in.session)
    path = f"/ws/shops/{Shop.objects.create(name='Duka').pk}/"
    assert refuse("/ws/shops/999/", protocols=protocols(ticket)) == (404, "not_found")
    assert open_socket(session=signed_in.session, path=path).hello["seq"] == 0


def test_a_mistake_in_a_handler_is_a_500_and_in_the_log(refuse, signed_in, caplog):
    ticket = issue_ticket(session=signed_in.session)
    assert refuse("/ws/broken/", protocols=protocols(ticket)) == (500, "server_error")
    assert "realtime.handshake_failed" in caplog.messages
    assert not RealtimeConnection.objects.exists()


def test_a_full_process_says_so(open_socket, refuse, asha, signed_in, settings):
    settings.NTC_REALTIME_SOCKETS_PER_PROCESS = 1
    open_socket(asha)
    ticket = issue_ticket(session=signed_in.session)
    assert refuse(protocols=protocols(ticket)) == (503, "unavailable")


def test_no_log_line_has_a_ticket(open_socket, refuse, signed_in, caplog):
    caplog.set_level("DEBUG", logger="ntc_core")
    caplog.set_level("INFO", logger="uvicorn")
    ticket = issue_ticket(session=signed_in.session)
    open_socket(ticket=ticket)
    refuse(protocols=protocols(ticket))
    assert "realtime.opened" in caplog.messages
    assert ticket not in caplog.text
