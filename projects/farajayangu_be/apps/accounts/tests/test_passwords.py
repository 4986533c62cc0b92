"""Which passwords people may choose, and that they last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.password_validation import get_password_validators, validate_password
from django.core.exceptions import ValidationError
from ntc_core.testing import assert_error, assert_success

from .conftest import API, PASSWORD, PHONE


@pytest.mark.parametrize(
    "password",
    [
        "mtimrefuwamnazi",
        "MTI MREFU WA MNAZI",
        "!!??!!??!!??.",
        "mti wenye 🌴 na ڕەنگ",
        "m" + "1234567890" * 6 + "abc",
        "nilipata faraja kubwa sana",
        "x7" * 128,
    ],
    ids=["lower", "upper", "signs", "any script", "64 long", "one of our words", "256 long"],
)
def test_any_composition_is_accepted(register, password):
    assert_success(register(phone=PHONE, password=password), 202)


@pytest.mark.parametrize(
    ("password", "values"),
    [
        ("mti-mre", {}),
        ("password1", {}),
        ("football123", {}),
        ("0712345678", {}),
        ("712345678a", {}),
        ("FarajaYangu2026", {}),
        ("faraja-123", {}),
        ("asha.mwinyi9", {"full_name": "Asha Mwinyi"}),
    ],
)
def test_what_is_easily_guessed_is_refused(register, password, values):
    assert_error(register(phone=PHONE, password=password, **values), 400, attr="password")


def test_a_password_never_expires(api_client, person):
    body = {"identifier": PHONE, "password": PASSWORD}

    with time_machine.travel(datetime.now(tz=UTC) + timedelta(days=5 * 365)):
        assert_success(api_client.post(f"{API}/auth/login/", body))


def test_the_validators_explain_themselves(settings):
    for validator in get_password_validators(settings.AUTH_PASSWORD_VALIDATORS):
        assert validator.get_help_text()
    with pytest.raises(ValidationError) as caught:
        validate_password("Faraja.Yangu.1")
    assert [error.code for error in caught.value.error_list] == ["password_of_our_words"]
