"""The OpenAPI document says how to be known: bearer, or cookie with the CSRF header."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

BEARER = {"bearer": []}
COOKIE = {"accessCookie": []}
COOKIE_AND_HEADER = {"accessCookie": [], "csrfHeader": []}
REFRESH_COOKIE_AND_HEADER = {"refreshCookie": [], "csrfHeader": []}


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the document, which was made without a warning."""
    document = SchemaGenerator(urlconf="tests.auth.urls").get_schema(request=None, public=True)
    assert capsys.readouterr().err == ""
    return dict(document)


def test_schemes_are_described(schema):
    schemes = schema["components"]["securitySchemes"]

    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["accessCookie"] == {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-ntc_access",
    }
    assert schemes["refreshCookie"]["name"] == "__Secure-ntc_refresh"
    assert schemes["csrfHeader"]["in"] == "header"
    assert schemes["csrfHeader"]["name"] == "X-CSRF-Token"


@pytest.mark.parametrize(
    ("operation", "security"),
    [
        ("get /who/", [BEARER, COOKIE]),
        ("post /who/", [BEARER, COOKIE_AND_HEADER]),
        ("get /auth/sessions/", [BEARER, COOKIE]),
        ("delete /auth/sessions/{uid}/", [BEARER, COOKIE_AND_HEADER]),
        ("post /auth/logout-all/", [BEARER, COOKIE_AND_HEADER, {}]),
        ("post /auth/refresh/", [{}, REFRESH_COOKIE_AND_HEADER]),
        ("post /auth/logout/", [{}, REFRESH_COOKIE_AND_HEADER]),
        ("post /auth/verify/", [{}, REFRESH_COOKIE_AND_HEADER]),
        ("get /auth/csrf/", [{"refreshCookie": []}]),
        ("post /auth/login/", [{}]),
    ],
)
def test_operation_says_what_it_needs(schema, operation, security):
    method, path = operation.split()

    assert schema["paths"][f"/api/v1{path}"][method].get("security") == security


def test_unsafe_operations_may_refuse_for_want_of_the_header(schema):
    who = schema["paths"]["/api/v1/who/"]

    assert "403" in who["post"]["responses"]
    assert "403" not in who["get"]["responses"]


def test_login_documents_the_header(schema):
    login = schema["paths"]["/api/v1/auth/login/"]["post"]

    assert {"200", "400", "401", "403", "415", "429"} <= login["responses"].keys()
    (header,) = login["parameters"]
    assert (header["in"], header["name"]) == ("header", "X-CSRF-Token")
    assert "required" not in header


def test_tokens_are_optional_in_the_answer(schema):
    tokens = schema["components"]["schemas"]["TokensOutput"]

    assert set(tokens["properties"]) >= {"access", "refresh", "csrf_token"}
    assert set(tokens["required"]) == {"access_expires_at", "refresh_expires_at"}
