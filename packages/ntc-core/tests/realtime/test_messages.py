"""What a client may say, how much of it, and what it hears back."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from django.db import transaction
from ntc_core.auth import services as auth
from ntc_core.realtime import push
from ntc_core.realtime.connection import serve_socket
from ntc_core.realtime.handlers import socket
from ntc_core.realtime.models import RealtimeConnection
from ntc_core.realtime.services import issue_ticket

from tests.models import Shop
from tests.realtime.conftest import await_no_connections
from tests.sockets import release

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop_phone(open_socket, asha):
    shop = Shop.objects.create(name="Duka")
    return open_socket(asha, path=f"/ws/shops/{shop.pk}/")


def test_a_handler_answers(shop_phone, asha):
    reply = {"type": "reply", "id": 1, "data": {"name": "Duka", "for": asha.pk}}
    assert shop_phone.ask("name") == reply


def test_an_error_of_a_handler_is_told_and_the_socket_goes_on(shop_phone, caplog):
    assert shop_phone.ask("x") == {
        "type": "error",
        "id": 1,
        "code": "unprocessable",
        "message": "I only know 'name'.",
    }
    assert shop_phone.ask("break")["code"] == "server_error"
    assert shop_phone.ask("odd")["code"] == "server_error"
    assert caplog.messages.count("realtime.handler_failed") == 2
    assert "on purpose" not in str(shop_phone.ask("break"))
    assert shop_phone.ask("name")["type"] == "reply"


def test_handlers_that_take_their_time_delay_nobody_else(open_socket, asha):
    release.clear()
    path = f"/ws/shops/{Shop.objects.create(name='Duka').pk}/"
    slow = [open_socket(asha, path=path) for _ in range(5)]
    try:
        for phone in slow:
            phone.send({"type": "message", "id": 1, "data": "wait"})
        other = open_socket(asha)
        push(asha, "a", {})
        assert other.events(1) == [(1, "a")]
    finally:
        release.set()
    assert [phone.read()["data"] for phone in slow] == [True] * 5


def test_the_socket_of_a_user_takes_no_messages(open_socket, asha):
    assert open_socket(asha).ask("hello")["code"] == "invalid"


def test_a_ping_is_answered(open_socket, asha):
    phone = open_socket(asha)
    phone.send({"type": "ping"})
    assert phone.read() == {"type": "pong"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "1",
        "null",
        "{}",
        '{"type": "event"}',
        '{"type": "message"}',
        '{"type": "message", "id": null}',
        '{"type": "message", "id": {}}',
        '{"type": ["ping"]}',
        "[" * 5000,
        '{"type": NaN}',
    ],
)
def test_what_cannot_be_understood_is_told(text, open_socket, asha):
    phone = open_socket(asha)
    phone.send(text)
    answer = phone.read()
    assert (answer["type"], answer["code"]) == ("error", "invalid")
    phone.send({"type": "ping"})
    assert phone.read() == {"type": "pong"}


def test_a_message_that_is_too_long_closes(open_socket, asha):
    phone = open_socket(asha)
    phone.send('"' + "x" * (16 * 1024 - 2) + '"')
    assert phone.read()["type"] == "error"
    phone.send('"' + "é" * (8 * 1024) + '"')
    assert phone.closed_with()[0] == 1009


def test_a_binary_message_closes(open_socket, asha):
    phone = open_socket(asha)
    phone.socket.send(b"{}")
    assert phone.closed_with()[0] == 1003


def test_too_many_messages_close(open_socket, asha, settings):
    settings.NTC_REALTIME_MESSAGES_PER_10_SECONDS = 5
    phone = open_socket(asha)
    for _ in range(5):
        phone.send({"type": "ping"})
        assert phone.read() == {"type": "pong"}
    phone.send({"type": "ping"})
    assert phone.closed_with()[0] == 4429


def test_a_client_that_takes_no_data_is_closed(open_socket, asha, settings, caplog):
    """An app that hangs: its buffers fill, then the server's, then the server lets go."""
    caplog.set_level("INFO", logger="ntc_core.realtime")
    settings.NTC_REALTIME_SEND_SECONDS = 0.5
    settings.NTC_REALTIME_BACKLOG = 10**6
    phone = open_socket(asha)
    with transaction.atomic():
        for _ in range(1000):
            push(asha, "tick", {"text": secrets.token_hex(8_000)})
    await_no_connections()
    [closed] = [line for line in caplog.records if line.message == "realtime.closed"]
    assert closed.why == "slow"
    phone.socket.socket.close()


@pytest.mark.parametrize("message", ["websocket.accept", "websocket.send"])
def test_a_client_that_is_gone_before_we_write_is_no_error(message, asha, caplog):
    """An ASGI server says so with an OSError."""
    ticket = issue_ticket(session=auth.sign_in(user=asha).session)
    scope = {"path": "/ws/", "headers": [], "subprotocols": ["ntc.v1", f"ticket.{ticket}"]}

    async def send(sent):
        if sent["type"] == message:
            raise OSError

    async def serve():
        said = asyncio.Queue()
        said.put_nowait({"type": "websocket.connect"})
        await serve_socket(scope, said.get, send)

    asyncio.run(serve())

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert not RealtimeConnection.objects.exists()


def test_a_route_belongs_to_one_handler():
    with pytest.raises(ValueError, match=r"is tests\.sockets\.ShopSocket already"):

        @socket("shops/<int:pk>/")
        class Other:
            pass

    for route in ("shops", "/shops/"):
        with pytest.raises(ValueError, match="ends with a slash"):
            socket(route)(type("Odd", (), {}))
