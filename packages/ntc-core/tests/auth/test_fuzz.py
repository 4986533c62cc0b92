"""Whatever a stranger sends, the answer is an envelope and never a 500."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ntc_core.testing import assert_error
from rest_framework.test import APIClient

from tests.auth.browser import ACCESS, CSRF, REFRESH

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)
fields = ["identifier", "password", "transport", "refresh", "token"]
bodies = st.dictionaries(st.sampled_from(fields), json_values) | json_values


@pytest.fixture
def _no_limits(settings: Any) -> None:
    rates = dict.fromkeys(["login", "refresh"])
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}


@pytest.mark.django_db
@pytest.mark.usefixtures("_no_limits")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(["login", "refresh", "logout", "logout-all", "verify"]), body=bodies)
def test_any_json_gets_a_clear_refusal(path, body):
    client = APIClient(raise_request_exception=False)

    response = client.post(f"/api/v1/auth/{path}/", body, format="json")

    assert response.status_code in {400, 401}
    assert_error(response, response.status_code)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None)
@given(token=st.text(max_size=60) | st.from_regex(r"[\w-]{1,40}\.[\w-]{1,40}\.[\w-]{1,40}"))
def test_any_bearer_token_is_a_401(token):
    client = APIClient(raise_request_exception=False)

    response = client.get(
        "/api/v1/who/", HTTP_AUTHORIZATION=f"Bearer {token}".encode().decode("latin-1")
    )

    assert_error(response, 401)


@pytest.mark.django_db
@pytest.mark.usefixtures("_no_limits")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from(
        ["auth/refresh/", "auth/logout/", "auth/logout-all/", "auth/verify/", "who/"]
    ),
    cookies=st.dictionaries(st.sampled_from([ACCESS, REFRESH, CSRF]), st.text(max_size=40)),
    origin=st.text(max_size=40)
    | st.sampled_from(["https://testserver", "null", "https://[", "//"]),
    token=st.text(max_size=40),
)
def test_any_cookies_and_headers_get_a_clear_refusal(path, cookies, origin, token):
    client = APIClient(raise_request_exception=False)
    cookie_header = "; ".join(f"{name}={value}" for name, value in cookies.items())

    response = client.post(
        f"/api/v1/{path}",
        format="json",
        secure=True,
        HTTP_COOKIE=as_header(cookie_header),
        HTTP_ORIGIN=as_header(origin),
        HTTP_X_CSRF_TOKEN=as_header(token),
    )

    assert response.status_code in {400, 401, 403}
    assert_error(response, response.status_code)


def as_header(text: str) -> str:
    """Return it as a server hands over the bytes of a header."""
    return text.encode("utf-8", "replace").decode("latin-1")
