"""Open sockets in one server process, push from another, and see how long an event takes.

    make bench        (PostgreSQL and Redis as the tests find them; SOCKETS="100 5000" make bench)

Prints, for each number of sockets: how many a second were opened, the server's memory per socket,
its share of a core while nothing happens, and the time from push() to the client, in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path.cwd()))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402 - after Django is set up
from django.contrib.auth.models import User  # noqa: E402 - likewise
from django.core.wsgi import get_wsgi_application  # noqa: E402 - likewise
from django.db import connections  # noqa: E402 - likewise
from django.test.utils import (  # noqa: E402 - likewise
    setup_databases,
    teardown_databases,
)
from ntc_core.auth import services as auth  # noqa: E402 - likewise
from ntc_core.realtime import push  # noqa: E402 - likewise
from ntc_core.realtime.asgi import build_application  # noqa: E402 - likewise
from ntc_core.realtime.models import RealtimeConnection  # noqa: E402 - likewise
from ntc_core.realtime.services import issue_ticket  # noqa: E402 - likewise
from ntc_core.testing.asgi_server import run_asgi_server  # noqa: E402 - likewise
from ntc_core.testing.services import redis_url  # noqa: E402 - likewise
from websockets.asyncio.client import ClientConnection, connect  # noqa: E402 - likewise

T = TypeVar("T")

SOCKETS = [int(number) for number in os.environ.get("SOCKETS", "100 1000 2000").split()]
EVENTS = int(os.environ.get("EVENTS", "500"))
#: Handshakes under way at the same time.
AT_ONCE = 20
IDLE_SECONDS = 10
#: Every socket is a file, here and there.
FILES = 3 * max(SOCKETS) + 200


def serve(pipe: Connection) -> None:
    """Be the server process: say the port, and stop when told so."""
    with run_asgi_server(build_application(get_wsgi_application())) as server:
        pipe.send(server.socket_url)
        pipe.recv()


def memory_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def with_database(function: Callable[..., T], *args: Any) -> T:
    """Call it in a thread, and leave no connection there."""

    def call() -> T:
        try:
            return function(*args)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


def sign_in(count: int) -> list[tuple[User, str]]:
    """Return as many people, each with a ticket."""
    users = User.objects.bulk_create(User(username=f"{count}.{n}") for n in range(count))
    return [(user, issue_ticket(session=auth.sign_in(user=user).session)) for user in users]


def push_to(users: list[User]) -> None:
    for number in range(EVENTS):
        push(users[number % len(users)], "tick", {"at": time.time()})


async def open_sockets(url: str, tickets: list[str]) -> list[ClientConnection]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def open_one(ticket: str) -> ClientConnection:
        async with gate:
            protocols: Any = ["ntc.v1", f"ticket.{ticket}"]
            socket = await connect(f"{url}/ws/", subprotocols=protocols, compression=None)
            await socket.recv()
            return socket

    return await asyncio.gather(*map(open_one, tickets))


async def measure(url: str, pid: int, count: int) -> None:
    people = await with_database(sign_in, count)
    before, began = memory_kib(pid), time.perf_counter()
    sockets = await open_sockets(url, [ticket for _, ticket in people])
    opened = count / (time.perf_counter() - began)
    memory = (memory_kib(pid) - before) / count

    busy = cpu_seconds(pid)
    await asyncio.sleep(IDLE_SECONDS)
    idle = (cpu_seconds(pid) - busy) / IDLE_SECONDS

    took: list[float] = []

    async def listen(socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "event":
                took.append(1000 * (time.time() - message["data"]["at"]))

    listeners = [asyncio.create_task(listen(socket)) for socket in sockets]
    began = time.perf_counter()
    await with_database(push_to, [user for user, _ in people])
    pushed = EVENTS / (time.perf_counter() - began)
    while len(took) < EVENTS:
        await asyncio.sleep(0.1)
    took.sort()
    p50, p99 = took[EVENTS // 2], took[EVENTS * 99 // 100]
    row = f"{count:8,} {opened:9.0f} {memory:7.0f} KiB {idle:7.1%}"
    print(f"{row} {pushed:8.0f} {p50:7.1f} {p99:7.1f}")
    await asyncio.gather(*(socket.close() for socket in sockets))
    await asyncio.gather(*listeners)
    while await with_database(RealtimeConnection.objects.exists):
        await asyncio.sleep(0.1)


def main() -> None:
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    layer = "channels_redis.pubsub.RedisPubSubChannelLayer"
    config = {"hosts": [redis_url(database=5)], "prefix": f"bench{os.getpid()}"}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": layer, "CONFIG": config}}
    databases = setup_databases(verbosity=0, interactive=False)
    connections.close_all()
    here, there = multiprocessing.Pipe()
    # A fork knows the name of the test database.
    server = multiprocessing.get_context("fork").Process(target=serve, args=(there,))
    server.start()
    try:
        url = here.recv()
        print(f"{EVENTS:,} events\n sockets  opened/s  per socket    idle pushed/s  p50 ms  p99 ms")
        for count in SOCKETS:
            asyncio.run(measure(url, server.pid or 0, count))
    finally:
        here.send("stop")
        server.join()
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
