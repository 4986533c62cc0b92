"""What Django itself answers is the envelope too, except to a browser outside the API."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest
from django.core.signals import got_request_exception
from django.db import OperationalError, connection
from django.test import AsyncClient, Client, RequestFactory, override_settings
from ntc_core import exceptions
from ntc_core.testing import assert_error

from tests.shop_views import SECRET

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
API = "/api/v1/"

debug_or_not = pytest.mark.parametrize("debug", [True, False])


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@debug_or_not
@pytest.mark.parametrize("accept", [BROWSER, "*/*", "application/json", ""])
def test_an_unknown_api_url_is_an_envelope_to_everybody(client, settings, debug, accept):
    settings.DEBUG = debug

    assert_error(client.get(f"{API}nothing/", headers={"Accept": accept}), 404, "not_found")


@debug_or_not
def test_an_unknown_url_elsewhere_is_a_page_only_to_a_browser(client, settings, debug):
    settings.DEBUG = debug

    error = client.get("/nothing/", headers={"Accept": "*/*"})
    assert_error(error, 404, "not_found")
    assert error.headers["Content-Length"] == str(len(error.content))
    assert_error(client.get("/nothing/"), 404, "not_found")
    page = client.get("/nothing/", headers={"Accept": BROWSER})
    assert page.headers["Content-Type"].startswith("text/html")


@debug_or_not
def test_a_host_that_is_not_ours_is_refused_in_the_envelope(client, settings, debug):
    settings.DEBUG = debug

    response = client.get(f"{API}hello/", headers={"Host": "evil.example"})

    assert_error(response, 400, "bad_request")


@debug_or_not
def test_an_unhandled_exception_is_an_envelope_without_its_text(client, settings, caplog, debug):
    settings.DEBUG = debug
    seen = []

    def remember(**kwargs):
        seen.append(kwargs["request"].path)

    got_request_exception.connect(remember)
    try:
        response = client.get(f"{API}plain/bug/")
    finally:
        got_request_exception.disconnect(remember)

    assert_error(response, 500, "server_error")
    assert SECRET not in response.content.decode()
    assert seen == [f"{API}plain/bug/"]
    (logged,) = [record for record in caplog.records if record.name == "django.request"]
    assert SECRET in str(logged.exc_info[1])


@debug_or_not
def test_a_browser_outside_the_api_gets_pages(client, settings, debug):
    settings.DEBUG = debug
    browser = {"Accept": BROWSER}

    for kind, status in (("denied", 403), ("bug", 500)):
        response = client.get(f"/pages/{kind}/", headers=browser)
        assert (response.status_code, response.headers["Content-Type"].split(";")[0]) == (
            status,
            "text/html",
        )
    refused = client.get("/pages/form/", headers={**browser, "Host": "evil.example"})
    assert refused.headers["Content-Type"].startswith("text/html")


def test_an_answer_outside_rest_framework_keeps_its_headers_and_cookies(client):
    response = client.get(f"{API}plain/post-only/")

    assert_error(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"
    assert response.cookies["seen"].value == "1"


def test_permission_denied_outside_rest_framework_is_403(client):
    assert_error(client.get(f"{API}plain/denied/"), 403, "permission_denied")


def test_a_domain_error_outside_rest_framework_is_the_same_error(client):
    assert_error(client.get(f"{API}plain/closed/"), 409, "shop_closed")
    sign_in = client.get(f"{API}plain/sign-in/")
    assert_error(sign_in, 401, "not_authenticated")
    assert sign_in.headers["WWW-Authenticate"] == "Bearer"
    slow_down = client.get(f"{API}plain/slow-down/")
    assert_error(slow_down, 429, "throttled")
    assert slow_down.headers["Retry-After"] == "9"
    assert client.get("/pages/closed/", headers={"Accept": BROWSER}).status_code == 500


def test_a_failed_csrf_check_is_an_envelope():
    client = Client(enforce_csrf_checks=True)

    assert_error(client.post(f"{API}plain/form/", {"name": "x"}), 403, "csrf_failed")
    page = client.post("/pages/form/", {"name": "x"}, headers={"Accept": BROWSER})
    assert page.status_code == 403
    assert page.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("setting", "data"),
    [
        ({"DATA_UPLOAD_MAX_MEMORY_SIZE": 5}, {"name": "x" * 100}),
        ({"DATA_UPLOAD_MAX_NUMBER_FIELDS": 1}, {"name": "x", "b": "y"}),
    ],
)
def test_a_form_that_is_too_large_is_413(client, setting, data):
    with override_settings(**setting):
        response = client.post(
            f"{API}plain/form/",
            "&".join(f"{key}={value}" for key, value in data.items()),
            content_type="application/x-www-form-urlencoded",
        )

    assert_error(response, 413, "too_large")


@pytest.mark.parametrize("url", [f"{API}raise/%00/", f"{API}hello/?name=%00", "/no%00where/"])
def test_a_nul_in_the_url_is_400(client, url):
    """PostgreSQL refuses NUL with an exception, which would be a 500."""
    assert_error(client.get(url), 400, "bad_request")


@debug_or_not
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_missing_slash_is_explained_not_redirected(client, settings, debug, method):
    """A redirect would turn the POST into a GET, and with DEBUG Django raises."""
    settings.DEBUG = debug

    response = getattr(client, method)(f"{API}echo", {"a": 1}, content_type="application/json")

    body = assert_error(response, 404, "not_found")
    assert "slash" in body["message"]
    assert client.get(f"{API}echo").status_code == 301
    assert_error(getattr(client, method)(f"{API}nothing"), 404, "not_found")


def test_a_body_without_a_length_is_refused_rather_than_ignored(client):
    response = client.post(
        f"{API}echo/",
        {"a": 1},
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        CONTENT_LENGTH="",
    )

    assert_error(response, 411, "length_required")
    plain = client.get(f"{API}hello-async/", headers={"Transfer-Encoding": "chunked"})
    assert plain.status_code == 200


def test_text_that_only_looks_like_a_nul_is_fine(client):
    assert client.get(f"{API}hello/?name=%2500").status_code == 200


def test_the_prefixes_are_a_setting(client, settings):
    settings.NTC_API_PREFIXES = ("/pages/",)
    browser = {"Accept": BROWSER}

    assert_error(client.get("/pages/denied/", headers=browser), 403)
    assert client.get(f"{API}no/", headers=browser).headers["Content-Type"] != "application/json"


def test_answers_somebody_meant_are_left_alone(client):
    response = client.get(f"{API}hello-async/")

    assert (response.content, response.headers["Content-Type"]) == (b"hello", "text/plain")


def test_it_is_the_same_under_asgi():
    async def ask():
        client = AsyncClient(raise_request_exception=False)
        return (
            await client.get(f"{API}hello-async/"),
            await client.get(f"{API}hello-async/?fail"),
            await client.get(f"{API}hello-async/?closed"),
            await client.get(f"{API}nothing/"),
            await client.get(f"{API}hello/?a=%00"),
        )

    fine, bug, closed, unknown, nul = asyncio.run(ask())

    assert fine.content == b"hello"
    assert_error(bug, 500, "server_error")
    assert_error(closed, 409, "shop_closed")
    assert_error(unknown, 404, "not_found")
    assert_error(nul, 400, "bad_request")


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        (exceptions.handler400, 400),
        (exceptions.handler403, 403),
        (exceptions.handler404, 404),
    ],
)
def test_the_handlers_do_it_without_the_middleware(handler, status):
    """A project may have its own order of middleware; the handlers answer by themselves."""
    requests = RequestFactory()

    api = handler(requests.get(API), Exception(SECRET))
    page = handler(requests.get("/", headers={"Accept": BROWSER}), Exception("x"))

    assert (api.status_code, api.headers["Content-Type"]) == (status, "application/json")
    assert SECRET not in api.content.decode()
    assert (page.status_code, page.headers["Content-Type"].split(";")[0]) == (status, "text/html")


def test_the_500_handler_does_it_without_the_middleware():
    requests = RequestFactory()

    assert exceptions.handler500(requests.get(API)).headers["Content-Type"] == "application/json"
    page = exceptions.handler500(requests.get("/", headers={"Accept": BROWSER}))
    assert page.headers["Content-Type"].startswith("text/html")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@debug_or_not
@pytest.mark.parametrize("kind", ["overdue", "hung-up"])
def test_a_database_that_cannot_serve_us_now_is_a_503_that_says_when_to_come_back(
    client, settings, caplog, kind, debug
):
    settings.DEBUG = debug
    try:
        response = client.get(f"{API}raise/{kind}/")
    finally:
        connection.close()  # its session is broken

    assert_error(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "5"
    (logged,) = [record for record in caplog.records if record.name == "django.request"]
    assert isinstance(logged.exc_info[1], OperationalError)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_before_the_view_is_a_503_too(client, settings):
    """As when the user of a session is read."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.shop_views.ask_first"]
    try:
        response = client.get(f"{API}hello/")
    finally:
        connection.close()

    assert_error(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "5"


@pytest.mark.django_db
def test_a_query_that_is_wrong_is_a_bug_in_every_database(client):
    assert_error(client.get(f"{API}raise/no-table/"), 500, "server_error")


def test_sqlite_that_is_locked_may_be_tried_again(tmp_path):
    """Its class alone does not tell: a table that is not there has the same."""
    path = tmp_path / "shop.sqlite3"
    with sqlite3.connect(path) as holder, sqlite3.connect(path, timeout=0) as other:
        holder.execute("BEGIN EXCLUSIVE")
        for sql, passes in [("BEGIN IMMEDIATE", True), ("SELECT * FROM nobody_made_this", True)]:
            assert exceptions.is_database_unavailable(_error_of(other, sql)) is passes
        holder.rollback()
        assert not exceptions.is_database_unavailable(
            _error_of(other, "SELECT * FROM nobody_made_this")
        )


def _error_of(database, sql):
    """Return what Django makes of the driver's error."""
    with pytest.raises(sqlite3.OperationalError) as caught:
        database.execute(sql)
    error = OperationalError(str(caught.value))
    error.__cause__ = caught.value
    return error
