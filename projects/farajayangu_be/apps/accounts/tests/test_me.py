"""What people see and change about themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from ntc_core.auth.models import AuthSession, EndReason
from ntc_core.testing import assert_error, assert_success

from apps.accounts.models import User

from .conftest import API, EMAIL, PASSWORD, PHONE, wrong

ME = f"{API}/accounts/me/"
CHANGE = f"{API}/accounts/password/change/"
RESET = f"{API}/accounts/password/reset/"
CONFIRM = f"{API}/accounts/password/reset/confirm/"
NEW_PASSWORD = "samaki-mkubwa-baharini"


@pytest.fixture
def ask_reset(api_client, run_jobs):
    """Return a function that asks for a code, and lets the job send it."""

    def ask_reset(identifier):
        response = api_client.post(RESET, {"identifier": identifier})
        run_jobs()
        return response

    return ask_reset


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


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("identifier", ["0712 345 678", "Asha@Example.com"])
def test_password_reset_by_code_ends_every_session(
    api_client, login, carrier, identifier, ask_reset
):
    tokens = assert_success(login(PHONE))
    data = assert_success(ask_reset(identifier), 202)
    values = {"identifier": identifier, "code": carrier.code, "new_password": NEW_PASSWORD}

    assert_success(api_client.post(CONFIRM, values))

    assert set(data) == {"expires_at", "resend_at"}
    assert_error(api_client.post(f"{API}/auth/refresh/", {"refresh": tokens["refresh"]}), 401)
    assert_error(login(PHONE), 401)
    assert_success(login(PHONE, NEW_PASSWORD))
    assert_error(api_client.post(CONFIRM, values), 400, code="code_invalid")


def test_password_reset_wants_the_right_code_in_time(api_client, person, carrier, ask_reset):
    """Expiry is the right way round, and any value will not do."""
    ask_reset(PHONE)
    values = {"identifier": PHONE, "new_password": NEW_PASSWORD}

    bad = api_client.post(CONFIRM, {**values, "code": wrong(carrier.code)})
    assert_error(bad, 400, code="code_invalid", attr="code")
    code = carrier.code
    with time_machine.travel(datetime.now(tz=UTC) + timedelta(minutes=6)):
        assert_error(api_client.post(CONFIRM, {**values, "code": code}), 400, code="code_invalid")

    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize("case", ["unknown", "inactive", "unproven"])
def test_password_reset_answers_the_same_and_sends_nothing(
    api_client, person, carrier, case, ask_reset
):
    if case == "inactive":
        User.objects.update(is_active=False)
    elif case == "unproven":
        User.objects.update(phone_verified_at=None)
    identifier = "0712345679" if case == "unknown" else PHONE

    response = ask_reset(identifier)
    again = ask_reset(identifier)

    assert set(assert_success(response, 202)) == {"expires_at", "resend_at"}
    assert_error(again, 429, code="code_too_soon")
    assert carrier.codes == []


def test_password_reset_is_refused_to_who_lost_the_address_meanwhile(
    api_client, person, carrier, ask_reset
):
    ask_reset(PHONE)
    User.objects.update(is_active=False)
    values = {"identifier": PHONE, "code": carrier.code, "new_password": NEW_PASSWORD}

    assert_error(api_client.post(CONFIRM, values), 400, code="code_invalid")
    assert User.objects.get().check_password(PASSWORD)


def test_password_reset_does_not_follow_a_phone_to_its_next_owner(
    api_client, person, carrier, ask_reset
):
    ask_reset(PHONE)
    User.objects.update(phone="+255712345679")
    next_owner = User.objects.create_superuser(phone=PHONE, password=PASSWORD)
    values = {"identifier": PHONE, "code": carrier.code, "new_password": NEW_PASSWORD}

    assert_error(api_client.post(CONFIRM, values), 400, code="code_invalid")
    next_owner.refresh_from_db()
    assert next_owner.check_password(PASSWORD)


@pytest.mark.parametrize("has_account", [True, False])
def test_database_work_of_a_reset_is_the_same_without_an_account(
    api_client, db, has_account, request, django_assert_max_num_queries
):
    if has_account:
        request.getfixturevalue("person")

    with django_assert_max_num_queries(60) as captured:
        assert_success(api_client.post(RESET, {"identifier": PHONE}), 202)

    kinds = [query["sql"].split()[0] for query in captured.captured_queries]
    assert kinds.count("INSERT") == 3  # the code, the audit event, the job
    assert kinds.count("UPDATE") == 2  # the code before it, the wait after it


def test_code_of_a_registration_resets_no_password(api_client, register, person, carrier):
    """A code is bound to its purpose."""
    User.objects.update(phone=None)
    register(phone=PHONE)
    User.objects.update(phone=PHONE)
    values = {"identifier": PHONE, "code": carrier.code, "new_password": NEW_PASSWORD}

    assert_error(api_client.post(CONFIRM, values), 400, code="code_invalid")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "attr"),
    [
        ({"identifier": "nobody"}, "identifier"),
        ({"identifier": 7}, "identifier"),
        ({"identifier": PHONE, "code": "12"}, "code"),
        ({"identifier": PHONE, "code": "123456", "new_password": "short"}, "new_password"),
    ],
    ids=str,
)
def test_password_reset_names_the_bad_field(api_client, values, attr):
    assert_error(api_client.post(CONFIRM, values), 400, attr=attr)
