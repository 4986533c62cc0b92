"""How many codes leave: per phone and day, per asker, per country."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import time_machine
from django.test import RequestFactory
from ntc_core.auth.models import OneTimeCode
from ntc_core.client import bind_request
from ntc_core.errors import RateLimited


def test_eleventh_code_within_a_day_is_refused(issue, settings):
    settings.NTC_CODES_PER_HOUR = 3
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock:
        for number in range(10):
            issue(subject=f"registration {number}")
            clock.shift(2 * 60 * 60)

        with pytest.raises(RateLimited) as caught:
            issue()
        clock.shift(caught.value.retry_after_seconds + 1)

        assert caught.value.retry_after_seconds == 4 * 60 * 60 + 1
        assert issue()


@contextmanager
def calling_from(address: str) -> Iterator[None]:
    with bind_request(RequestFactory().get("/", REMOTE_ADDR=address)):
        yield


def phone(number: int) -> str:
    return f"+2557120000{number:02d}"


def test_one_address_asks_for_twenty_codes_an_hour(issue):
    with calling_from("41.59.0.1"):
        for number in range(20):
            issue(destination=phone(number))
        with pytest.raises(RateLimited) as caught:
            issue(destination=phone(20))
        assert not OneTimeCode.objects.filter(destination=phone(20)).exists()

    assert 3500 < caught.value.retry_after_seconds <= 3600
    with calling_from("41.59.0.2"):
        assert issue(destination=phone(20))
    assert issue(destination=phone(21))  # a job of ours


def test_one_network_cannot_use_up_the_codes_of_a_phone(issue):
    """Its owner, somewhere else, still gets one."""
    for number in range(3):
        with calling_from(f"41.59.0.{number}"):
            issue(subject=f"stranger {number}")
    with calling_from("41.59.0.9"):
        with pytest.raises(RateLimited) as caught:
            issue(subject="stranger 3")
        assert issue(destination=phone(1))
        assert issue(purpose="reset")

    assert 3500 < caught.value.retry_after_seconds <= 3600
    with calling_from("41.59.1.1"):
        assert issue(subject="owner")


def test_one_network_cannot_use_up_the_day_of_a_phone(issue):
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock:
        with calling_from("2001:db8:1::1"):
            for number in range(6):
                issue(subject=f"stranger {number}")
                clock.shift(2 * 60 * 60)
            with pytest.raises(RateLimited):
                issue(subject="stranger 6")
        with calling_from("2001:db8:2::1"):
            assert issue(subject="owner")


@pytest.mark.parametrize("setting", ["NTC_CODES_PER_ASKER_PER_HOUR", "NTC_CODES_PER_ASKER_PER_DAY"])
def test_limits_of_one_network_are_settings(issue, settings, setting):
    setattr(settings, setting, 1)
    with calling_from("41.59.0.1"):
        issue(subject="first")
        with pytest.raises(RateLimited):
            issue(subject="second")


def test_a_code_that_came_too_soon_is_not_counted_against_the_address(issue, settings):
    settings.NTC_CODES_PER_ADDRESS_PER_HOUR = 2
    with calling_from("41.59.0.1"):
        issue()
        for _ in range(5):
            with pytest.raises(RateLimited) as caught:
                issue()
            assert caught.value.code == "code_too_soon"

        assert issue(destination=phone(1))


def test_a_country_has_a_limit_of_its_own(issue, settings):
    settings.NTC_CODES_PER_COUNTRY_PER_DAY = {"+255": 4, "+": 2}
    for number in range(4):
        issue(destination=phone(number))
    for number in range(2):
        issue(destination=f"+25471200000{number}")
    issue(destination="asha@example.com", channel="email")

    with pytest.raises(RateLimited):
        issue(destination="+447400000000")
    with pytest.raises(RateLimited) as caught:
        issue(destination=phone(4))
    assert caught.value.retry_after_seconds > 23 * 60 * 60
