"""Signing up with bad input: the answer names the field, and nothing is left behind."""

from __future__ import annotations

import pytest
from ntc_core.auth.models import OneTimeCode
from ntc_core.testing import assert_error

from apps.accounts.models import PendingRegistration

from .conftest import API, PHONE


@pytest.mark.parametrize(
    ("values", "attr"),
    [
        ({}, "phone"),
        ({"phone": ""}, "phone"),
        ({"phone": "0712"}, "phone"),
        ({"phone": 712345678}, "phone"),
        ({"phone": "0" * 10_000}, "phone"),
        ({"phone": "\U0001f600"}, "phone"),
        ({"phone": None}, "phone"),
        ({"phone": [PHONE]}, "phone"),
        ({"email": "not an address"}, "email"),
        ({"email": "a" * 10_000 + "@example.com"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": {"a": 1}}, "email"),
        ({"phone": PHONE, "password": "short"}, "password"),
        ({"phone": PHONE, "password": "12345678901"}, "password"),
        ({"phone": PHONE, "password": "password123"}, "password"),
        ({"phone": PHONE, "password": "x" * 10_000}, "password"),
        ({"phone": PHONE, "password": 1234567890}, "password"),
        ({"phone": PHONE, "password": None}, "password"),
        ({"phone": PHONE, "full_name": "x" * 151}, "full_name"),
        ({"phone": PHONE, "full_name": "Asha\nBcc: all"}, "full_name"),
        ({"phone": PHONE, "full_name": True}, "full_name"),
        ({"phone": PHONE, "language": "fr"}, "language"),
        ({"phone": PHONE, "language": ["sw"]}, "language"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_register_names_the_bad_field(register, values, attr):
    assert_error(register(**values), 400, attr=attr)

    assert not PendingRegistration.objects.exists()
    assert not OneTimeCode.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {("password", "required"), ("phone", "required")}),
        (
            {"password": 5, "language": "fr"},
            {("password", "invalid"), ("language", "invalid_choice"), ("phone", "required")},
        ),
        ({"phone": "0712"}, {("password", "required"), ("phone", "invalid")}),
        ({"email": "nobody"}, {("password", "required"), ("email", "invalid")}),
        ([], {(None, "invalid")}),
    ],
    ids=str,
)
def test_register_names_everything_that_is_wrong_at_once(api_client, body, wrong):
    answer = assert_error(api_client.post(f"{API}/accounts/register/", body), 400)

    assert {(error["attr"], error["code"]) for error in answer["errors"]} == wrong


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"registration": "not a uid", "code": "123456"}, "registration"),
        ({"registration": 7, "code": "123456"}, "registration"),
        ({"registration": "0190a6e0-0000-7000-8000-000000000000"}, "code"),
        ({"registration": "0190a6e0-0000-7000-8000-000000000000", "code": 123456}, "code"),
        ({"registration": "0190a6e0-0000-7000-8000-000000000000", "code": "12345"}, "code"),
        ({"registration": "0190a6e0-0000-7000-8000-000000000000", "code": "x" * 9999}, "code"),
        ({"registration": "0190a6e0-0000-7000-8000-000000000000", "code": "123456"}, "code"),
        (
            {"registration": "0190a6e0-0000-7000-8000-000000000000", "code": "\U0001f600" * 6},
            "code",
        ),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_verify_names_the_bad_field(api_client, body, attr):
    assert_error(api_client.post(f"{API}/accounts/verify/", body), 400, attr=attr)
