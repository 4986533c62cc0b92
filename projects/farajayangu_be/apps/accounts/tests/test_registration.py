"""Signing up: what a stranger learns, what a thief gains, and what the right person gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import check_password
from ntc_core.auth.models import OneTimeCode
from ntc_core.auth.services import issue_code, reveal_code
from ntc_core.testing import assert_error, assert_success

from apps.accounts.models import PendingRegistration, User
from apps.accounts.tasks import purge_registrations

from .conftest import API, EMAIL, PASSWORD, PHONE, wrong


def later(**delta: float) -> time_machine.travel:
    return time_machine.travel(datetime.now(tz=UTC) + timedelta(**delta))


def test_register_verify_login_me(api_client, register, verify, login, carrier):
    registration = assert_success(
        register(phone="0712 345 678", full_name="Asha Juma \U0001f33a", language="en"), 202
    )
    user = assert_success(verify(registration["registration"], carrier.code), 201)
    tokens = assert_success(login("712345678"))

    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    me = assert_success(api_client.get(f"{API}/accounts/me/"))
    assert me == user == tokens["user"]
    assert me["phone"] == PHONE
    assert me["email"] is None
    assert me["full_name"] == "Asha Juma \U0001f33a"
    assert me["language"] == "en"
    assert me["phone_verified_at"]
    assert "id" not in me
    assert not PendingRegistration.objects.exists()


def test_register_answers_when_the_code_ends_and_when_another_may_come(register):
    data = assert_success(register(phone=PHONE), 202)

    assert set(data) == {"registration", "expires_at", "resend_at"}
    assert data["resend_at"] < data["expires_at"]
    assert data["expires_at"].endswith("Z")


def test_nobody_exists_and_nobody_signs_in_before_the_code(register, login):
    assert_success(register(phone=PHONE), 202)

    assert not User.objects.exists()
    assert_error(login(PHONE), 401, code="invalid_credentials")


def test_password_of_a_registration_is_stored_hashed(register):
    register(phone=PHONE)

    stored = PendingRegistration.objects.get().password
    assert PASSWORD not in stored
    assert check_password(PASSWORD, stored)


def test_password_keeps_its_blanks(register, verify, login, carrier):
    data = assert_success(register(phone=PHONE, password=" a long pass phrase "), 202)
    assert_success(verify(data["registration"], carrier.code), 201)

    assert_error(login(PHONE, "a long pass phrase"), 401)
    assert_success(login(PHONE, " a long pass phrase "))


def test_email_alone_gets_its_code_by_email(register, verify, login, carrier):
    data = assert_success(register(email=" Asha@Example.COM "), 202)

    assert carrier.codes[0].channel == "email"
    assert carrier.codes[0].destination == EMAIL
    user = assert_success(verify(data["registration"], carrier.code), 201)
    assert user["email"] == EMAIL
    assert user["email_verified_at"]
    assert_success(login("ASHA@example.com"))


def test_phone_and_email_send_the_code_to_the_phone_and_only_note_the_email(
    register, verify, login, carrier
):
    data = assert_success(register(phone=PHONE, email=EMAIL), 202)

    assert [code.channel for code in carrier.codes] == ["sms"]
    user = assert_success(verify(data["registration"], carrier.code), 201)
    assert user["phone_verified_at"]
    assert (user["email"], user["email_verified_at"]) == (None, None)
    assert "claimed_email" not in user
    assert User.objects.get().claimed_email == EMAIL
    assert_error(login(EMAIL), 401, code="invalid_credentials")
    assert_success(login(PHONE))


@pytest.mark.parametrize("address", [{"phone": PHONE}, {"email": EMAIL}])
def test_answer_is_the_same_for_an_address_that_has_an_account(
    register, verify, person, carrier, address
):
    """Same body, same limits; the owner is told, and gets no code."""
    known = register(**address)
    unknown = register(
        **{
            name: value.replace("5678", "5679").replace("asha", "juma")
            for name, value in address.items()
        }
    )

    assert known.status_code == unknown.status_code == 202
    assert known.json().keys() == unknown.json().keys()
    assert known.json()["message"] == unknown.json()["message"]
    assert known.json()["data"].keys() == unknown.json()["data"].keys()
    assert [challenge.destination for challenge in carrier.refused] == list(address.values())
    assert len(carrier.codes) == 1
    assert PendingRegistration.objects.count() == 2


@pytest.mark.parametrize("has_account", [True, False])
def test_database_work_is_the_same_for_an_address_that_has_an_account(
    register, has_account, django_assert_max_num_queries, request
):
    if has_account:
        request.getfixturevalue("person")

    with django_assert_max_num_queries(60) as captured:
        register(phone=PHONE)

    kinds = [query["sql"].split()[0] for query in captured.captured_queries]
    assert kinds.count("INSERT") == 6  # registration, code, its event, notification, message, job
    assert len(OneTimeCode.objects.all()) == 1


def test_right_guess_does_not_finish_a_refused_registration(register, verify, person, carrier):
    """Even if somebody guessed the code that nobody was sent."""
    data = assert_success(register(phone=PHONE, password="another-long-passphrase"), 202)

    response = verify(data["registration"], reveal_code(carrier.refused[0].uid))

    assert_error(response, 400, code="code_invalid", attr="code")
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert User.objects.count() == 1


def test_wrong_code_creates_nobody(register, verify, carrier):
    data = assert_success(register(phone=PHONE), 202)

    assert_error(verify(data["registration"], wrong(carrier.code)), 400, attr="code")

    assert not User.objects.exists()
    assert_success(verify(data["registration"], carrier.code), 201)


def test_any_value_does_not_verify(register, verify, carrier):
    """The predecessor asked for a code and never compared it."""
    data = assert_success(register(phone=PHONE), 202)

    for code in ("000000", "123456", "999999"):
        if code != carrier.code:
            assert_error(verify(data["registration"], code), 400)
    assert not User.objects.exists()


def test_code_of_another_registration_does_not_count(register, verify, carrier):
    """Codes are not looked up by their value alone."""
    mine = assert_success(register(phone=PHONE), 202)
    other = assert_success(register(phone="+255712345679"), 202)

    response = verify(mine["registration"], carrier.code)

    assert_error(response, 400, code="code_invalid")
    assert_success(verify(other["registration"], carrier.code), 201)


def test_thief_who_registers_first_gains_nothing(register, verify, login, carrier):
    """The victim's code switches on the victim's password, whoever registered before."""
    thief = assert_success(register(phone=PHONE, password="the-thief-knows-this"), 202)
    victim = assert_success(register(phone=PHONE, password=PASSWORD), 202)

    assert_error(verify(thief["registration"], carrier.code), 400, code="code_invalid")
    assert_success(verify(victim["registration"], carrier.code), 201)

    assert_error(login(PHONE, "the-thief-knows-this"), 401)
    assert_success(login(PHONE, PASSWORD))


def test_thief_who_registers_later_gains_and_breaks_nothing(register, verify, login, carrier):
    """The thief's code reaches the victim, whose own one still works."""
    victim = assert_success(register(phone=PHONE, password=PASSWORD), 202)
    code = carrier.code
    thief = assert_success(register(phone=PHONE, password="the-thief-knows-this"), 202)
    thiefs_code = carrier.code

    if code != thiefs_code:
        assert_error(verify(victim["registration"], thiefs_code), 400)
    assert_success(verify(victim["registration"], code), 201)
    assert_error(verify(thief["registration"], thiefs_code), 400)
    assert_success(login(PHONE, PASSWORD))
    assert_error(login(PHONE, "the-thief-knows-this"), 401)


def test_stranger_cannot_use_up_the_codes_of_a_phone(api_client, register, verify, carrier):
    """Many sign-ups with one phone from one network; its owner, elsewhere, signs up."""
    answers = [register(phone=PHONE, address="41.59.0.1").status_code for _ in range(15)]
    owner = assert_success(register(phone=PHONE, address="41.59.1.1"), 202)

    assert answers == [202] * 3 + [429] * 12
    assert_success(verify(owner["registration"], carrier.code), 201)


def test_sign_ups_with_the_phone_of_an_account_do_not_block_its_new_password(
    api_client, register, person, run_jobs, carrier
):
    for number in range(12):
        register(phone=PHONE, address=f"41.59.{number}.1")

    reset = api_client.post(f"{API}/accounts/password/reset/", {"identifier": PHONE})

    assert_success(reset, 202)
    run_jobs()
    assert [code.purpose for code in carrier.codes] == ["password_reset"]


def test_second_registration_cannot_finish_once_the_first_has(register, verify, carrier):
    first = assert_success(register(phone=PHONE), 202)
    code = carrier.code
    assert_success(verify(first["registration"], code), 201)

    assert_error(verify(first["registration"], code), 400, code="code_invalid")
    assert User.objects.count() == 1


def test_claimed_email_does_not_keep_its_owner_out(register, verify, login, carrier):
    """A thief claims the victim's email next to the thief's own phone; the owner proves it."""
    thief = assert_success(register(phone=PHONE, email=EMAIL, password="the-thief-knows-this"), 202)
    assert_success(verify(thief["registration"], carrier.code), 201)

    owner = assert_success(register(email=EMAIL), 202)
    assert carrier.refused == []
    assert_success(verify(owner["registration"], carrier.code), 201)

    assert User.objects.get(phone=PHONE).email is None
    assert assert_success(login(EMAIL))["user"]["phone"] is None
    assert_error(login(EMAIL, "the-thief-knows-this"), 401)


@pytest.mark.parametrize(
    ("other", "address"),
    [({"email": EMAIL}, {"phone": PHONE}), ({"phone": PHONE}, {"email": EMAIL})],
    ids=str,
)
def test_unproven_address_does_not_keep_its_owner_out(register, verify, carrier, other, address):
    """Staff wrote it beside an address that the other one has proven."""
    other = User.objects.create_superuser(**other, password=PASSWORD)
    User.objects.filter(pk=other.pk).update(**address)

    owner = assert_success(register(**address), 202)
    assert_success(verify(owner["registration"], carrier.code), 201)

    other.refresh_from_db()
    assert getattr(other, *address) is None


@pytest.mark.parametrize("has_account", [True, False])
def test_second_address_tells_nothing_about_who_has_it(
    register, verify, carrier, has_account, request
):
    """Somebody with a phone of their own asks about the email address of another person."""
    if has_account:
        request.getfixturevalue("person")

    data = assert_success(register(phone="+255712345679", email=EMAIL, full_name="Juma"), 202)
    user = assert_success(verify(data["registration"], carrier.code), 201)

    del user["uid"], user["created_at"], user["phone_verified_at"]
    assert user == {
        "avatar": None,
        "email": None,
        "email_verified_at": None,
        "full_name": "Juma",
        "language": "sw",
        "phone": "+255712345679",
    }
    assert User.objects.filter(email=EMAIL).count() == has_account


def test_two_people_may_claim_one_email(register, verify, carrier):
    for phone in (PHONE, "+255712345679"):
        data = assert_success(register(phone=phone, email=EMAIL), 202)
        assert_success(verify(data["registration"], carrier.code), 201)

    assert User.objects.filter(claimed_email=EMAIL, email=None).count() == 2


def test_code_is_over_after_five_minutes_and_a_resent_one_works(
    api_client, register, verify, carrier
):
    """Expiry is the right way round: the predecessor refused fresh codes and took old ones."""
    data = assert_success(register(phone=PHONE), 202)
    code = carrier.code
    with later(minutes=6):
        assert_error(verify(data["registration"], code), 400, code="code_invalid")
        resent = api_client.post(
            f"{API}/accounts/verify/resend/", {"registration": data["registration"]}
        )
        assert assert_success(resent, 202)["registration"] == data["registration"]
        assert_success(verify(data["registration"], carrier.code), 201)


def test_registration_is_over_after_two_hours(api_client, register, verify, carrier):
    data = assert_success(register(phone=PHONE), 202)
    with later(hours=2, seconds=1):
        response = api_client.post(
            f"{API}/accounts/verify/resend/", {"registration": data["registration"]}
        )
        assert_error(response, 400, code="registration_unknown", attr="registration")
        assert_error(verify(data["registration"], "123456"), 400, code="code_invalid")

        purge_registrations()
    assert not PendingRegistration.objects.exists()


def test_purge_keeps_who_may_still_come_back(register):
    register(phone=PHONE)

    purge_registrations()

    assert PendingRegistration.objects.count() == 1


def test_resend_for_an_account_tells_the_owner_again(api_client, register, person, carrier):
    data = assert_success(register(phone=PHONE), 202)
    with later(seconds=61):
        response = api_client.post(
            f"{API}/accounts/verify/resend/", {"registration": data["registration"]}
        )

    assert_success(response, 202)
    assert len(carrier.refused) == 2
    assert carrier.codes == []


def test_resend_too_soon_says_when(api_client, register):
    data = assert_success(register(phone=PHONE), 202)

    response = api_client.post(
        f"{API}/accounts/verify/resend/", {"registration": data["registration"]}
    )

    assert_error(response, 429, code="code_too_soon")
    assert 55 <= int(response.headers["Retry-After"]) <= 61


@pytest.mark.parametrize("has_account", [True, False])
def test_sixth_code_within_an_hour_is_refused_and_leaves_nothing(register, has_account, request):
    """The limit is the same whether or not there is an account."""
    if has_account:
        request.getfixturevalue("person")
    for number in range(5):
        assert_success(register(phone=PHONE, address=f"41.59.{number}.1"), 202)

    response = register(phone=PHONE)

    assert_error(response, 429, code="code_too_soon")
    assert int(response.headers["Retry-After"]) > 3500
    assert PendingRegistration.objects.count() == 5


def test_one_person_may_have_many_codes(register):
    """In the predecessor the second request for a code raised."""
    assert_success(register(phone=PHONE), 202)
    assert_success(register(phone=PHONE), 202)


def test_second_right_code_for_one_phone_creates_nobody(register, verify, carrier):
    """Two registrations of one phone, each with its own right code: the first one wins."""
    first = assert_success(register(phone=PHONE), 202)
    assert_success(verify(first["registration"], carrier.code), 201)
    registration = PendingRegistration.objects.create(
        phone=PHONE, password="!", expires_at=datetime.now(tz=UTC) + timedelta(hours=1)
    )
    issue_code(
        purpose="registration",
        destination=PHONE,
        channel="sms",
        subject=str(registration.uid),
        context={"language": "sw"},
    )

    assert_error(verify(str(registration.uid), carrier.code), 400, code="code_invalid")
    assert User.objects.count() == 1
