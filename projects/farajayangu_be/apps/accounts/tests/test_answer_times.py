"""The clock tells no more than the answer does: known and unknown people wait alike.

Medians of interleaved calls, as a ratio with a wide margin: a path that hashes no password,
or sends a message where the other does not, is off by far more.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from ntc_core.rate_limits import forget_local

from apps.accounts import services
from apps.accounts.models import User

from .conftest import API

ROUNDS = 15
MARGIN = 2.0


@pytest.fixture
def people(settings: Any, db: None) -> None:
    """Make as many people as there are rounds, with passwords that take time to check."""
    settings.PASSWORD_HASHERS = ["apps.accounts.tests.hashers.FeltHasher"]
    for number in range(ROUNDS):
        person = User.objects.create_superuser(phone=phone(number), password="mti-mrefu-wa-mnazi")
        User.objects.filter(pk=person.pk).update(is_staff=False, is_superuser=False)


def phone(number: int, *, known: bool = True) -> str:
    return f"+2557{1 if known else 2}00000{number:02d}"


Call = tuple[str, dict[str, str]]

CALLS: dict[str, Callable[[str], Call]] = {
    "login": lambda who: ("auth/login/", {"identifier": who, "password": "wrong"}),
    "register": lambda who: ("accounts/register/", {"phone": who, "password": "nyumba-ya-mwezi"}),
    "reset": lambda who: ("accounts/password/reset/", {"identifier": who}),
    "confirm": lambda who: (
        "accounts/password/reset/confirm/",
        {"reset": reset_of(who), "code": "123456", "new_password": "nyumba-ya-mwezi"},
    ),
}


def reset_of(who: str) -> str:
    return str(services.request_password_reset(phone=who).uid)


@pytest.mark.parametrize("call", sorted(CALLS))
def test_known_and_unknown_people_wait_alike(api_client, people, call):
    def seconds(who: str) -> tuple[float, int]:
        path, body = CALLS[call](who)
        forget_local()
        started = time.perf_counter()
        answer = api_client.post(f"{API}/{path}", body)
        return time.perf_counter() - started, answer.status_code

    seconds(phone(99, known=False))  # whatever happens once only
    known, unknown = [], []
    for number in range(ROUNDS):
        known.append(seconds(phone(number)))
        unknown.append(seconds(phone(number, known=False)))

    assert {status for _, status in known} == {status for _, status in unknown}
    ratio = statistics.median(t for t, _ in known) / statistics.median(t for t, _ in unknown)
    assert 1 / MARGIN < ratio < MARGIN, f"{call}: {ratio:.2f}"
