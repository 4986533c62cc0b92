"""Two clients at the same moment, on PostgreSQL, over real connections."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Lock

import pytest
from django.db import connection
from ntc_core.auth.errors import CodeInvalid, CredentialsInvalid
from ntc_core.auth.models import AuditEvent, AuthSession
from ntc_core.auth.services import sign_in
from ntc_core.errors import RateLimited

from apps.accounts import services
from apps.accounts.models import PendingRegistration, User

from .conftest import PASSWORD, PHONE

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def at_once(call: Callable[[], object], *, times: int) -> list[object]:
    """Call from that many threads, together; return the results, exceptions included."""
    barrier = Barrier(times)

    def run(_: int) -> object:
        try:
            barrier.wait(timeout=20)
            return call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def test_one_code_sent_back_eight_times_at_once_makes_one_user(carrier):
    registration, _ = services.register(phone=PHONE, password=PASSWORD)
    uid, code = str(registration.uid), carrier.code

    results = at_once(
        lambda: services.verify_registration(registration_uid=uid, code=code), times=8
    )

    assert sum(isinstance(result, User) for result in results) == 1
    assert sum(isinstance(result, CodeInvalid) for result in results) == 7
    assert User.objects.count() == 1


def test_one_phone_registered_eight_times_at_once_gets_one_open_code(carrier):
    """The others are told to wait, and leave no registration behind."""
    results = at_once(lambda: services.register(phone=PHONE, password=PASSWORD), times=8)

    accepted = [result for result in results if isinstance(result, tuple)]
    assert len(accepted) + sum(isinstance(result, RateLimited) for result in results) == 8
    assert 1 <= len(accepted) <= 5
    assert PendingRegistration.objects.count() == len(accepted)


def test_no_session_of_the_old_password_outlives_its_change(person):
    """Who signs in at the same moment is refused, or signed out again."""
    readers = [User.objects.get(pk=person.pk) for _ in range(7)]
    person.set_password("samaki-mkubwa-baharini")
    calls = iter([person.save, *[partial(sign_in, user=reader) for reader in readers]])
    lock = Lock()

    def one_of_them() -> object:
        with lock:
            call = next(calls)
        return call()

    results = at_once(one_of_them, times=8)

    refused = sum(isinstance(result, CredentialsInvalid) for result in results)
    assert results.count(None) == 1
    assert AuthSession.objects.count() == 7 - refused
    assert not AuthSession.objects.filter(revoked_at=None).exists()
    assert AuditEvent.objects.filter(event="auth.logout_all").count() == 1
