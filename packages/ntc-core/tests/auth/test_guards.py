"""Guessing passwords: exactly as many tries as allowed, and nobody locks the owner out."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.db import connection
from ntc_core import rate_limits
from ntc_core.auth import services
from ntc_core.auth.cookies import cookie_name
from ntc_core.auth.errors import CredentialsInvalid
from ntc_core.auth.models import AuditEvent
from ntc_core.errors import RateLimited
from ntc_core.testing import assert_error, assert_success
from ntc_core.testing.plugin import make_client
from ntc_core.testing.services import redis_url

from tests.auth.conftest import PASSWORD

LOGIN = "/api/v1/auth/login/"
REFRESH = "/api/v1/auth/refresh/"
HOME = "41.59.0.1"


def login(client, password="wrong", identifier="asha", **extra):
    return client.post(LOGIN, {"identifier": identifier, "password": password}, **extra)


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
def place(request, settings):
    """Count in this process, then in Redis, under names of this test alone."""
    if request.param == "redis":
        settings.NTC_THROTTLE_REDIS_URL = redis_url(database=11)
        settings.NTC_PROJECT_NAME = f"test {request.node.name} {id(request)}"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("identifier", ["asha", "nobody"])
def test_a_thousand_parallel_guesses_get_exactly_five_tries(place, person, settings, identifier):
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"login": None, "login_failed": None},
    }

    def guess(number: int) -> list[int]:
        client = make_client()
        try:
            return [
                login(
                    client,
                    f"wrong-{number}-{turn}",
                    identifier,
                    HTTP_X_FORWARDED_FOR=f"10.{number}.0.{turn}, 10.{turn}.0.{number}",
                ).status_code
                for turn in range(50)
            ]
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        statuses = Counter(status for part in pool.map(guess, range(20)) for status in part)

    assert statuses == {401: 5, 429: 995}
    assert AuditEvent.objects.filter(event="auth.login.failed").count() == 5
    assert AuditEvent.objects.filter(event="auth.throttled").count() == 1


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_a_forged_forwarded_for_gives_no_further_try(api_client, person, settings, proxies):
    """Behind proxies too: what the client wrote stands left of what they wrote."""
    settings.NTC_TRUSTED_PROXY_COUNT = proxies
    ours = [HOME, "10.0.0.1"][:proxies]

    statuses = [
        login(api_client, HTTP_X_FORWARDED_FOR=", ".join([f"6.6.6.{number}", *ours])).status_code
        for number in range(7)
    ]

    assert statuses == [401] * 5 + [429] * 2


def test_many_addresses_share_the_limit_of_the_account(api_client, person):
    statuses = [login(api_client, REMOTE_ADDR=f"6.6.{number}.1").status_code for number in range(7)]

    assert statuses == [401] * 5 + [429] * 2


def test_the_owner_signs_in_from_home_during_an_attack(api_client, person):
    assert_success(login(api_client, PASSWORD, REMOTE_ADDR=HOME))
    for number in range(40):
        login(api_client, REMOTE_ADDR=f"6.6.{number}.1")

    assert_error(login(api_client, PASSWORD, REMOTE_ADDR="6.7.8.9"), 429, code="throttled")
    assert_success(login(api_client, PASSWORD, REMOTE_ADDR=HOME))


def test_a_guesser_at_the_owners_home_has_five_tries_too(api_client, person):
    assert_success(login(api_client, PASSWORD, REMOTE_ADDR=HOME))

    statuses = [login(api_client, REMOTE_ADDR=HOME).status_code for _ in range(7)]

    assert statuses == [401] * 5 + [429] * 2


def test_the_lock_is_over_five_minutes_after_the_first_failure(api_client, person):
    """And knocking meanwhile does not make it longer."""
    with time_machine.travel("2026-01-01T08:00:00Z", tick=False) as clock:
        for _ in range(5):
            login(api_client, REMOTE_ADDR=HOME)
        clock.shift(200)
        refused = login(api_client, PASSWORD, REMOTE_ADDR=HOME)
        clock.shift(101)

        assert_error(refused, 429)
        assert refused.headers["Retry-After"] == "100"
        assert_success(login(api_client, PASSWORD, REMOTE_ADDR=HOME))


def test_one_address_has_sixty_failures_a_minute_over_all_accounts(api_client, person):
    with time_machine.travel("2026-01-01T08:00:00Z", tick=False) as clock:
        statuses = [
            login(api_client, identifier=f"name-{number}").status_code for number in range(62)
        ]
        clock.shift(61)

        assert statuses == [401] * 60 + [429] * 2
        assert login(api_client).status_code == 401


def test_one_address_has_six_hundred_failures_an_hour_over_all_accounts(api_client, person):
    """Who goes through the accounts slowly has no more than that, and hurts nobody for longer."""
    with time_machine.travel("2026-01-01T08:00:00Z", tick=False) as clock:
        statuses = Counter()
        for number in range(620):
            statuses[login(api_client, identifier=f"name-{number}").status_code] += 1
            clock.shift(2)
        refused = login(api_client, PASSWORD)
        clock.shift(3600 - 620 * 2 + 1)

        assert statuses == {401: 600, 429: 20}
        assert refused.headers["RateLimit-Policy"] == '"login_failed_hour";q=600;w=3600'
        assert_success(login(api_client, PASSWORD))


def test_a_network_of_thousands_behind_one_address_signs_in(api_client, django_user_model):
    """An evening's rush: forty people a minute, of whom every fourth mistypes the password."""
    people = [
        django_user_model.objects.create_user(username=f"person-{number}", password=PASSWORD)
        for number in range(40)
    ]
    with time_machine.travel("2026-01-01T18:00:00Z", tick=False) as clock:
        for _ in range(3):
            for number, user in enumerate(people):
                if number % 4 == 0:
                    assert_error(login(api_client, identifier=user.username), 401)
                assert_success(login(api_client, PASSWORD, identifier=user.username))
            clock.shift(61)


def test_an_ipv6_subscriber_is_one_address(api_client, person):
    statuses = [
        login(
            api_client, identifier=f"name-{number}", REMOTE_ADDR=f"2001:db8:1:2::{number:x}"
        ).status_code
        for number in range(61)
    ]

    assert statuses == [401] * 60 + [429]


def test_success_does_not_count_and_resets_nothing(api_client, person):
    for _ in range(4):
        login(api_client)
    for _ in range(8):
        assert_success(login(api_client, PASSWORD))

    assert login(api_client).status_code == 401
    assert login(api_client, PASSWORD).status_code == 429


def test_unknown_people_are_limited_in_the_same_words(api_client, person):
    known = [login(api_client, REMOTE_ADDR="6.6.6.1") for _ in range(6)]
    unknown = [login(api_client, identifier="nobody", REMOTE_ADDR="6.6.7.1") for _ in range(6)]

    assert [answer.status_code for answer in known] == [answer.status_code for answer in unknown]
    assert known[-1].json()["errors"] == unknown[-1].json()["errors"]


def test_every_spelling_of_an_unknown_name_is_one_account(api_client, db):
    spellings = ["0712345678", "+255 712 345 678", "255712345678", " 0712-345-678", "712345678"]

    statuses = [
        login(api_client, identifier=name).status_code for name in [*spellings, "0712345678"]
    ]

    assert statuses == [401] * 5 + [429]


def test_the_work_of_a_failed_login_is_the_same_without_an_account(
    api_client, person, django_assert_max_num_queries
):
    kinds = []
    for identifier in ("asha", "nobody"):
        with django_assert_max_num_queries(10) as captured:
            assert_error(login(api_client, identifier=identifier), 401)
        kinds.append([query["sql"].split()[0] for query in captured.captured_queries])

    assert kinds[0] == kinds[1] == ["SELECT", "SELECT", "SELECT", "INSERT"]


def test_sign_in_stays_limited_and_alive_while_redis_is_away(api_client, person, settings):
    rate_limits._with_fallback.cache_clear()
    settings.NTC_THROTTLE_REDIS_URL = "redis://127.0.0.1:9/0"  # nobody listens there

    statuses = [login(api_client).status_code for _ in range(7)]

    assert statuses == [401] * 5 + [429] * 2
    rate_limits._with_fallback.cache_clear()


def test_a_service_that_signs_in_without_a_request_is_limited_per_account(person):
    for _ in range(5):
        with pytest.raises(CredentialsInvalid):
            services.authenticate(identifier="asha", password="wrong")

    with pytest.raises(RateLimited):
        services.authenticate(identifier="asha", password=PASSWORD)


def test_a_session_refreshes_thirty_times_a_minute_from_wherever(api_client, signed_in):
    token = signed_in.refresh
    for number in range(30):
        answer = api_client.post(REFRESH, {"refresh": token}, REMOTE_ADDR=f"6.6.{number}.1")
        token = assert_success(answer)["refresh"]

    assert_error(api_client.post(REFRESH, {"refresh": token}, REMOTE_ADDR="6.7.8.9"), 429)


@pytest.mark.parametrize("body", [{"refresh": "not a token"}, {}, {"refresh": 5}, []])
def test_who_shows_no_token_of_ours_is_counted_by_address(api_client, db, settings, body):
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"refresh": "2/min", "refresh_account": "1/min"},
    }

    statuses = [api_client.post(REFRESH, body).status_code for _ in range(3)]

    assert statuses[2] == 429
    assert 429 not in statuses[:2]


def test_the_refusal_describes_the_limit(api_client, person):
    for _ in range(6):
        answer = login(api_client)

    body = assert_error(answer, 429, code="throttled")
    assert 295 <= int(answer.headers["Retry-After"]) <= 300
    assert answer.headers["RateLimit-Policy"] == '"login_failed_device";q=5;w=300'
    assert answer.headers["RateLimit"].startswith('"login_failed_device";r=0;t=')
    assert "asha" not in str(body)


def test_a_session_in_cookies_is_counted_too(api_client, signed_in, settings):
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"refresh_account": "1/min"},
    }
    api_client.cookies[cookie_name("refresh")] = signed_in.refresh

    answers = [api_client.post(REFRESH, REMOTE_ADDR=f"6.6.{number}.1") for number in range(2)]

    assert [answer.status_code for answer in answers] == [403, 429]
