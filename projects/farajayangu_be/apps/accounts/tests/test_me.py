"""What people see and change about themselves."""

from __future__ import annotations

import pytest
from ntc_core.auth.models import AuthSession, EndReason
from ntc_core.testing import assert_error, assert_success

from apps.accounts.models import User

from .conftest import API, EMAIL, PASSWORD, PHONE

ME = f"{API}/accounts/me/"
CHANGE = f"{API}/accounts/password/change/"
NEW_PASSWORD = "samaki-mkubwa-baharini"


def test_me_is_closed_to_strangers(api_client, db):
    for response in (api_client.get(ME), api_client.patch(ME, {}), api_client.post(CHANGE, {})):
        assert_error(response, 401, code="not_authenticated")


def test_me_shows_and_changes_name_and_language(signed_in):
    data = assert_success(signed_in.patch(ME, {"full_name": " Asha \U0001f33a ", "language": "en"}))

    assert data == assert_success(signed_in.get(ME))
    assert data["full_name"] == "Asha \U0001f33a"
    assert data["language"] == "en"
    assert assert_success(signed_in.patch(ME, {"full_name": ""}))["language"] == "en"
    assert assert_success(signed_in.patch(ME, {}))["full_name"] == ""


@pytest.mark.parametrize(
    ("values", "attr"),
    [
        ({"email": "new@example.com"}, "email"),
        ({"phone": "0712345679"}, "phone"),
        ({"full_name": "Asha", "phone": None}, "phone"),
        ({"language": "de"}, "language"),
        ({"language": None}, "language"),
        ({"full_name": None}, "full_name"),
        ({"full_name": 5}, "full_name"),
        ({"full_name": "x" * 10_000}, "full_name"),
        ({"full_name": "a\u2028b"}, "full_name"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_me_names_the_field_it_refuses(signed_in, values, attr):
    assert_error(signed_in.patch(ME, values), 400, attr=attr)

    person = User.objects.get()
    assert (person.email, person.phone, person.full_name) == (EMAIL, PHONE, "")


def test_me_does_not_take_what_is_not_offered(signed_in):
    signed_in.patch(ME, {"is_staff": True, "is_superuser": True, "password": "x", "uid": "x"})

    person = User.objects.get()
    assert not person.is_staff
    assert not person.is_superuser
    assert person.check_password(PASSWORD)


def test_password_change_ends_the_other_sessions_only(signed_in, login):
    other = assert_success(login(EMAIL))

    values = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert_success(signed_in.post(CHANGE, values))

    assert_success(signed_in.get(ME))
    refused = signed_in.post(f"{API}/auth/refresh/", {"refresh": other["refresh"]})
    assert_error(refused, 401)
    assert AuthSession.objects.filter(revoked_reason=EndReason.PASSWORD_CHANGED).count() == 1
    assert_error(login(PHONE), 401)
    assert_success(login(PHONE, NEW_PASSWORD))


@pytest.mark.parametrize(
    ("current", "new", "attr"),
    [
        ("wrong", NEW_PASSWORD, "current_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, EMAIL, "new_password"),
        (5, NEW_PASSWORD, "current_password"),
        (PASSWORD, "x" * 10_000, "new_password"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_password_change_names_the_bad_field(signed_in, current, new, attr):
    values = {"current_password": current, "new_password": new}

    assert_error(signed_in.post(CHANGE, values), 400, attr=attr)
    assert User.objects.get().check_password(PASSWORD)


def test_password_change_without_a_session_ends_every_one(api_client, person, login):
    """Somebody authenticated in another way, as the admin's cookie would be."""
    login(PHONE)
    api_client.force_authenticate(person)

    values = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert_success(api_client.post(CHANGE, values))

    assert not AuthSession.objects.filter(revoked_at=None).exists()
