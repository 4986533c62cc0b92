"""A new password by a code, which is worth something to the one who asked for it alone."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from ntc_core.auth.models import AuditEvent, AuthSession, OneTimeCode
from ntc_core.auth.services import reveal_code
from ntc_core.testing import assert_error, assert_success

from apps.accounts.models import User

from .conftest import API, EMAIL, PASSWORD, PHONE, wrong

RESET = f"{API}/accounts/password/reset/"
CONFIRM = f"{API}/accounts/password/reset/confirm/"
NEW_PASSWORD = "samaki-mkubwa-baharini"
ANSWER = {"reset", "expires_at", "resend_at"}


@pytest.fixture
def ask_reset(api_client, run_jobs):
    """Return a function that asks for a code from some address, and lets the job send it."""

    def ask_reset(identifier, address="127.0.0.1"):
        response = api_client.post(RESET, {"identifier": identifier}, REMOTE_ADDR=address)
        run_jobs()
        return response

    return ask_reset


@pytest.fixture
def confirm(api_client):
    """Return a function that brings a code back for a reset, from some address."""

    def confirm(reset, code, password=NEW_PASSWORD, address="127.0.0.1"):
        values = {"reset": reset, "code": code, "new_password": password}
        return api_client.post(CONFIRM, values, REMOTE_ADDR=address)

    return confirm


def refusals() -> int:
    return AuditEvent.objects.filter(event="code.refused").count()


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("identifier", ["0712 345 678", "Asha@Example.com"])
def test_password_reset_by_code_ends_every_session(login, carrier, identifier, ask_reset, confirm):
    login(PHONE)
    data = assert_success(ask_reset(identifier), 202)
    code = carrier.code

    assert_success(confirm(data["reset"], code))

    assert set(data) == ANSWER
    assert not AuthSession.objects.filter(revoked_at=None).exists()
    assert_error(login(PHONE), 401)
    assert_success(login(PHONE, NEW_PASSWORD))
    assert_error(confirm(data["reset"], code), 400, code="code_invalid")
    assert AuditEvent.objects.filter(event="auth.logout_all").count() == 1


def test_password_reset_wants_the_right_code_in_time(person, carrier, ask_reset, confirm):
    """Expiry is the right way round, and any value will not do."""
    reset = assert_success(ask_reset(PHONE), 202)["reset"]

    bad = confirm(reset, wrong(carrier.code))
    assert_error(bad, 400, code="code_invalid", attr="code")
    code = carrier.code
    with time_machine.travel(datetime.now(tz=UTC) + timedelta(minutes=6)):
        assert_error(confirm(reset, code), 400, code="code_invalid")

    assert User.objects.get().check_password(PASSWORD)
    assert refusals() == 2


def test_who_knows_the_phone_cannot_use_up_the_owners_code(
    api_client, person, carrier, ask_reset, confirm
):
    """Neither its tries nor its limit; nor does another reset make it worthless."""
    reset = assert_success(ask_reset(PHONE), 202)["reset"]
    code = carrier.code
    strangers = assert_success(ask_reset(PHONE, "41.59.0.1"), 202)["reset"]
    bad = wrong(carrier.code)
    for number in range(15):
        confirm(strangers, bad, address=f"41.59.{number}.1")
        confirm(str(uuid.uuid4()), wrong(code), address=f"41.60.{number}.1")
        api_client.post(CONFIRM, {"identifier": PHONE, "code": code}, REMOTE_ADDR="41.61.0.1")

    assert_error(confirm(strangers, code), 429)
    assert_success(confirm(reset, code))


def test_code_of_another_reset_does_not_count(person, carrier, ask_reset, confirm):
    mine = assert_success(ask_reset(PHONE), 202)["reset"]
    code = carrier.code
    strangers = assert_success(ask_reset(PHONE, "41.59.0.1"), 202)["reset"]
    if code != carrier.code:
        assert_error(confirm(strangers, code), 400, code="code_invalid")
        assert_error(confirm(mine, carrier.code), 400, code="code_invalid")

    assert_success(confirm(mine, code))


def test_a_new_password_makes_the_other_codes_worthless(person, carrier, ask_reset, confirm):
    earlier = assert_success(ask_reset(PHONE), 202)["reset"]
    earlier_code = carrier.code
    reset = assert_success(ask_reset(PHONE), 202)["reset"]
    assert_success(confirm(reset, carrier.code))

    assert_error(confirm(earlier, earlier_code, "another-good-passphrase"), 400)
    person.refresh_from_db()
    assert person.check_password(NEW_PASSWORD)


@pytest.mark.parametrize("case", ["known", "unknown", "inactive", "unproven"])
def test_password_reset_answers_the_same_whoever_it_is(person, carrier, case, ask_reset, confirm):
    if case == "inactive":
        User.objects.update(is_active=False)
    elif case == "unproven":
        User.objects.update(phone_verified_at=None)
    identifier = "0712345679" if case == "unknown" else PHONE

    responses = [ask_reset(identifier) for _ in range(4)]

    data = [assert_success(response, 202) for response in responses[:3]]
    assert {frozenset(answer) for answer in data} == {frozenset(ANSWER)}
    assert len({answer["reset"] for answer in data}) == 3
    assert_error(responses[3], 429, code="throttled")
    assert len(carrier.codes) == (3 if case == "known" else 0)
    bad = confirm(data[0]["reset"], "000000")
    assert_error(bad, 400, code="code_invalid", attr="code")


def test_right_guess_for_nobody_sets_no_password(db, ask_reset, confirm):
    """Even if somebody guessed the code that nobody was sent."""
    reset = assert_success(ask_reset(PHONE), 202)["reset"]

    answer = confirm(reset, reveal_code(reset))

    assert_error(answer, 400, code="code_invalid", attr="code")
    assert refusals() == 1


def test_password_reset_is_refused_to_who_was_switched_off_meanwhile(
    person, carrier, ask_reset, confirm
):
    reset = assert_success(ask_reset(PHONE), 202)["reset"]
    User.objects.update(is_active=False)

    assert_error(confirm(reset, carrier.code), 400, code="code_invalid")
    assert User.objects.get().check_password(PASSWORD)


def test_password_reset_does_not_follow_a_phone_to_its_next_owner(
    person, carrier, ask_reset, confirm
):
    reset = assert_success(ask_reset(PHONE), 202)["reset"]
    User.objects.update(phone="+255712345679")
    next_owner = User.objects.create_superuser(phone=PHONE, password=PASSWORD)

    assert_error(confirm(reset, carrier.code), 400, code="code_invalid")
    next_owner.refresh_from_db()
    assert next_owner.check_password(PASSWORD)
    assert refusals() == 1


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


def test_database_work_of_a_wrong_code_is_the_same_without_an_account(
    person, ask_reset, confirm, django_assert_max_num_queries
):
    kinds = []
    for identifier in (PHONE, "0712345679"):
        reset = assert_success(ask_reset(identifier), 202)["reset"]
        code = wrong(reveal_code(reset))

        with django_assert_max_num_queries(20) as captured:
            assert_error(confirm(reset, code), 400, code="code_invalid")
        kinds.append([query["sql"].split()[0] for query in captured.captured_queries])

    assert kinds[0] == kinds[1]


def test_code_of_a_registration_resets_no_password(register, person, carrier, confirm):
    """A code is bound to its purpose."""
    User.objects.update(phone=None)
    register(phone=PHONE)
    User.objects.update(phone=PHONE)
    registration = OneTimeCode.objects.get()

    for reset in (registration.uid, registration.subject):
        assert_error(confirm(str(reset), carrier.code), 400, code="code_invalid")


@pytest.mark.usefixtures("person")
@pytest.mark.django_db
@pytest.mark.parametrize("identifier", ["a" * 249 + "@e.com", "0712 345 678" * 9])
def test_an_address_longer_than_any_is_refused(api_client, identifier):
    assert_error(api_client.post(RESET, {"identifier": identifier}), 400, attr="identifier")


@pytest.mark.parametrize(
    ("values", "attr"),
    [
        ({"reset": "nobody"}, "reset"),
        ({"reset": 7}, "reset"),
        ({"identifier": PHONE}, "reset"),
        ({"code": "12"}, "code"),
        ({"new_password": "short"}, "new_password"),
        ({"new_password": PHONE}, "new_password"),
        ({"new_password": f"x{EMAIL}"}, None),
    ],
    ids=str,
)
def test_password_reset_names_the_bad_field(api_client, ask_reset, values, attr):
    """The phone that the code went to is no password; of other addresses nothing is told."""
    reset = assert_success(ask_reset(PHONE), 202)["reset"]
    good = {"code": "123456", "new_password": NEW_PASSWORD}
    body = {**good, **({} if "identifier" in values else {"reset": reset}), **values}

    assert_error(api_client.post(CONFIRM, body), 400, attr=attr or "code")
