"""What the tests of sign-in share: a person with a password, and the endpoints' paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from ntc_core.auth import services
from ntc_core.auth.models import OneTimeCode

PASSWORD = "not-a-real-password"


@pytest.fixture(autouse=True)
def _auth_urls(settings: Any) -> None:
    """Use the real paths; forget what other tests' calls counted."""
    settings.ROOT_URLCONF = "tests.auth.urls"
    cache.clear()


@pytest.fixture
def person(db: None) -> User:
    """Return an active user of Django's own model, with a password."""
    return User.objects.create_user(username="asha", password=PASSWORD)


@pytest.fixture
def signed_in(person: User) -> services.SignedIn:
    """Return the tokens of a fresh session."""
    return services.sign_in(user=person)


@pytest.fixture
def issue(db: None) -> Callable[..., OneTimeCode]:
    """Return a function that issues a code for one phone, unless told otherwise."""

    def issue(**values: Any) -> OneTimeCode:
        return services.issue_code(
            **{
                "purpose": "registration",
                "destination": "+255712345678",
                "channel": "sms",
                **values,
            }
        )

    return issue


def wrong(code: str) -> str:
    """Return six digits that are not these."""
    return f"{(int(code) + 1) % 10**6:06d}"
