"""Two clients at the same moment, on PostgreSQL, over real connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Lock
from typing import Any

import pytest
from django.db import connection, transaction
from ntc_core.auth.errors import CodeInvalid, CredentialsInvalid
from ntc_core.auth.models import AuditEvent, AuthSession
from ntc_core.auth.services import reveal_code, sign_in
from ntc_core.errors import RateLimited
from rest_framework.test import APIClient

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


def answer_around(person: User, *, call: Callable[[], Any], change: Callable[[], object]) -> Any:
    """Make the change once `call` has read and waits for the person; return what that answers."""

    def run() -> Any:
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).get(pk=person.pk)
            answer = pool.submit(run)
            wait_until_blocked()
            change()
        return answer.result(timeout=20)


def wait_until_blocked() -> None:
    """Return once another connection waits for what ours has locked."""
    blocked = "SELECT 1 FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute(blocked)
            if cursor.fetchone():
                return
        time.sleep(0.05)
    pytest.fail("Nobody waits.")


def client_of(person: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign_in(user=person).access}")
    return client


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


def test_who_knows_the_old_password_does_not_undo_its_change(person):
    """Their call began before the change was there, and would have ended after it."""
    new = {"current_password": PASSWORD, "new_password": "mwizi-mkubwa-mjini"}
    thief, owner = client_of(person), User.objects.get(pk=person.pk)
    owner.set_password("samaki-mkubwa-baharini")

    answer = answer_around(
        person,
        call=lambda: thief.post("/api/v1/accounts/password/change/", new),
        change=owner.save,
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "password_wrong"
    assert User.objects.get(pk=person.pk).check_password("samaki-mkubwa-baharini")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("patch", "me/", {"full_name": "Asha"}),
        (
            "post",
            "password/change/",
            {"current_password": PASSWORD, "new_password": "samaki-mkubwa-baharini"},
        ),
    ],
)
def test_who_is_deleted_while_they_change_something_is_nobody(person, method, path, body):
    client = client_of(person)

    answer = answer_around(
        person,
        call=lambda: getattr(client, method)(f"/api/v1/accounts/{path}", body),
        change=person.delete,
    )

    assert answer.status_code == 401
    assert answer.json()["errors"][0]["code"] == "token_invalid"


def test_who_is_deleted_while_they_reset_the_password_is_refused(person):
    reset = services.request_password_reset(phone=PHONE)
    body = {"reset": str(reset.uid), "code": reveal_code(reset.uid)}
    body["new_password"] = "samaki-mkubwa-baharini"
    client = APIClient(raise_request_exception=False)

    answer = answer_around(
        person,
        call=lambda: client.post("/api/v1/accounts/password/reset/confirm/", body),
        change=person.delete,
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "code_invalid"
