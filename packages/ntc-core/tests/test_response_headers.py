"""What every answer tells a browser, whoever made the answer."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from ntc_core.middleware import RequestIdMiddleware

PATHS = [
    "/api/v1/hello/",
    "/api/v1/raise/conflict/",
    "/api/v1/nothing/",
    "/nothing/",
    "/health/live/",
    "/admin/login/",
    "/schema/",
    "/docs/",
    "/api/v1/hello/?a=%00",
]


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_guessing_and_foreign_content(path, accept):
    answer = Client(raise_request_exception=False).get(path, headers={"Accept": accept})

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy
    for directive in ("object-src", "base-uri", "frame-ancestors"):
        assert policy[directive] == "'none'"


def test_a_view_may_have_a_policy_of_its_own_and_a_project_none(settings):
    own = HttpResponse(headers={"Content-Security-Policy": "sandbox"})
    assert (
        RequestIdMiddleware(lambda _: own)(RequestFactory().get("/")).headers[
            "Content-Security-Policy"
        ]
        == "sandbox"
    )

    settings.NTC_CONTENT_SECURITY_POLICY = ""
    plain = RequestIdMiddleware(lambda _: HttpResponse())(RequestFactory().get("/"))
    assert "Content-Security-Policy" not in plain.headers


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path in PATHS if path.startswith("/api/")])
def test_nobody_keeps_a_copy_of_what_the_api_answers(path):
    answer = Client(raise_request_exception=False).get(path)

    assert answer.headers["Cache-Control"] == "no-store"


def test_a_view_may_be_cached_if_it_says_so_and_so_may_what_is_not_the_api():
    public = HttpResponse(headers={"Cache-Control": "public, max-age=60"})
    answer = RequestIdMiddleware(lambda _: public)(RequestFactory().get("/api/v1/plans/"))
    assert answer.headers["Cache-Control"] == "public, max-age=60"

    page = RequestIdMiddleware(lambda _: HttpResponse())(RequestFactory().get("/page/"))
    assert "Cache-Control" not in page.headers
