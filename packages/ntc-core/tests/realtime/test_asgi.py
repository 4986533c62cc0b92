"""The HTTP API behind the same port as the sockets: as under a WSGI server."""

from __future__ import annotations

import asyncio
import http.client
import socket as sockets
import threading
from typing import Any

import pytest
from ntc_core.realtime.asgi import build_application
from ntc_core.testing.asgi_server import run_asgi_server


def echo(environ: Any, start_response: Any) -> list[bytes]:
    """A WSGI application that says what it got."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Thread", thread_name())])
    keys = ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_X_FORWARDED_FOR", "REMOTE_ADDR"]
    lines = [f"{key}={environ.get(key)}" for key in keys]
    return ["\n".join([*lines, f"body={len(body)}"]).encode("latin-1")]


def thread_name() -> str:
    return threading.current_thread().name


@pytest.fixture
def server():
    with run_asgi_server(build_application(echo, threads=2)) as running:
        yield running


def ask(server, method="GET", path="/", body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    text = response.read().decode("latin-1")
    connection.close()
    return dict(line.split("=", 1) for line in text.splitlines()), response


def test_a_request_arrives_as_under_wsgi(server):
    answer, _ = ask(server, "POST", "/p%C3%A4th/?a=1%20b&c=%26", b"x" * 300_000)
    assert answer["REQUEST_METHOD"] == "POST"
    assert answer["PATH_INFO"].encode("latin-1").decode() == "/päth/"
    assert answer["QUERY_STRING"] == "a=1%20b&c=%26"
    assert answer["REMOTE_ADDR"] == "127.0.0.1"
    assert answer["body"] == "300000"


def test_a_header_with_underscores_is_not_believed(server):
    headers = {"X_Forwarded_For": "6.6.6.6", "X-Forwarded-For": "10.0.0.1"}
    answer, _ = ask(server, headers=headers)
    assert answer["HTTP_X_FORWARDED_FOR"] == "10.0.0.1"
    answer, _ = ask(server, headers={"X_Forwarded_For": "6.6.6.6"})
    assert answer["HTTP_X_FORWARDED_FOR"] == "None"


def test_threads_live_on(server):
    """And with them their database connections."""
    names = {ask(server)[1].headers["X-Thread"] for _ in range(10)}
    assert 1 <= len(names) <= 2


def test_a_query_that_is_not_ascii_is_no_server_error(server):
    with sockets.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"GET /?q=\xc3\xa4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert b" 500 " not in answer.splitlines()[0]
    assert b"QUERY_STRING=q=%C3%A4" in answer or b" 400 " in answer.splitlines()[0]


def test_the_server_starts_and_stops_by_its_lifespan():
    """Run by a server that insists on it."""
    sent = []
    said = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive():
        return next(said)

    async def send(message):
        sent.append(message["type"])

    asyncio.run(build_application(echo)({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
