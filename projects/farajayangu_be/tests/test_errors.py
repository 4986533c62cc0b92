"""Every error is the envelope, as JSON, with a request id: with DEBUG and in production."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from ntc_core.testing import assert_error

from .processes import free_ports, run
from .stack import UVICORN
from .test_prod_settings import good_environment

LOGIN = "/api/v1/auth/login/"
WEBHOOK = "/api/v1/webhooks/payments/"
UNKNOWN_PAYMENT = "/api/v1/payments/0199a000-0000-7000-8000-000000000000/"
WRONG_PASSWORD = {"identifier": "0712345678", "password": "siyo-hiyo", "transport": "token"}


class Case(NamedTuple):
    """One request that cannot succeed, and how it ends."""

    request: str
    status: int
    code: str | None = None
    attr: str | None = None
    #: What httpx sends along.
    sent: dict[str, Any] = {}


CASES = {
    "malformed JSON": Case(
        f"POST {LOGIN}",
        400,
        "parse_error",
        sent={"content": "{", "headers": {"Content-Type": "application/json"}},
    ),
    "missing field": Case(
        f"POST {LOGIN}", 400, "required", "password", {"json": {"identifier": "0712345678"}}
    ),
    "invalid field": Case(
        "POST /api/v1/accounts/register/",
        400,
        "invalid",
        "phone",
        {"json": {"phone": "12", "password": "maji-ya-kunywa-7"}},
    ),
    "not an object": Case(f"POST {LOGIN}", 400, sent={"json": [1]}),
    "NUL in the URL": Case("GET /api/v1/plans/?page=%00", 400),
    "unknown host": Case("GET /api/v1/plans/", 400, sent={"headers": {"Host": "evil.example"}}),
    "no token": Case("GET /api/v1/subscriptions/me/", 401, "not_authenticated"),
    "no token for an unknown thing": Case(f"GET {UNKNOWN_PAYMENT}", 401),
    "not our token": Case(
        "GET /api/v1/subscriptions/me/", 401, sent={"headers": {"Authorization": "Bearer x.y.z"}}
    ),
    "wrong password": Case(f"POST {LOGIN}", 401, sent={"json": WRONG_PASSWORD}),
    "forged webhook": Case(f"POST {WEBHOOK}simulator/", 401, sent={"json": {"id": "1"}}),
    "no CSRF token": Case(
        "POST /admin/login/", 403, "csrf_failed", sent={"data": {"username": "x", "password": "y"}}
    ),
    "unknown API path": Case(
        "GET /api/v1/nothing-here/", 404, "not_found", sent={"headers": {"Accept": "text/html"}}
    ),
    "unknown path": Case("GET /nothing-here/", 404, "not_found"),
    "unknown page": Case("GET /api/v1/plans/?page=99", 404, "not_found", "page"),
    "unknown company": Case(f"POST {WEBHOOK}nobody/", 404, sent={"json": {}}),
    "wrong method": Case("DELETE /api/v1/plans/", 405, "method_not_allowed"),
    "wrong method of the webhook": Case(f"GET {WEBHOOK}simulator/", 405),
    "too large": Case(f"POST {LOGIN}", 413, sent={"json": {"identifier": "x" * 1_200_000}}),
    "wrong media type": Case(
        f"POST {LOGIN}",
        415,
        "unsupported_media_type",
        sent={"data": WRONG_PASSWORD},
    ),
    "a bug": Case("GET /api/v1/crash/", 500),
    "a bug in a browser": Case(
        "GET /api/v1/crash/", 500, sent={"headers": {"Accept": "text/html"}}
    ),
}


@pytest.fixture(scope="module")
def debug_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a development server, where Django would show its yellow pages."""
    folder = tmp_path_factory.mktemp("errors-dev")
    port = free_ports(1)[0]
    env = {
        "DJANGO_SETTINGS_MODULE": "tests.settings_dev_with_crash",
        "PORT": str(port),
        "LOCAL_DIR": str(folder / "local"),
    }
    with run("dev", ["manage.py", "dev", "--noreload"], env=env, folder=folder) as running:
        running.wait_for(f"http://127.0.0.1:{port}/health/ready/")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client


@pytest.fixture(scope="module")
def prod_client(
    fresh_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Return a client of the web process with production settings, behind a proxy that ends TLS."""
    folder = tmp_path_factory.mktemp("errors-prod")
    port = free_ports(1)[0]
    env = {
        **good_environment(),
        "DJANGO_SETTINGS_MODULE": "tests.settings_prod_with_crash",
        "DATABASE_URL": fresh_postgres,
        "PAYMENT_PROVIDERS": "simulator",
        "SIMULATOR_BASE_URL": "http://127.0.0.1:9",
        "SIMULATOR_API_KEY": secrets.token_hex(16),
        "SIMULATOR_WEBHOOK_SECRET": secrets.token_hex(32),
        "TEST_STATIC_ROOT": str(folder / "static"),
    }
    collect = ["manage.py", "collectstatic", "--noinput", "-v0"]
    with run("collect", collect, env=env, folder=folder) as collecting:
        assert collecting.process.wait(120) == 0, collecting.output
    serve = [*UVICORN, "--port", str(port)]
    with run("prod", serve, env=env, folder=folder) as running:
        headers = {"Host": "api.farajayangu.example", "X-Forwarded-Proto": "https"}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20
        ) as client:
            _wait_until_ready(client, running)
            yield client


@pytest.mark.parametrize("case", CASES)
def test_errors_with_debug(debug_client, case):
    _assert_case(debug_client, case)


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.parametrize("case", CASES)
def test_errors_in_production(prod_client, case):
    _assert_case(prod_client, case)


def test_too_many_calls_with_debug(debug_client):
    _assert_throttled(debug_client)


@pytest.mark.postgres
@pytest.mark.redis
def test_too_many_calls_in_production(prod_client):
    _assert_throttled(prod_client)


@pytest.mark.postgres
@pytest.mark.redis
def test_plain_http_is_sent_to_https_except_for_health_checks(prod_client):
    """A container's health check comes by http from inside; people do not."""
    plain = {"X-Forwarded-Proto": "http"}

    redirected = prod_client.get("/api/v1/plans/", headers=plain)

    assert redirected.status_code == 301
    assert redirected.headers["Location"] == "https://api.farajayangu.example/api/v1/plans/"
    assert prod_client.get("/health/live/", headers=plain).status_code == 200


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.farajayangu.example", True),
        ("https://evil.example", False),
        ("http://localhost:5173", False),
    ],
)
def test_only_the_named_front_ends_may_call_from_a_browser(prod_client, origin, allowed):
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }

    answer = prod_client.options("/api/v1/subscriptions/", headers=asked)

    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    if allowed:
        assert "idempotency-key" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/plans/", "/api/v1/nothing/"])
def test_every_answer_in_production_tells_browsers_to_be_careful(prod_client, path):
    headers = prod_client.get(path).headers

    hsts = dict(part.strip().partition("=")[::2] for part in
                headers["Strict-Transport-Security"].split(";"))  # fmt: skip
    assert int(hsts["max-age"]) >= 365 * 24 * 60 * 60
    assert "includeSubDomains" in hsts
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.postgres
@pytest.mark.redis
def test_the_cookies_of_the_admin_cannot_be_planted(prod_client):
    cookies = prod_client.get("/admin/login/").headers.get_list("Set-Cookie")

    assert cookies
    for cookie in cookies:
        assert cookie.startswith("__Host-admin_")
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie


def test_a_front_end_in_development_may_call_from_any_local_port(debug_client):
    answer = debug_client.get("/api/v1/plans/", headers={"Origin": "http://localhost:5173"})

    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.parametrize("path", ["/schema/", "/docs/"])
def test_the_document_is_for_staff_in_production(prod_client, path):
    assert_error(prod_client.get(path), 403)


def test_development_screens_do_not_exist_in_production(prod_client):
    assert_error(prod_client.get("/dev/mailbox/"), 404)
    assert_error(prod_client.get("/dev/phone/"), 404)


@pytest.mark.postgres
@pytest.mark.redis
def test_pages_bring_their_own_files_in_production(prod_client):
    """Every file a page names is there, under a name that may be cached for ever."""
    page = prod_client.get("/admin/login/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert files

    for url in files:
        file = prod_client.get(url)
        assert file.status_code == 200, url
        assert "immutable" in file.headers["Cache-Control"], url
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)


def _assert_case(client: httpx.Client, case: str) -> None:
    expected = CASES[case]
    method, path = expected.request.split(" ")
    request_id = f"test-{secrets.token_hex(8)}"
    headers = {"X-Request-ID": request_id, **expected.sent.get("headers", {})}

    answer = client.request(method, path, **{**expected.sent, "headers": headers})

    body = assert_error(answer, expected.status, code=expected.code, attr=expected.attr)
    assert answer.headers["Content-Type"] == "application/json"
    assert body["request_id"] == request_id == answer.headers["X-Request-ID"]
    assert "the-database-password" not in answer.text
    assert "Traceback" not in answer.text


def _assert_throttled(client: httpx.Client) -> None:
    for _ in range(60):
        answer = client.post(LOGIN, json=WRONG_PASSWORD)
        if answer.status_code == 429:
            break

    assert_error(answer, 429, code="throttled")
    assert int(answer.headers["Retry-After"]) >= 1


def _wait_until_ready(client: httpx.Client, running) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert running.process.poll() is None, running.output
        try:
            if client.get("/health/ready/").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, running.output
        time.sleep(0.1)
