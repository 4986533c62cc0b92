"""Calls to companies: what is an answer, what was certainly not sent, what nobody knows."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from ntc_core.http import (
    AnswerUnreadable,
    HttpAnswer,
    HttpClient,
    HttpFailure,
    NoAnswer,
    NotSent,
    traced_calls,
)
from ntc_core.http.exchange import MAX_EXCHANGES

from tests.http_company import Behaviour, Conversation, company
from tests.http_misbehaviour import (
    answer_compressed,
    answer_too_much,
    answer_without_end,
    close_before_answer,
    cut_body,
    cut_headers,
    drip_body,
    drip_chunks,
    drip_headers,
    drip_interim_answers,
    drip_status_line,
    hang_before_answer,
    reset_before_answer,
    speak_another_protocol,
)

DEADLINE = 0.8
#: A deadline is a promise about behaviour; a busy machine may take this much longer.
MARGIN = 2.0


def client(url: str, **options: object) -> HttpClient:
    return HttpClient(base_url=url, **{"total_timeout_seconds": DEADLINE, **options})


@contextlib.contextmanager
def within_deadline() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < DEADLINE + MARGIN


def respond(status: str, body: bytes = b"", *headers: str) -> Behaviour:
    def behave(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.answer(status, body, *headers)

    return behave


# Answers


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "400 Bad", "404 No", "503 Busy"])
def test_every_status_is_an_answer(status):
    with company(respond(status, b'{"a": 1}', "X-Kind: Test")) as server:
        answer = client(server.url).request("GET", "/v1/thing")

    assert answer.status == int(status[:3])
    assert answer.headers["x-kind"] == "Test"
    assert answer.json() == {"a": 1}


def test_request_carries_exactly_what_was_asked_for():
    with company(respond("200 OK")) as server:
        client(f"{server.url}/base/", headers={"X-Key": "k", "Accept": "text/plain"}).request(
            "POST", "push", json={"name": "Zuwéna"}, params={"q": "a b"}, headers={"X-Id": "7"}
        )

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /base/push?q=a+b http/1.1"
    assert {"x-key: k", "x-id: 7", "accept: text/plain", "content-type: application/json"} <= set(
        lines
    )
    assert "accept-encoding: identity" in lines
    assert body == '{"name":"Zuwéna"}'.encode()


def test_signed_bytes_are_sent_unchanged():
    body = b'{ "b":1,  "a":2 }'
    with company(respond("200 OK")) as server:
        client(server.url).request("POST", "/", content=body)

    assert server.requests[0].endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Again", "308 Again"])
def test_redirect_is_an_answer_and_not_followed(status):
    with (
        company(respond("200 OK")) as other,
        company(respond(status, b"", f"Location: {other.url}/steal")) as server,
    ):
        answer = client(server.url).request("POST", "/", json={"key": "secret"})

    assert answer.status == int(status[:3])
    assert other.requests == []


def test_proxy_variables_are_not_read(monkeypatch):
    with company(respond("200 OK")) as proxy, company(respond("200 OK", b"direct")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        answer = client(server.url).request("GET", "/")

    assert answer.body == b"direct"
    assert proxy.requests == []


def test_answer_without_length_ends_with_the_connection():
    def behave(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    with company(behave) as server:
        assert client(server.url).request("GET", "/").body == b"all of it"


def test_one_client_serves_many_threads():
    answers: list[int] = []
    with company(respond("200 OK")) as server:
        shared = client(server.url, total_timeout_seconds=10)
        threads = [
            threading.Thread(target=lambda: answers.append(shared.request("GET", "/").status))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert answers == [200] * 20


@pytest.mark.parametrize(
    "body", [b"<html>502</html>", b'{"cut": "o', b"", b"\xff\xfe", b"[" * 99_999]
)
def test_body_that_is_not_json_is_unreadable(body):
    answer = HttpAnswer(status=200, headers={"content-type": "text/html"}, body=body)

    with pytest.raises(
        AnswerUnreadable, match=r"Expected JSON, got \d+ bytes of text/html \(HTTP 200\)"
    ):
        answer.json()


def test_answer_does_not_show_its_content():
    answer = HttpAnswer(status=200, headers={"set-cookie": "secret"}, body=b"secret")

    assert "secret" not in repr(answer)


# Certainly not sent


def test_refused_connection_was_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(NotSent, match=r"POST 127\.0\.0\.1: ConnectError"):
        client(f"http://127.0.0.1:{port}").request("POST", "/private-path", json={})


def test_unknown_name_was_not_sent():
    with within_deadline(), pytest.raises(NotSent):
        client("http://company.invalid").request("POST", "/")


def test_name_that_cannot_be_one_was_not_sent():
    with pytest.raises(NotSent, match="UnicodeError"):
        client(f"http://{'a' * 64}.example").request("POST", "/")


def test_connection_that_is_never_accepted_was_not_sent():
    """A full backlog: the kernel drops our SYN, as a dead host does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with within_deadline(), pytest.raises(NotSent):
            client(url, connect_timeout_seconds=0.3).request("POST", "/")


@pytest.mark.parametrize("behaviour", ["hang", "reset", "plain"])
def test_failed_tls_was_not_sent(behaviour):
    def behave(conversation: Conversation) -> None:
        if behaviour == "plain":
            conversation.connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        else:
            getattr(conversation, behaviour)()

    with company(behave) as server:
        url = server.url.replace("http:", "https:")
        with within_deadline(), pytest.raises(NotSent):
            client(url).request("POST", "/", json={})


# Nobody knows


@pytest.mark.parametrize(
    "behave",
    [
        hang_before_answer,
        drip_headers,
        drip_status_line,
        drip_body,
        drip_chunks,
        drip_interim_answers,
        reset_before_answer,
        close_before_answer,
        cut_body,
        cut_headers,
        speak_another_protocol,
        answer_too_much,
        answer_without_end,
        answer_compressed,
    ],
)
def test_sent_request_without_usable_answer_is_ambiguous(behave):
    with company(behave) as server:
        with within_deadline(), pytest.raises(NoAnswer):
            client(server.url).request("POST", "/", json={"amount": 1})

        assert len(server.requests) == 1


def test_company_that_stops_reading_is_ambiguous():
    with company(Conversation.hang) as server, within_deadline(), pytest.raises(NoAnswer):
        client(server.url).request("POST", "/", content=b"x" * 20_000_000)


def test_failure_names_the_company_but_not_what_was_sent():
    with company(close_before_answer) as server, pytest.raises(NoAnswer) as failure:
        client(server.url).request("POST", "/phones/255712345678", json={"pin": "1234"})

    assert str(failure.value) == "POST 127.0.0.1: RemoteProtocolError."


# Calls that are left behind


def work_in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def exchanges_alive() -> int:
    return [thread.name for thread in threading.enumerate()].count("ntc-http")


def wait_for_the_last_exchange() -> None:
    end = time.monotonic() + MARGIN
    while exchanges_alive() and time.monotonic() < end:
        time.sleep(0.01)
    assert exchanges_alive() == 0


def test_hanging_name_resolution_is_left_behind_and_bounded(monkeypatch):
    """A resolver cannot be interrupted: the call returns, its thread stays until it answers."""
    answered = threading.Event()
    resolve = socket.getaddrinfo

    def hang(host: str, *args: object, **options: object) -> object:
        if host == "slow.invalid":
            answered.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return resolve(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    failures: list[HttpFailure] = []

    def call() -> None:
        try:
            client("http://slow.invalid", total_timeout_seconds=0.3).request("POST", "/")
        except HttpFailure as failure:
            failures.append(failure)

    with within_deadline():
        work_in_threads(MAX_EXCHANGES, call)
    assert exchanges_alive() == MAX_EXCHANGES
    assert {type(failure) for failure in failures} == {NotSent}

    with company(respond("200 OK")) as server:
        with pytest.raises(NotSent, match="in flight already"):
            client(server.url, connect_timeout_seconds=0.1).request("GET", "/")
        answered.set()
        assert client(server.url, total_timeout_seconds=20).request("GET", "/").status == 200
    wait_for_the_last_exchange()


def test_dripping_company_leaves_no_thread_behind():
    with company(drip_headers) as server:
        with pytest.raises(NoAnswer):
            client(server.url).request("GET", "/")

        wait_for_the_last_exchange()


# TLS that works


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Return a fresh self-signed certificate for 127.0.0.1 with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("There is no openssl to make a certificate with.")
    path = tmp_path_factory.mktemp("tls") / "company.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=company", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture
def tls(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_certificate_that_nobody_vouches_for_is_refused_before_sending(tls):
    with company(respond("200 OK"), tls) as server, pytest.raises(NotSent, match="ConnectError"):
        client(server.url).request("POST", "/", json={"key": "secret"})

    assert server.requests == []


@pytest.mark.parametrize(
    ("behave", "ends"), [(respond("200 OK", b"{}"), True), (drip_body, False)], ids=["ok", "drip"]
)
def test_deadline_holds_inside_tls(tls, certificate, behave, ends):
    with company(behave, tls) as server, within_deadline():
        trusting = client(server.url)
        trusting._ssl_context = ssl.create_default_context(cafile=certificate)
        if ends:
            assert trusting.request("POST", "/", json={}).json() == {}
        else:
            with pytest.raises(NoAnswer):
                trusting.request("POST", "/", json={})


# Mistakes of ours


@pytest.mark.parametrize(
    "url", ["", "company.example.com", "ftp://company", "http://", "https://c/?key=1"]
)
def test_base_url_that_is_none_is_refused_at_start(url):
    with pytest.raises(ValueError, match="base URL"):
        HttpClient(base_url=url)


def test_json_and_content_exclude_each_other():
    with pytest.raises(ValueError, match="not both"):
        client("http://127.0.0.1:1").request("POST", "/", json={}, content=b"")


def test_number_that_is_no_json_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        client("http://127.0.0.1:1").request("POST", "/", json={"a": float("nan")})


def test_illegal_header_is_our_mistake_and_not_sent():
    with company(respond("200 OK")) as server, pytest.raises(HttpFailure):
        client(server.url).request("GET", "/", headers={"X-A": "a\r\nX-B: b"})

    assert server.requests == []


def test_types_are_importable_without_httpx():
    program = (
        "import sys, ntc_core.http; sys.exit('httpx' in sys.modules or 'django' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


def test_calls_are_traced_without_what_they_carry():
    """Method, host, path and end; nothing of a query, a header or a body."""
    with company(respond("503 Busy", b"secret-body")) as server, traced_calls() as calls:
        client(server.url, headers={"x-key": "secret-header"}).request(
            "POST", "/v1/push", params={"token": "secret-query"}, json={"pin": "secret-pin"}
        )

    [call] = calls
    assert (call.method, call.host, call.path) == ("POST", "127.0.0.1", "/v1/push")
    assert (call.status, call.error) == (503, "")
    assert call.seconds > 0
    assert call.started_at.utcoffset() == timedelta(0)
    assert "secret" not in repr(call)


def test_call_without_an_answer_is_traced_with_its_failure():
    """An inner block takes its calls for itself."""
    with (
        company(hang_before_answer) as server,
        traced_calls() as outer,
        traced_calls() as calls,
        pytest.raises(NoAnswer),
    ):
        client(server.url).request("GET", "/v1/state")

    assert [(call.status, call.error) for call in calls] == [(None, "NoAnswer")]
    assert outer == []
