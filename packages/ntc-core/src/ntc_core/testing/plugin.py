"""The pytest plugin of the core: clients, a user, the job runner, markers for services.

    @pytest.mark.postgres   needs PostgreSQL: row locks, constraints, real parallelism
    @pytest.mark.redis      needs Redis
    @pytest.mark.azurite    needs Azurite, which plays Azure Blob Storage

Where the service is away such a test is skipped and one line at the end counts what was not
covered; with the environment variable CI=true it fails instead.
"""

# ruff: noqa: PLC0415 - pytest loads plugins before Django has its settings

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.db.models import Model
    from rest_framework.test import APIClient

__all__ = ["api_client", "run_jobs", "signed_in_client", "user"]

_SERVICES = {
    "postgres": "PostgreSQL (set TEST_DATABASE_URL, or start one on 127.0.0.1:5432)",
    "redis": "Redis (set TEST_REDIS_URL, or start one on 127.0.0.1:6379)",
    "azurite": "Azurite (`make azurite` installs it; needs node)",
}
_NOT_COVERED = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "postgres: needs PostgreSQL; skipped where there is none")
    config.addinivalue_line("markers", "redis: needs Redis; skipped where there is none")
    config.addinivalue_line("markers", "azurite: needs Azurite; skipped where there is none")
    config.addinivalue_line("markers", "faults: a long fault, race or fuzz run; `make test-faults`")
    config.stash[_NOT_COVERED] = Counter()
    _require_given_services()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose service is away, or fail it in CI."""
    for service, description in _SERVICES.items():
        if item.get_closest_marker(service) is None or _is_available(service):
            continue
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"CI=true and there is no {description}.", pytrace=False)
        item.config.stash[_NOT_COVERED][service] += 1
        pytest.skip(f"There is no {description}.")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say in one line what this run did not cover."""
    missing = config.stash[_NOT_COVERED]
    if missing:
        parts = [
            f"{count} tests that need {_SERVICES[name]}" for name, count in sorted(missing.items())
        ]
        terminalreporter.write_line(f"Not covered here: {'; '.join(parts)}.", yellow=True)


@pytest.fixture(autouse=True)
def _uncounted_calls() -> None:
    """Let every test begin with no call counted against a limit of this process."""
    from django.conf import settings

    if settings.configured:
        from ntc_core.rate_limits import forget_local

        forget_local()


@pytest.fixture
def api_client() -> APIClient:
    """Return DRF's test client; it sends JSON, and a view's bug is a 500 as for a real client."""
    return make_client()


@pytest.fixture
def user(db: None) -> Model:  # noqa: ARG001 - opens the database
    """Return a saved user of whatever model AUTH_USER_MODEL names; override it to choose."""
    return make_user()


def make_client() -> APIClient:
    """Return what the fixture `api_client` returns."""
    from rest_framework.test import APIClient

    client = APIClient(raise_request_exception=False)
    client.default_format = "json"
    return client


def make_user(**values: Any) -> Model:
    """Create an active user, filling the required fields that `values` leaves out."""
    from django.contrib.auth import get_user_model

    model = get_user_model()
    mark = secrets.token_hex(4)
    for name in (model.USERNAME_FIELD, *model.REQUIRED_FIELDS):
        if name not in values:
            values[name] = _invent(model._meta.get_field(name), mark)  # noqa: SLF001 - public, whatever its name
    made = model(**{"is_active": True, **values})
    made.set_unusable_password()
    made.save()
    return made


@pytest.fixture
def signed_in_client(user: Model) -> APIClient:
    """Return a client of its own, beside `api_client`, that sends a real access token of `user`."""
    from ntc_core.auth.services import sign_in

    client = make_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign_in(user=user).access}")
    return client


@pytest.fixture
def run_jobs(db: None) -> Callable[[], int]:  # noqa: ARG001 - opens the database
    """Return a function that runs every due job and tells how many ran."""
    from ntc_core.outbox.services import run_due_jobs

    return run_due_jobs


def _require_given_services() -> None:
    """Stop at once where a service that somebody named does not answer.

    Hundreds of connection errors, or silent skips, would hide a mistyped URL.
    """
    from ntc_core.testing.services import find_silent_services

    for variable, url in find_silent_services().items():
        raise pytest.UsageError(
            f"Nothing answers at the {variable} given ({url}). Start it, or unset {variable} "
            "to use the standard local port."
        )


def _is_available(service: str) -> bool:
    if service == "postgres":
        from django.db import connection

        return connection.vendor == "postgresql"
    from ntc_core.testing.services import azurite_script, redis_is_reachable, redis_url

    if service == "azurite":
        return azurite_script() is not None
    url = redis_url()
    return url is not None and redis_is_reachable(url)


def _invent(field: Any, mark: str) -> str:
    """Return a text the field takes: an address, a Tanzanian phone, else a unique word."""
    if "email" in field.name:
        return f"user-{mark}@example.com"
    if "phone" in field.name:
        return f"+2557{int(mark, 16) % 10**8:08d}"
    return f"user-{mark}"[: field.max_length]
