"""A real server on a port, and clients that connect to it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from ntc_core.auth import services
from ntc_core.realtime import wakeups
from ntc_core.realtime.asgi import build_application
from ntc_core.realtime.models import RealtimeConnection
from ntc_core.realtime.services import issue_ticket
from ntc_core.testing.asgi_server import AsgiServer, run_asgi_server
from ntc_core.testing.services import redis_url
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

ORIGIN = "https://app.example.com"
IN_MEMORY = {"BACKEND": "channels.layers.InMemoryChannelLayer"}


def redis_layer() -> dict[str, Any]:
    return {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [redis_url(database=5)],
            "prefix": f"test{os.getpid()}",
        },
    }


LAYERS = [
    pytest.param("memory"),
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("none"),
]


@pytest.fixture(autouse=True)
def _realtime(settings, monkeypatch):
    """A short watch, so that what hints forgot is found within a test's patience."""
    monkeypatch.setattr(wakeups, "_paused_until", [0.0])
    cache.clear()
    settings.ROOT_URLCONF = "tests.realtime.urls"
    settings.NTC_REALTIME_ORIGINS = [ORIGIN]
    settings.NTC_REALTIME_WATCH_SECONDS = 0.3
    settings.CHANNEL_LAYERS = {"default": IN_MEMORY}


@pytest.fixture
def use_layer(settings) -> Callable[[str], None]:
    """Return a function that chooses how processes tell each other."""

    def choose(name: str) -> None:
        if name != "none":
            settings.NTC_REALTIME_WATCH_SECONDS = 60
        layers = {"memory": {"default": IN_MEMORY}, "none": {}}
        settings.CHANNEL_LAYERS = {"default": redis_layer()} if name == "redis" else layers[name]

    return choose


@pytest.fixture
def server(transactional_db: None) -> Iterator[AsgiServer]:
    with run_asgi_server(build_application(get_wsgi_application(), threads=4)) as running:
        yield running


@pytest.fixture
def asha(transactional_db: None) -> User:
    return User.objects.create_user(username="asha", password="not-a-real-password")


def await_no_connections(seconds: float = 10) -> None:
    """Wait until the server has forgotten every socket, which it does after it closed them."""
    for _ in range(int(seconds / 0.05)):
        if not RealtimeConnection.objects.exists():
            return
        time.sleep(0.05)
    raise AssertionError("A connection is left.")


class Phone:
    """A client that speaks JSON and keeps what it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello = self.read()
        assert self.hello["type"] == "hello"

    def read(self, timeout: float = 5) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=timeout))

    def send(self, message: Any) -> None:
        self.socket.send(message if isinstance(message, str) else json.dumps(message))

    def ask(self, data: Any) -> dict[str, Any]:
        self.send({"type": "message", "id": 1, "data": data})
        return self.read()

    def events(self, count: int) -> list[tuple[int, str]]:
        """Return the number and the name of the next events."""
        messages = [self.read() for _ in range(count)]
        assert {message["type"] for message in messages} <= {"event"}
        return [(message["seq"], message["event"]) for message in messages]

    def closed_with(self, timeout: float = 5) -> tuple[int, str]:
        """Read until the server closes; return its code and reason."""
        while True:
            try:
                self.socket.recv(timeout=timeout)
            except ConnectionClosed as closed:
                frame = closed.rcvd
                return (frame.code, frame.reason) if frame else (1006, "")

    def is_silent(self, seconds: float = 0.5) -> bool:
        with pytest.raises(TimeoutError):
            self.socket.recv(timeout=seconds)
        return True


@pytest.fixture
def open_socket(server: AsgiServer) -> Iterator[Callable[..., Phone]]:
    """Return a function that opens a socket for a user, or for a session of theirs."""
    with ExitStack() as stack:

        def open_one(
            user: User | None = None,
            *,
            session: Any = None,
            path: str = "/ws/",
            ticket: str | None = None,
            origin: str | None = None,
        ) -> Phone:
            if ticket is None:
                session = session or services.sign_in(user=user).session
                ticket = issue_ticket(session=session)
            socket = connect(
                f"{server.socket_url}{path}",
                subprotocols=["ntc.v1", f"ticket.{ticket}"],
                origin=origin,
            )
            return Phone(stack.enter_context(socket))

        yield open_one
