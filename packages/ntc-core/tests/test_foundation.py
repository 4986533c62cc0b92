"""Errors, settings, base models and failpoints: small things that everything stands on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid

import pytest
from ntc_core import errors
from ntc_core.conf import AppSettings, core_settings
from ntc_core.models import BaseModel, TimeStampedModel, new_uid


def test_error_has_a_code_a_status_and_a_sentence():
    error = errors.Conflict("The payment is settled.", code="payment_settled", attr="payment")

    assert (error.code, error.http_status, error.attr) == ("payment_settled", 409, "payment")
    assert str(error) == error.message == "The payment is settled."


def test_error_speaks_for_itself_when_nothing_is_said():
    error = errors.NotFound()

    assert (error.code, error.http_status, str(error), error.attr) == (
        "not_found",
        404,
        "Not found.",
        None,
    )


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "RateLimited"])
def test_every_error_is_ours_and_means_failure(name):
    kind = getattr(errors, name)

    assert issubclass(kind, errors.NtcError)
    assert 400 <= kind().http_status < 600


def test_rate_limit_says_when_to_come_back():
    error = errors.RateLimited(retry_after_seconds=30)

    assert (error.http_status, error.retry_after_seconds) == (429, 30)


def test_settings_have_defaults_and_follow_the_project(settings):
    assert core_settings.OUTBOX_KEEP_DAYS == 14

    settings.NTC_OUTBOX_KEEP_DAYS = 3

    assert core_settings.OUTBOX_KEEP_DAYS == 3


def test_unknown_setting_is_a_mistake():
    with pytest.raises(AttributeError):
        _ = core_settings.NO_SUCH_SETTING
    with pytest.raises(AttributeError):
        _ = AppSettings().ANYTHING


def test_uid_is_a_version_7_uuid_and_sorts_by_time():
    first = new_uid()
    time.sleep(0.002)
    second = new_uid()

    assert isinstance(first, uuid.UUID)
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert first < second


def test_base_models_are_abstract_and_carry_what_they_promise():
    names = {field.name for field in BaseModel._meta.get_fields()}

    assert TimeStampedModel._meta.abstract
    assert BaseModel._meta.abstract
    assert names == {"id", "uid", "created_at", "updated_at"}


@pytest.mark.parametrize(
    ("chosen", "status"),
    [("here", 137), ("here:1", 137), ("here:2", 137), ("here:3", 0), ("elsewhere", 0), ("", 0)],
)
def test_failpoint_ends_the_process_only_where_and_when_it_was_chosen(chosen, status):
    program = "from ntc_core.failpoints import failpoint as f; f('here'); f('there'); f('here')"

    process = subprocess.run(
        [sys.executable, "-c", program], check=False, env={**os.environ, "NTC_FAILPOINT": chosen}
    )

    assert process.returncode == status
