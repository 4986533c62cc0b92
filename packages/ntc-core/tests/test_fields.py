"""Fields that take what the schema says, and nothing that only looks like it."""

from __future__ import annotations

import uuid

import pytest
from ntc_core.fields import PhoneField, TextField, UidField
from rest_framework.exceptions import ValidationError


@pytest.mark.parametrize("value", [1, 1.5, True, None, [], {}, ["a"]], ids=repr)
@pytest.mark.parametrize("field", [TextField(), PhoneField(), UidField()], ids=type)
def test_only_a_string_is_a_text(field, value):
    with pytest.raises(ValidationError):
        field.run_validation(value)


@pytest.mark.parametrize("value", ["", " ", "a\x00b", "\ud800", "x" * 41])
def test_empty_unstorable_and_too_long_texts_are_refused(value):
    with pytest.raises(ValidationError):
        TextField(max_length=40).run_validation(value)


def test_text_is_trimmed_and_keeps_emoji():
    assert TextField().run_validation(" Asha \U0001f600 ") == "Asha \U0001f600"


@pytest.mark.parametrize("spelling", ["0712 345 678", "+255-712-345-678", " 712345678 "])
def test_phone_is_given_in_e164(spelling):
    assert PhoneField().run_validation(spelling) == "+255712345678"


@pytest.mark.parametrize("text", ["0712", "asha@example.com", "0712345678" * 50])
def test_what_is_no_phone_is_refused(text):
    with pytest.raises(ValidationError):
        PhoneField().run_validation(text)


def test_uid_is_the_text_of_a_uuid():
    uid = uuid.uuid4()

    assert UidField().run_validation(str(uid)) == uid
    with pytest.raises(ValidationError):
        UidField().run_validation("x" * 10_000)
