"""The sign-in endpoints over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from ntc_core.auth import services
from ntc_core.auth.models import AuthSession
from ntc_core.auth.tokens import mint
from ntc_core.testing import assert_error, assert_success
from rest_framework.test import APIClient

from tests.auth.conftest import PASSWORD
from tests.auth.test_tokens import forge

AUTH = "/api/v1/auth"
WHO = "/api/v1/who/"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def login(client: APIClient, **values: Any) -> Any:
    return client.post(f"{AUTH}/login/", {"identifier": "asha", "password": PASSWORD, **values})


def test_login_answers_the_user_and_both_tokens(api_client, person):
    data = assert_success(login(api_client, transport="token"))

    assert set(data) == {"user", "access", "refresh", "access_expires_at", "refresh_expires_at"}
    assert data["user"] == {"identifier": "asha"}
    assert data["access_expires_at"].endswith("Z")
    who = api_client.get(WHO, headers=bearer(data["access"]))
    assert assert_success(who) == {"identifier": "asha"}


@pytest.mark.parametrize("case", ["unknown", "wrong password", "inactive", "no password"])
def test_login_fails_in_one_way_only(api_client, person, case):
    values = {"password": "wrong"} if case == "wrong password" else {}
    if case == "unknown":
        values = {"identifier": "nobody"}
    elif case == "inactive":
        User.objects.update(is_active=False)
    elif case == "no password":
        person.set_unusable_password()
        person.save()

    response = login(api_client, **values)

    body = assert_error(response, 401, code="invalid_credentials")
    assert body["errors"][0]["attr"] is None
    assert body["message"] == "The sign-in name or the password is wrong."
    assert response.headers["WWW-Authenticate"]
    assert not AuthSession.objects.exists()


@pytest.mark.parametrize(
    ("values", "attr"),
    [
        ({"identifier": ""}, "identifier"),
        ({"identifier": None}, "identifier"),
        ({"identifier": 712345678}, "identifier"),
        ({"identifier": True}, "identifier"),
        ({"identifier": ["asha"]}, "identifier"),
        ({"identifier": {"a": 1}}, "identifier"),
        ({"identifier": "a" * 10_000}, "identifier"),
        ({"password": "a" * 10_000}, "password"),
        ({"password": 12345678}, "password"),
        ({"password": ""}, "password"),
        ({"transport": "smoke"}, "transport"),
        ({"transport": 1}, "transport"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_login_names_the_bad_field(api_client, person, values, attr):
    assert_error(login(api_client, **values), 400, attr=attr)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["login", "refresh", "logout", "verify"])
@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"{", b"\xff", b'{"a": "\\u0000"}', b""])
def test_body_that_is_no_object_is_a_400(api_client, path, body):
    response = api_client.post(f"{AUTH}/{path}/", body, content_type="application/json")

    assert_error(response, 400)


@pytest.mark.django_db
def test_login_with_emoji_is_just_wrong(api_client):
    assert_error(login(api_client, identifier="\U0001f600", password="\U0001f600"), 401)


@pytest.mark.django_db
def test_login_is_throttled(api_client, settings):
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"login": "2/min"},
    }
    cache.clear()

    statuses = [login(api_client).status_code for _ in range(3)]

    assert statuses == [401, 401, 429]
    assert int(login(api_client).headers["Retry-After"]) > 0


def test_login_ignores_an_expired_access_token_in_the_header(api_client, person):
    response = api_client.post(
        f"{AUTH}/login/",
        {"identifier": "asha", "password": PASSWORD},
        headers=bearer("not-a-token"),
    )

    assert_success(response)


def test_refresh_gives_working_tokens(api_client, signed_in):
    data = assert_success(api_client.post(f"{AUTH}/refresh/", {"refresh": signed_in.refresh}))

    assert set(data) == {"access", "refresh", "access_expires_at", "refresh_expires_at"}
    assert_success(api_client.get(WHO, headers=bearer(data["access"])))
    again = api_client.post(f"{AUTH}/refresh/", {"refresh": signed_in.refresh})
    assert assert_success(again) == data
    assert again.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("token", ["", None, 7, "x" * 10_000])
def test_refresh_names_the_bad_field(db, api_client, token):
    assert_error(api_client.post(f"{AUTH}/refresh/", {"refresh": token}), 400, attr="refresh")


@pytest.mark.parametrize("path", ["refresh", "logout"])
def test_access_token_is_no_refresh_token(api_client, signed_in, path):
    response = api_client.post(f"{AUTH}/{path}/", {"refresh": signed_in.access})

    assert_error(response, 401, code="token_invalid")
    assert AuthSession.objects.get().is_live


def test_logout_ends_the_session_at_once(api_client, person, signed_in):
    other = services.sign_in(user=person)

    assert (
        assert_success(api_client.post(f"{AUTH}/logout/", {"refresh": signed_in.refresh})) is None
    )

    response = api_client.get(WHO, headers=bearer(signed_in.access))
    assert_error(response, 401, code="token_invalid")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert_error(api_client.post(f"{AUTH}/refresh/", {"refresh": signed_in.refresh}), 401)
    assert_success(api_client.get(WHO, headers=bearer(other.access)))


def test_logout_works_when_the_access_token_has_expired(api_client, signed_in):
    with time_machine.travel(datetime.now(tz=UTC) + timedelta(hours=1)):
        response = api_client.post(
            f"{AUTH}/logout/", {"refresh": signed_in.refresh}, headers=bearer(signed_in.access)
        )

    assert_success(response)


@pytest.mark.parametrize("way", ["access", "refresh"])
def test_logout_all_ends_every_session(api_client, person, signed_in, way):
    other = services.sign_in(user=person)
    headers = bearer(signed_in.access) if way == "access" else {}
    body = {"refresh": signed_in.refresh} if way == "refresh" else {}

    assert_success(api_client.post(f"{AUTH}/logout-all/", body, headers=headers))

    for token in (signed_in.access, other.access):
        assert_error(api_client.get(WHO, headers=bearer(token)), 401)


@pytest.mark.parametrize("body", [{}, {"refresh": "forged"}])
def test_logout_all_needs_to_know_who(api_client, signed_in, body):
    assert_error(api_client.post(f"{AUTH}/logout-all/", body), 401)
    assert AuthSession.objects.get().is_live


def test_logout_all_refuses_a_spent_refresh_token(api_client, signed_in):
    services.refresh(refresh_token=signed_in.refresh)

    assert_error(api_client.post(f"{AUTH}/logout-all/", {"refresh": signed_in.refresh}), 401)


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_verify_tells_a_good_token(api_client, signed_in, kind):
    data = assert_success(api_client.post(f"{AUTH}/verify/", {"token": getattr(signed_in, kind)}))

    assert data["token_type"] == kind
    assert data["session"] == str(signed_in.session.uid)
    assert data["expires_at"]


def test_verify_takes_the_refresh_token_by_its_name(api_client, signed_in):
    verify = f"{AUTH}/verify/"

    assert_success(api_client.post(verify, {"refresh": signed_in.refresh}))

    assert_error(api_client.post(verify, {"refresh": signed_in.access}), 401)
    assert_error(api_client.post(verify, {"token": "forged"}), 401, code="token_invalid")
    assert_error(api_client.post(verify, {}), 400, attr="token")
    both = {"token": signed_in.access, "refresh": signed_in.refresh}
    assert_error(api_client.post(verify, both), 400, attr="token")


def test_authentication_costs_one_query(api_client, signed_in, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert_success(api_client.get(WHO, headers=bearer(signed_in.access)))


@pytest.mark.parametrize("end", ["deactivate", "delete", "revoke", "expire"])
def test_access_token_stops_working_with_its_session_or_user(api_client, person, signed_in, end):
    if end == "deactivate":
        User.objects.update(is_active=False)
    elif end == "delete":
        person.delete()
    elif end == "revoke":
        services.sign_out_everywhere(user=person)
    else:
        AuthSession.objects.update(expires_at=datetime.now(tz=UTC))

    assert_error(api_client.get(WHO, headers=bearer(signed_in.access)), 401, code="token_invalid")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "claims", [{"sub": "not-a-number"}, {"sid": "not-a-uuid"}, {"sid": 5}, {"sub": 5}], ids=str
)
def test_senseless_claims_are_a_401(api_client, claims):
    response = api_client.get(WHO, headers=bearer(forge(claims)))

    assert_error(response, 401, code="token_invalid")


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "bearer x", "Bearer \xff", "BEARER  ."])
def test_broken_header_is_a_401(api_client, header):
    response = api_client.get(WHO, HTTP_AUTHORIZATION=header)

    assert_error(response, 401, code="token_invalid")


@pytest.mark.django_db
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}])
def test_nobody_is_asked_to_sign_in(api_client, headers):
    response = api_client.get(WHO, headers=headers)

    assert_error(response, 401, code="not_authenticated")


def test_token_of_another_user_with_this_session_is_a_401(api_client, signed_in):
    other = User.objects.create_user(username="juma")
    text, _ = mint(
        token_type="access",
        subject=str(other.pk),
        session_uid=signed_in.session.uid,
        expires_at=signed_in.access_expires_at,
    )

    assert_error(api_client.get(WHO, headers=bearer(text)), 401)
