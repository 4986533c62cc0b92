"""Staff look after people in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from ntc_core.auth import services as auth
from ntc_core.auth.models import AuditEvent, AuthSession
from ntc_core.testing import assert_error

from apps.accounts.models import User

from .conftest import EMAIL, PASSWORD, PHONE

USERS = "/admin/accounts/user/"
BOSS_PHONE = "+255754000001"


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser(phone=BOSS_PHONE, password=PASSWORD)


@pytest.fixture
def admin(client: Client, boss: User) -> Client:
    client.force_login(boss)
    return client


@pytest.mark.parametrize("identifier", ["0754 000 001", "boss@example.com"])
def test_staff_sign_in_with_phone_or_email(client, boss, identifier):
    User.objects.filter(pk=boss.pk).update(email="boss@example.com")

    page = client.get("/admin/login/").content.decode()
    response = client.post("/admin/login/", {"username": identifier, "password": PASSWORD})

    assert "Email or phone" in page
    assert response.status_code == 302
    assert client.get(USERS).status_code == 200


def test_staff_add_a_person_by_phone_alone(admin):
    values = {
        "email": "",
        "phone": "0712 345 678",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }

    response = admin.post(f"{USERS}add/", values)

    assert response.status_code == 302
    person = User.objects.get(phone=PHONE)
    assert person.email is None
    assert person.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"email": "", "phone": ""}, "Give an email address or a phone number."),
        ({"email": "", "phone": "0712"}, "Enter a valid phone number"),
        ({"email": "ASHA@example.com", "phone": ""}, "already exists"),
    ],
)
def test_staff_are_told_what_is_wrong(admin, person, values, complaint):
    values = {**values, "usable_password": "false"}

    response = admin.post(f"{USERS}add/", values)

    assert response.status_code == 200
    assert complaint in response.content.decode()
    assert User.objects.count() == 2


def edit_form(person: User, **changes: str) -> dict[str, str]:
    values = {
        "full_name": "Asha",
        "language": "sw",
        "email": person.email or "",
        "phone": person.phone or "",
        "is_active": "on",
        **changes,
    }
    return {name: value for name, value in values.items() if value != "off"}


def test_staff_edit_a_person(admin, person):
    page = f"{USERS}{person.pk}/change/"
    assert admin.get(page).status_code == 200
    auth.sign_in(user=person)

    response = admin.post(page, edit_form(person, email="New@Example.com", phone=""))

    assert response.status_code == 302
    person.refresh_from_db()
    assert (person.email, person.phone, person.full_name) == ("new@example.com", None, "Asha")
    assert AuthSession.objects.get().is_live


def test_switching_a_person_off_ends_their_sessions(admin, person):
    """Or they would come back to life with the person."""
    auth.sign_in(user=person)

    admin.post(f"{USERS}{person.pk}/change/", edit_form(person, is_active="off"))

    assert not User.objects.get(email=EMAIL).is_active
    assert not AuthSession.objects.get().is_live


def test_new_password_from_staff_ends_the_sessions(admin, person):
    auth.sign_in(user=person)
    new = {"password1": "samaki-mkubwa", "password2": "samaki-mkubwa", "usable_password": "true"}

    response = admin.post(f"{USERS}{person.pk}/password/", new)

    assert response.status_code == 302
    person.refresh_from_db()
    assert person.check_password("samaki-mkubwa")
    assert not AuthSession.objects.get().is_live


def test_staff_find_people(admin, person):
    for text in ("asha@", "712345", str(person.uid)):
        page = admin.get(USERS, {"q": text}).content.decode()
        assert EMAIL in page


def staff_who_may(*codenames: str) -> Client:
    """Return the browser of a member of staff with these permissions, and no superuser."""
    user = User.objects.create_user(phone="+255754000007", password=PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def test_who_edits_people_cannot_hand_out_powers(person):
    support = staff_who_may("view_user", "change_user")
    page = f"{USERS}{person.pk}/change/"
    values = {"full_name": "Asha", "phone": PHONE, "language": "sw", "is_active": "on"}

    response = support.post(page, {**values, "is_staff": "on", "is_superuser": "on"})

    person.refresh_from_db()
    assert response.status_code == 302
    assert person.full_name == "Asha"
    assert not person.is_staff
    assert not person.is_superuser


def test_who_edits_people_cannot_touch_other_staff(boss):
    support = staff_who_may("view_user", "change_user")
    page = f"{USERS}{boss.pk}"

    assert support.post(f"{page}/change/", {"full_name": "x"}).status_code == 403
    values = {"password1": "nenosiri-jipya-9", "password2": "nenosiri-jipya-9"}
    assert support.post(f"{page}/password/", values).status_code == 403
    boss.refresh_from_db()
    assert boss.check_password(PASSWORD)


def test_staff_end_every_session_of_a_person(person):
    support = staff_who_may("view_user", "change_authsession")
    auth.sign_in(user=person)
    auth.sign_in(user=person)

    support.post(USERS, {"action": "end_sessions", "_selected_action": [person.pk]})

    assert not AuthSession.objects.filter(user=person, revoked_at=None).exists()


def test_who_may_only_look_at_people_ends_no_session(person):
    support = staff_who_may("view_user")
    auth.sign_in(user=person)

    support.post(USERS, {"action": "end_sessions", "_selected_action": [person.pk]})

    assert AuthSession.objects.filter(user=person, revoked_at=None).exists()


def test_guesses_in_the_admin_are_limited_with_those_in_the_api(client, boss, api_client):
    """Phone or email address, form or API: it is one account and one password."""
    User.objects.filter(pk=boss.pk).update(email="boss@example.com")
    for identifier in (BOSS_PHONE, "0754 000 001", "BOSS@example.com"):
        client.post("/admin/login/", {"username": identifier, "password": "wrong"})
    for _ in range(2):
        values = {"identifier": "boss@example.com", "password": "wrong"}
        assert_error(api_client.post("/api/v1/auth/login/", values), 401)

    refused = client.post("/admin/login/", {"username": BOSS_PHONE, "password": PASSWORD})

    assert refused.status_code == 200
    assert "Too many requests" in refused.content.decode()
    assert AuditEvent.objects.filter(event="auth.login.failed", user=boss).count() == 5
