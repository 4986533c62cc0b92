"""What is refused leaves a row that staff can read, whatever else was rolled back."""

from __future__ import annotations

import uuid

import pytest
from ntc_core.auth.models import AuditEvent, OneTimeCode
from ntc_core.testing import assert_error, assert_success

from apps.accounts.models import PendingRegistration, User

from .conftest import API, PASSWORD, PHONE


def recorded(event: str) -> list[str]:
    """Return what these events were about, in their order."""
    rows = AuditEvent.objects.filter(event=event).order_by("pk")
    return [row.details.get("limit") or row.details["purpose"] for row in rows]


@pytest.fixture
def one_code_an_hour(settings):
    settings.NTC_CODES_PER_ASKER_PER_HOUR = 1


@pytest.mark.usefixtures("one_code_an_hour")
def test_a_sign_up_too_many_is_recorded_and_stores_nothing_else(register):
    assert_success(register(phone=PHONE), 202)

    for _ in range(3):
        assert_error(register(phone=PHONE), 429, code="throttled")

    assert recorded("auth.throttled") == ["codes_asker"]
    assert PendingRegistration.objects.count() == OneTimeCode.objects.count() == 1


@pytest.mark.usefixtures("one_code_an_hour")
def test_a_further_code_too_many_is_recorded(api_client, register):
    data = assert_success(register(phone=PHONE), 202)

    again = api_client.post(
        f"{API}/accounts/verify/resend/", {"registration": data["registration"]}
    )

    assert_error(again, 429, code="throttled")
    assert recorded("auth.throttled") == ["codes_asker"]


@pytest.mark.usefixtures("one_code_an_hour", "person")
def test_a_reset_too_many_is_recorded(api_client):
    answers = [
        api_client.post(f"{API}/accounts/password/reset/", {"identifier": PHONE}).status_code
        for _ in range(3)
    ]

    assert answers == [202, 429, 429]
    assert recorded("auth.throttled") == ["codes_asker"]


@pytest.mark.django_db
def test_a_code_for_what_never_was_is_recorded(api_client, verify):
    nothing = str(uuid.uuid4())

    assert_error(verify(nothing, "123456"), 400, code="code_invalid")
    values = {"reset": nothing, "code": "123456", "new_password": PASSWORD}
    answer = api_client.post(f"{API}/accounts/password/reset/confirm/", values)

    assert_error(answer, 400, code="code_invalid")
    assert recorded("code.refused") == ["registration", "password_reset"]


def test_a_right_code_that_comes_too_late_for_the_phone_is_recorded(register, verify, carrier):
    data = assert_success(register(phone=PHONE), 202)
    User.objects.create_superuser(phone=PHONE, password=PASSWORD)

    assert_error(verify(data["registration"], carrier.code), 400, code="code_invalid")

    assert recorded("code.refused") == ["registration"]
