"""What happens at the same moment, on PostgreSQL, over real connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.db.models import Model
from django.test import RequestFactory
from ntc_core.auth import services
from ntc_core.auth.errors import CodeInvalid, CredentialsInvalid, TokenInvalid
from ntc_core.auth.models import AuthSession, EndReason, OneTimeCode, RefreshRecord
from ntc_core.auth.services.refreshing import new_record
from ntc_core.auth.signals import refresh_reused
from ntc_core.auth.tokens import next_jti, read
from ntc_core.client import bind_request
from ntc_core.errors import RateLimited

from tests.auth.conftest import wrong

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

PHONE = "+255712345678"


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make the calls from a thread each, together; return the results, exceptions included."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait(timeout=20)
            return call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def redeem(code: str, *, subject: str = "") -> OneTimeCode:
    """Redeem in a thread of its own, and leave no connection behind."""
    try:
        return services.redeem_code(
            purpose="registration", destination=PHONE, code=code, subject=subject
        )
    finally:
        connection.close()


def refresh(token: str) -> services.SignedIn:
    """Refresh in a thread of its own, and leave no connection behind."""
    try:
        return services.refresh(refresh_token=token)
    finally:
        connection.close()


@contextmanager
def locked(row: Model) -> Iterator[None]:
    """Hold the row's lock, so that whoever wants to change it waits."""
    with transaction.atomic():
        type(row).objects.select_for_update().get(pk=row.pk)
        yield


def wait_until_blocked(count: int) -> None:
    """Return once that many connections to this database wait for a lock."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # or the first answer is repeated
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.02)
    raise TimeoutError(f"fewer than {count} connections wait for a lock")


def test_twenty_parallel_wrong_guesses_count_exactly_five(issue):
    challenge = issue()
    guess = wrong(services.reveal_code(challenge.uid))

    results = at_once(*[lambda: redeem(guess)] * 20)

    assert [type(result) for result in results] == [CodeInvalid] * 20
    challenge.refresh_from_db()
    assert challenge.tries == 5


def test_parallel_right_codes_redeem_once(issue, settings):
    """Also when every one of them passed the comparison before the first was accepted."""
    settings.NTC_CODE_MAX_TRIES = 12
    for number in range(5):
        challenge = issue(subject=str(number))
        code = services.reveal_code(challenge.uid)

        with locked(challenge):
            pool = ThreadPoolExecutor(12)
            results = [pool.submit(redeem, code, subject=str(number)) for _ in range(12)]
            wait_until_blocked(12)
        outcomes = [result.exception(timeout=20) for result in results]
        pool.shutdown()

        assert outcomes.count(None) == 1
        assert sum(isinstance(outcome, CodeInvalid) for outcome in outcomes) == 11
        challenge.refresh_from_db()
        assert challenge.used_at is not None


@pytest.mark.parametrize("has_open_code", [False, True])
def test_parallel_requests_issue_one_code(issue, settings, has_open_code):
    settings.NTC_CODE_RESEND_SECONDS = 0 if has_open_code else 60
    if has_open_code:
        issue()
        settings.NTC_CODES_PER_HOUR = 2

    results = at_once(*[issue] * 10)

    assert sum(isinstance(result, OneTimeCode) for result in results) == 1
    assert sum(isinstance(result, RateLimited) for result in results) == 9
    assert OneTimeCode.objects.filter(used_at=None, superseded_at=None).count() == 1


def test_parallel_requests_for_many_subjects_keep_the_limit_of_the_destination(issue):
    results = at_once(*[partial(issue, subject=f"registration {number}") for number in range(12)])

    assert sum(isinstance(result, OneTimeCode) for result in results) == 5
    assert sum(isinstance(result, RateLimited) for result in results) == 7


def test_parallel_requests_of_one_network_keep_its_limit(issue):
    def ask(number: int) -> OneTimeCode:
        with bind_request(RequestFactory().get("/", REMOTE_ADDR=f"41.59.0.{number}")):
            return issue(subject=f"registration {number}")

    results = at_once(*[partial(ask, number) for number in range(12)])

    assert sum(isinstance(result, OneTimeCode) for result in results) == 3
    assert sum(isinstance(result, RateLimited) for result in results) == 9


def test_losers_who_wait_for_the_winner_get_its_tokens(person):
    """The winner has spent the token and not yet committed when the others arrive."""
    signed_in = services.sign_in(user=person)
    record = RefreshRecord.objects.get()

    with ThreadPoolExecutor(6) as pool:
        with locked(record):
            results = [pool.submit(refresh, signed_in.refresh) for _ in range(6)]
            wait_until_blocked(6)
        tokens = {(each.result(20).access, each.result(20).refresh) for each in results}

    assert len(tokens) == 1
    assert RefreshRecord.objects.count() == 2
    assert services.refresh(refresh_token=tokens.pop()[1])


def test_loser_who_waits_longer_than_the_grace_window_is_no_thief(person):
    """The winner's commit is slow: what counts is when the loser came."""
    signed_in = services.sign_in(user=person)
    record = RefreshRecord.objects.get()
    jti = next_jti(read(signed_in.refresh, token_type="refresh").jti)

    with (
        time_machine.travel(datetime.now(tz=UTC), tick=False) as clock,
        ThreadPoolExecutor(1) as pool,
    ):
        with transaction.atomic():
            now = datetime.now(tz=UTC)
            RefreshRecord.objects.update(used_at=now)
            new_record(record.session, jti=jti, now=now).save()
            loser = pool.submit(refresh, signed_in.refresh)
            wait_until_blocked(1)
            clock.shift(11)
        assert read(loser.result(20).refresh, token_type="refresh").jti == jti
    assert AuthSession.objects.get().is_live


def test_loser_who_finds_the_session_ended_after_the_wait_is_refused(person):
    """Its successor exists, and is dead: a sign-out came in between."""
    signed_in = services.sign_in(user=person)
    record = RefreshRecord.objects.get()
    jti = next_jti(read(signed_in.refresh, token_type="refresh").jti)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            now = datetime.now(tz=UTC)
            RefreshRecord.objects.update(used_at=now)
            new_record(record.session, jti=jti, now=now).save()
            services.sign_out(refresh_token=signed_in.refresh)
            loser = pool.submit(refresh, signed_in.refresh)
            wait_until_blocked(1)
        assert isinstance(loser.exception(20), TokenInvalid)


def test_strict_losers_end_the_session(person, settings):
    settings.NTC_REFRESH_GRACE_SECONDS = 0
    token = services.sign_in(user=person).refresh

    results = at_once(*[lambda: services.refresh(refresh_token=token)] * 6)

    assert sum(isinstance(result, services.SignedIn) for result in results) == 1
    assert sum(isinstance(result, TokenInvalid) for result in results) == 5
    assert AuthSession.objects.get().revoked_reason == EndReason.REUSE


def test_many_thieves_at_once_are_one_theft(person, settings):
    settings.NTC_REFRESH_GRACE_SECONDS = 0
    token = services.sign_in(user=person).refresh
    services.refresh(refresh_token=token)
    told: list[AuthSession] = []
    refresh_reused.connect(lambda session, **_: told.append(session), weak=False, dispatch_uid="t")

    results = at_once(*[lambda: services.refresh(refresh_token=token)] * 6)
    refresh_reused.disconnect(dispatch_uid="t")

    assert [type(result) for result in results] == [TokenInvalid] * 6
    assert len(told) == 1


def test_user_deleted_while_a_refresh_waits_is_a_refusal(person):
    signed_in = services.sign_in(user=person)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            person.delete()
            result = pool.submit(refresh, signed_in.refresh)
            wait_until_blocked(1)
        assert isinstance(result.exception(timeout=20), TokenInvalid)


def test_refresh_that_waited_for_a_sign_out_is_refused(person):
    """It saw the session alive, and it was over when its turn came."""
    signed_in = services.sign_in(user=person)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            services.sign_out_everywhere(user=person)
            result = pool.submit(refresh, signed_in.refresh)
            wait_until_blocked(1)
        assert isinstance(result.exception(timeout=20), TokenInvalid)


def test_refresh_and_sign_out_at_once_leave_no_live_session(person):
    """Whoever comes first: afterwards the session is over."""
    for _ in range(5):
        token = services.sign_in(user=person).refresh

        results = at_once(
            lambda token=token: services.refresh(refresh_token=token),
            lambda token=token: services.sign_out(refresh_token=token),
        )

        for result in results:
            if isinstance(result, services.SignedIn):
                with pytest.raises(TokenInvalid):
                    services.refresh(refresh_token=result.refresh)
    assert not AuthSession.objects.filter(revoked_at=None).exists()


def test_sign_in_that_waited_for_a_password_change_is_refused(person):
    """The old password was right when it was compared, and is not any more."""
    compared = type(person).objects.get(pk=person.pk)

    def change() -> None:
        with transaction.atomic():
            person.set_password("mpya-kabisa-9")
            person.save(update_fields=["password"])
            barrier.wait(timeout=20)
            time.sleep(0.5)
            services.sign_out_everywhere(user=person)

    def sign_in() -> services.SignedIn:
        barrier.wait(timeout=20)
        return services.sign_in(user=compared)

    barrier = Barrier(2)
    _, outcome = at_once(change, sign_in)

    assert isinstance(outcome, CredentialsInvalid)
    assert not AuthSession.objects.filter(revoked_at=None).exists()


@pytest.mark.parametrize("fate", ["deleted", "deactivated"])
def test_sign_in_of_a_user_who_is_over_meanwhile_is_refused(person, fate):
    compared = type(person).objects.get(pk=person.pk)
    if fate == "deleted":
        person.delete()
    else:
        type(person).objects.filter(pk=person.pk).update(is_active=False)

    with pytest.raises(CredentialsInvalid):
        services.sign_in(user=compared)

    assert not AuthSession.objects.exists()


def test_deleting_a_user_leaves_nothing_behind_whatever_runs_meanwhile(django_user_model):
    """Nobody who refreshes or signs in at that moment gets an error of the database."""
    for number in range(20):
        person = django_user_model.objects.create_user(username=f"asha{number}")
        tokens = [services.sign_in(user=person).refresh for _ in range(4)]

        results = at_once(
            *(partial(services.refresh, refresh_token=token) for token in tokens),
            partial(services.sign_in, user=person),
            person.delete,
        )

        errors = [result for result in results if isinstance(result, Exception)]
        assert all(isinstance(error, TokenInvalid | CredentialsInvalid) for error in errors), errors
        assert not django_user_model.objects.filter(username=f"asha{number}").exists()
        assert not AuthSession.objects.exists()
        assert not RefreshRecord.objects.exists()
