"""Whatever changes a password, or ends every session, ends them all: the admin's own too."""

from __future__ import annotations

import getpass

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.test import Client
from ntc_core.auth import services as auth
from ntc_core.auth.errors import CredentialsInvalid, TokenInvalid
from ntc_core.auth.models import AuditEvent, EndReason
from ntc_core.testing import assert_success

from apps.accounts.models import User

from .conftest import API, PASSWORD, PHONE
from .test_admin import BOSS_PHONE, USERS, edit_form

NEW_PASSWORD = "samaki-mkubwa-baharini"


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser(phone=BOSS_PHONE, email="b@example.com", password=PASSWORD)


def browser_of(user: User) -> Client:
    """Return a browser in which the user has signed in to the admin."""
    client = Client()
    client.force_login(user)
    assert is_in(client)
    return client


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def reasons(user: User) -> list[str]:
    """Return why the user's sessions were all ended, once for each time."""
    rows = AuditEvent.objects.filter(event="auth.logout_all", user=user).order_by("pk")
    return [row.details["reason"] for row in rows]


def by_form_of_staff(user: User) -> None:
    other = User.objects.create_superuser(phone="+255754000002", password=PASSWORD)
    values = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    page = f"{USERS}{user.pk}/password/"
    assert browser_of(other).post(page, values).status_code == 302


def by_taking_it_away(user: User) -> None:
    other = User.objects.create_superuser(phone="+255754000002", password=PASSWORD)
    values = {"usable_password": "false", "unset-password": "1"}
    page = f"{USERS}{user.pk}/password/"
    assert browser_of(other).post(page, values).status_code == 302


def by_service(user: User) -> None:
    user.set_password(NEW_PASSWORD)
    user.save()


def by_hash(user: User) -> None:
    user.password = make_password(NEW_PASSWORD)
    user.save(update_fields=["password"])


def by_coroutine(user: User) -> None:
    user.set_password(NEW_PASSWORD)
    async_to_sync(user.asave)()


WAYS = [by_form_of_staff, by_taking_it_away, by_service, by_hash, by_coroutine]


@pytest.mark.parametrize("change", WAYS, ids=lambda way: way.__name__)
def test_every_way_to_another_password_ends_every_session_once(boss, change):
    browser = browser_of(boss)
    session = auth.sign_in(user=boss).session

    change(boss)

    session.refresh_from_db()
    assert session.revoked_reason == EndReason.PASSWORD_CHANGED
    assert not is_in(browser)
    assert not User.objects.get(pk=boss.pk).check_password(PASSWORD)
    assert reasons(boss) == ["password_changed"]


def test_the_command_of_django_ends_them_too(boss, monkeypatch):
    monkeypatch.setattr(getpass, "getpass", lambda *_, **__: NEW_PASSWORD)
    browser = browser_of(boss)
    session = auth.sign_in(user=boss).session

    call_command("changepassword", boss.email)

    session.refresh_from_db()
    assert not session.is_live
    assert not is_in(browser)
    assert reasons(boss) == ["password_changed"]


def test_own_password_in_the_admin_keeps_only_the_browser_that_changes_it(boss):
    here, elsewhere = browser_of(boss), browser_of(boss)
    session = auth.sign_in(user=boss).session
    values = {
        "old_password": PASSWORD,
        "new_password1": NEW_PASSWORD,
        "new_password2": NEW_PASSWORD,
    }

    response = here.post("/admin/password_change/", values)

    assert response.status_code == 302
    session.refresh_from_db()
    assert session.revoked_reason == EndReason.PASSWORD_CHANGED
    assert is_in(here)
    assert not is_in(elsewhere)
    assert reasons(boss) == ["password_changed"]


def test_own_password_in_the_app_keeps_only_the_session_that_changes_it(boss, api_client, login):
    browser = browser_of(boss)
    other = auth.sign_in(user=boss).session
    access = assert_success(login(BOSS_PHONE))["access"]
    bearer = {"Authorization": f"Bearer {access}"}

    values = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    changed = api_client.post(f"{API}/accounts/password/change/", values, headers=bearer)

    assert_success(changed)
    other.refresh_from_db()
    assert not other.is_live
    assert_success(api_client.get(f"{API}/accounts/me/", headers=bearer))
    assert not is_in(browser)
    assert reasons(boss) == ["password_changed"]


@pytest.mark.parametrize(
    "call",
    [lambda user: user.check_password, lambda user: async_to_sync(user.acheck_password)],
    ids=["plain", "coroutine"],
)
def test_a_hash_of_another_kind_is_no_other_password(boss, settings, call):
    """As Django raises the work of its hasher with every release."""
    before = boss.password
    session = auth.sign_in(user=boss).session
    settings.PASSWORD_HASHERS = [
        "apps.accounts.tests.hashers.FeltHasher",
        *settings.PASSWORD_HASHERS,
    ]

    assert call(boss)(PASSWORD)

    boss.refresh_from_db()
    session.refresh_from_db()
    assert boss.password != before
    assert boss.password.startswith("felt$")
    assert session.is_live
    assert reasons(boss) == []


def test_a_sign_in_that_makes_the_hash_anew_is_a_sign_in(boss, settings, login):
    session = auth.sign_in(user=boss).session
    settings.PASSWORD_HASHERS = [
        "apps.accounts.tests.hashers.FeltHasher",
        *settings.PASSWORD_HASHERS,
    ]

    assert_success(login(BOSS_PHONE))
    assert_success(login(BOSS_PHONE))

    assert User.objects.get(pk=boss.pk).password.startswith("felt$")
    session.refresh_from_db()
    assert session.is_live


def test_a_hash_made_anew_never_brings_an_old_password_back(boss, settings):
    """Somebody signs in with the old password while it is being changed."""
    comparing = User.objects.get(pk=boss.pk)
    by_service(boss)
    settings.PASSWORD_HASHERS = [
        "apps.accounts.tests.hashers.FeltHasher",
        *settings.PASSWORD_HASHERS,
    ]

    assert comparing.check_password(PASSWORD)

    boss.refresh_from_db()
    assert boss.check_password(NEW_PASSWORD)
    with pytest.raises(CredentialsInvalid):
        auth.sign_in(user=comparing)


def log_out_everywhere(user: User) -> None:
    access = auth.sign_in(user=user).access
    bearer = {"Authorization": f"Bearer {access}"}
    answer = Client().post(f"{API}/auth/logout-all/", {}, "application/json", headers=bearer)
    assert answer.status_code == 200


def use_a_stolen_token(user: User) -> None:
    token = auth.sign_in(user=user).refresh
    auth.refresh(refresh_token=token)
    with pytest.raises(TokenInvalid):
        auth.refresh(refresh_token=token)


def end_by_staff(user: User) -> None:
    other = User.objects.create_superuser(phone="+255754000002", password=PASSWORD)
    values = {"action": "end_sessions", "_selected_action": [user.pk]}
    assert browser_of(other).post(USERS, values).status_code == 302


def switch_off_and_on(user: User) -> None:
    other = User.objects.create_superuser(phone="+255754000002", password=PASSWORD)
    page = f"{USERS}{user.pk}/change/"
    for is_active in ("off", "on"):
        values = edit_form(user, is_active=is_active, is_staff="on", is_superuser="on")
        assert browser_of(other).post(page, values).status_code == 302


ENDS = [log_out_everywhere, use_a_stolen_token, end_by_staff, switch_off_and_on]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_what_ends_every_session_ends_the_admins_too(boss, settings, end):
    settings.NTC_REFRESH_GRACE_SECONDS = 0
    browser = browser_of(boss)

    end(boss)

    assert not is_in(browser)
    assert User.objects.get(pk=boss.pk).is_active
    assert is_in(browser_of(User.objects.get(pk=boss.pk)))


def test_a_copy_that_was_read_earlier_brings_no_session_back(boss):
    copy = User.objects.get(pk=boss.pk)
    browser = browser_of(boss)
    auth.sign_out_everywhere(user=boss)

    copy.full_name = "Boss"
    copy.save()

    assert User.objects.get(pk=boss.pk).full_name == "Boss"
    assert not is_in(browser)


@pytest.mark.parametrize("fields", [None, ["full_name"], ["password"], ["is_active"]], ids=str)
def test_what_changes_neither_password_nor_powers_ends_nothing(boss, fields):
    browser = browser_of(boss)
    session = auth.sign_in(user=boss).session
    boss.full_name = "Boss"

    boss.save(update_fields=fields)

    session.refresh_from_db()
    assert session.is_live
    assert is_in(browser)
    assert reasons(boss) == []


def test_what_is_not_saved_ends_nothing(boss):
    session = auth.sign_in(user=boss).session
    boss.set_password(NEW_PASSWORD)
    boss.is_active = False

    boss.save(update_fields=["full_name"])

    session.refresh_from_db()
    assert session.is_live
    assert reasons(boss) == []


def test_a_request_with_a_token_asks_the_database_once(
    person, api_client, login, django_assert_num_queries
):
    access = assert_success(login(PHONE))["access"]

    with django_assert_num_queries(1):
        answer = api_client.get(
            f"{API}/accounts/me/", headers={"Authorization": f"Bearer {access}"}
        )

    assert_success(answer)
