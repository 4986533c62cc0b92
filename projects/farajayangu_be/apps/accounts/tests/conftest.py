"""What the tests of accounts share: people, and the messages that would be sent to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from ntc_core.auth.models import OneTimeCode
from ntc_core.auth.services import reveal_code
from ntc_core.auth.signals import code_issued
from ntc_core.testing import assert_success
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.accounts.signals import registration_refused

API = "/api/v1"
PHONE = "+255712345678"
EMAIL = "asha@example.com"
PASSWORD = "mti-mrefu-wa-mnazi"


@dataclass
class Carrier:
    """Hears what the project is asked to send."""

    codes: list[OneTimeCode] = field(default_factory=list)
    refused: list[OneTimeCode] = field(default_factory=list)

    @property
    def code(self) -> str:
        """Return the digits of the last code."""
        return reveal_code(self.codes[-1].uid)

    def hear_code(self, challenge: OneTimeCode, **_: Any) -> None:
        self.codes.append(challenge)

    def hear_refusal(self, challenge: OneTimeCode, **_: Any) -> None:
        self.refused.append(challenge)


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    """Return who listens to both signals, next to the project's own receivers."""
    carrier = Carrier()
    code_issued.connect(carrier.hear_code)
    registration_refused.connect(carrier.hear_refusal)
    yield carrier
    code_issued.disconnect(carrier.hear_code)
    registration_refused.disconnect(carrier.hear_refusal)


@pytest.fixture
def person(db: None) -> User:
    """Return a user with a proven phone and a proven email address."""
    user = User.objects.create_superuser(phone=PHONE, email=EMAIL, password=PASSWORD)
    user.is_staff = user.is_superuser = False
    user.save()
    return user


@pytest.fixture
def register(api_client: APIClient, db: None) -> Callable[..., Any]:
    """Return a function that registers over HTTP, from some address, and returns the response."""

    def register(*, address: str = "127.0.0.1", **values: Any) -> Any:
        return api_client.post(
            f"{API}/accounts/register/", {"password": PASSWORD, **values}, REMOTE_ADDR=address
        )

    return register


@pytest.fixture
def verify(api_client: APIClient) -> Callable[[str, str], Any]:
    """Return a function that sends a code back over HTTP."""

    def verify(registration: str, code: str) -> Any:
        return api_client.post(
            f"{API}/accounts/verify/", {"registration": registration, "code": code}
        )

    return verify


@pytest.fixture
def login(api_client: APIClient) -> Callable[..., Any]:
    """Return a function that signs in over HTTP and returns the response."""

    def login(identifier: str, password: str = PASSWORD) -> Any:
        return api_client.post(
            f"{API}/auth/login/",
            {"identifier": identifier, "password": password, "transport": "token"},
        )

    return login


@pytest.fixture
def signed_in(api_client: APIClient, person: User, login: Callable[..., Any]) -> APIClient:
    """Return a client that is signed in as `person`."""
    access = assert_success(login(PHONE))["access"]
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return api_client


def wrong(code: str) -> str:
    """Return six digits that are not these."""
    return f"{(int(code) + 1) % 10**6:06d}"
