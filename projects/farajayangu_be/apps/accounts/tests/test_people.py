"""The user model: addresses in one spelling, found in every spelling."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from ntc_core.phone import InvalidPhone
from ntc_core.testing import assert_error, assert_success

from apps.accounts.models import PendingRegistration, User

from .conftest import EMAIL, PASSWORD, PHONE


@pytest.mark.parametrize(
    "identifier",
    [
        "0712345678",
        "0712 345 678",
        "712345678",
        "255712345678",
        "+255 712-345-678",
        "00255712345678",
        "asha@example.com",
        " Asha@EXAMPLE.com ",
    ],
)
def test_people_sign_in_with_any_spelling(person, login, identifier):
    assert assert_success(login(identifier))["user"]["uid"] == str(person.uid)


@pytest.mark.django_db
@pytest.mark.parametrize("identifier", ["nobody", "0712", "a@b", "@", "+" * 200, "\U0001f600"])
def test_what_is_no_identifier_is_just_wrong(login, identifier):
    assert_error(login(identifier), 401, code="invalid_credentials")


@pytest.mark.parametrize("change", ["wrong password", "inactive", "unknown"])
def test_login_refuses_in_one_way(person, login, change):
    if change == "inactive":
        User.objects.update(is_active=False)

    response = login(
        "0799 999 999" if change == "unknown" else PHONE,
        "wrong" if change == "wrong password" else PASSWORD,
    )

    body = assert_error(response, 401, code="invalid_credentials")
    assert body["message"] == "The sign-in name or the password is wrong."


@pytest.mark.django_db
def test_user_needs_an_address():
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(password=PASSWORD)
    with pytest.raises(ValidationError, match="email address or a phone"):
        User(password="!").full_clean()


def test_addresses_are_unique_whatever_the_case(person):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(email="ASHA@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(phone="0712345678")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="Juma@example.com")


@pytest.mark.django_db
def test_nonsense_makes_no_user():
    with pytest.raises(ValidationError):
        User.objects.create_user(email="nobody")
    with pytest.raises(InvalidPhone):
        User.objects.create_user(phone="0712")


@pytest.mark.django_db
def test_user_without_a_password_cannot_sign_in(login):
    User.objects.create_user(phone=PHONE)

    assert_error(login(PHONE, ""), 400, attr="password")
    assert_error(login(PHONE, "anything"), 401)


def test_saving_a_user_is_no_login(person):
    person.save()

    assert User.objects.get().last_login is None


def test_names_fall_back_to_what_there_is(person):
    assert str(person) == EMAIL
    person.email = None
    assert str(person) == PHONE
    person.full_name = "Asha"
    assert (str(person), person.get_short_name(), person.get_full_name()) == ("Asha",) * 3
    assert str(User(uid=person.uid)) == str(person.uid)
    registration = PendingRegistration(phone=PHONE)
    assert str(registration) == str(registration.uid)


@pytest.mark.parametrize("phone", ["0712345678", "nonsense", "+255"])
def test_model_takes_a_phone_in_e164_only(phone):
    with pytest.raises(ValidationError) as caught:
        User(phone=phone, password="!").clean_fields()

    assert "phone" in caught.value.error_dict


@pytest.mark.django_db
def test_createsuperuser_works_without_questions(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)

    call_command("createsuperuser", email="Boss@Example.com", interactive=False, verbosity=0)

    boss = authenticate(username="boss@example.com", password=PASSWORD)
    assert boss is not None
    assert boss.is_superuser
    assert boss.is_staff
    assert boss.email_verified_at
    with pytest.raises(CommandError, match="taken"):
        call_command("createsuperuser", email="BOSS@example.com", interactive=False)
    with pytest.raises(CommandError, match="valid email"):
        call_command("createsuperuser", email="boss", interactive=False)
