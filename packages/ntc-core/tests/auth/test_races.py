"""What happens at the same moment, on PostgreSQL, over real connections."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from ntc_core.auth import services
from ntc_core.auth.errors import CodeInvalid, TokenInvalid
from ntc_core.auth.models import AuthSession, OneTimeCode
from ntc_core.errors import RateLimited

from tests.auth.conftest import wrong

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

PHONE = "+255712345678"


def at_once(call: Callable[[], Any], *, times: int) -> list[Any]:
    """Call from that many threads, together; return the results, exceptions included."""
    barrier = Barrier(times)

    def run(_: int) -> Any:
        try:
            barrier.wait(timeout=20)
            return call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def redeem(code: str) -> OneTimeCode:
    return services.redeem_code(purpose="registration", destination=PHONE, code=code)


def test_twenty_parallel_wrong_guesses_count_exactly_five(issue):
    challenge = issue()
    guess = wrong(services.reveal_code(challenge.uid))

    results = at_once(lambda: redeem(guess), times=20)

    assert [type(result) for result in results] == [CodeInvalid] * 20
    challenge.refresh_from_db()
    assert challenge.tries == 5


def test_parallel_right_codes_redeem_once(issue):
    challenge = issue()
    code = services.reveal_code(challenge.uid)

    results = at_once(lambda: redeem(code), times=12)

    assert sum(isinstance(result, OneTimeCode) for result in results) == 1
    assert sum(isinstance(result, CodeInvalid) for result in results) == 11
    challenge.refresh_from_db()
    assert challenge.used_at is not None


@pytest.mark.parametrize("has_open_code", [False, True])
def test_parallel_requests_issue_one_code(issue, settings, has_open_code):
    settings.NTC_CODE_RESEND_SECONDS = 0 if has_open_code else 60
    if has_open_code:
        issue()
        settings.NTC_CODES_PER_HOUR = 2

    results = at_once(issue, times=10)

    assert sum(isinstance(result, OneTimeCode) for result in results) == 1
    assert sum(isinstance(result, RateLimited) for result in results) == 9
    assert OneTimeCode.objects.filter(used_at=None, superseded_at=None).count() == 1


def test_one_refresh_token_has_one_successor(person):
    for _ in range(10):
        token = services.sign_in(user=person).refresh

        results = at_once(lambda token=token: services.refresh(refresh_token=token), times=6)

        winners = [result for result in results if isinstance(result, services.SignedIn)]
        assert len(winners) == 1
        assert sum(isinstance(result, TokenInvalid) for result in results) == 5
        assert services.refresh(refresh_token=winners[0].refresh)
    assert AuthSession.objects.count() == 10


def test_refresh_and_sign_out_at_once_leave_no_live_session(person):
    """Whoever comes first: afterwards the session is over."""
    for _ in range(5):
        token = services.sign_in(user=person).refresh
        turn = iter(["refresh", "sign out"])

        def race(token: str = token, turn: Any = turn) -> Any:
            if next(turn) == "refresh":
                return services.refresh(refresh_token=token)
            return services.sign_out(refresh_token=token)

        results = at_once(race, times=2)

        for result in results:
            if isinstance(result, services.SignedIn):
                with pytest.raises(TokenInvalid):
                    services.refresh(refresh_token=result.refresh)
    assert not AuthSession.objects.filter(revoked_at=None).exists()
