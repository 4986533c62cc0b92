"""Limits per scope, and whom they count."""

from __future__ import annotations

import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured
from ntc_core.response_wrapper import success_response
from ntc_core.testing import assert_error, assert_success
from ntc_core.throttling import ScopedRateThrottle, client_address, limit_of, one_spelling
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

pytestmark = pytest.mark.django_db  # a refusal is an audit event

SMS = "/api/v1/throttled/"


def test_the_third_call_of_two_per_minute_is_refused_until_the_minute_is_over(api_client):
    with time_machine.travel("2026-01-01T08:00:00Z", tick=False) as clock:
        assert_success(api_client.get(SMS))
        clock.shift(15)
        assert_success(api_client.get(SMS))
        refused = api_client.get(SMS)
        assert_error(refused, 429, "throttled")
        assert refused.headers["Retry-After"] == "45"
        clock.shift(46)
        assert_success(api_client.get(SMS))


def test_a_view_without_a_scope_is_not_limited(api_client):
    for _ in range(5):
        assert_success(api_client.get("/api/v1/unscoped/"))


def test_a_rate_may_span_several_units(api_client):
    url = "/api/v1/address-throttled/"
    with time_machine.travel("2026-01-01T08:00:00Z", tick=False) as clock:
        assert_success(api_client.get(url))
        assert_success(api_client.get(url))
        clock.shift(9 * 60)
        assert_error(api_client.get(url), 429)
        clock.shift(61)
        assert_success(api_client.get(url))


def test_a_forged_forwarded_for_does_not_make_a_new_caller(api_client):
    for number in range(2):
        api_client.get(SMS, HTTP_X_FORWARDED_FOR=f"10.0.0.{number}")

    assert_error(api_client.get(SMS, HTTP_X_FORWARDED_FOR="10.0.0.9"), 429)


def test_addresses_behind_our_proxy_are_counted_apart(api_client, settings):
    settings.NTC_TRUSTED_PROXY_COUNT = 1

    for _ in range(2):
        assert_success(api_client.get(SMS, HTTP_X_FORWARDED_FOR="1.1.1.1, 41.59.0.1"))

    assert_error(api_client.get(SMS, HTTP_X_FORWARDED_FOR="9.9.9.9, 41.59.0.1"), 429)
    assert_success(api_client.get(SMS, HTTP_X_FORWARDED_FOR="1.1.1.1, 41.59.0.2"))


def test_a_signed_in_user_is_counted_by_who_they_are(signed_in_client, api_client):
    for number in range(2):
        signed_in_client.get(SMS, REMOTE_ADDR=f"10.0.0.{number}")

    assert_error(signed_in_client.get(SMS, REMOTE_ADDR="10.0.0.9"), 429)
    assert_success(api_client.get(SMS, REMOTE_ADDR="10.0.0.9"))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "1.1.1.1", "127.0.0.1"),
        (1, None, "127.0.0.1"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        (3, "1.1.1.1, 10.0.0.1", "1.1.1.1"),
        (1, "6.6.6.6, ", "127.0.0.1"),
    ],
)
def test_the_address_is_what_our_own_proxies_saw(rf, settings, proxies, forwarded, expected):
    settings.NTC_TRUSTED_PROXY_COUNT = proxies
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}

    assert client_address(rf.get("/", headers=headers)) == expected


@pytest.mark.parametrize("rate", ["10", "x/min", "0/min", "5/0m", "5/year", "-1/min", "5/10m x"])
def test_a_rate_that_cannot_be_read_names_itself(settings, rate):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"login": rate}}

    with pytest.raises(ImproperlyConfigured, match="throttle rate"):
        limit_of("login", who="asha")


def test_a_scope_without_a_rate_names_itself():
    view = type("View", (), {"throttle_scope": "forgotten"})()

    with pytest.raises(ImproperlyConfigured, match="'forgotten'"):
        ScopedRateThrottle().allow_request(Request(APIRequestFactory().get("/")), view)


def test_a_rate_of_none_is_no_limit():
    view = type("View", (), {"throttle_scope": "unlimited"})()

    assert ScopedRateThrottle().allow_request(Request(APIRequestFactory().get("/")), view)


class ResetView(APIView):
    """Limited per caller and per account."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "parcel"
    throttle_fields = ("identifier", "email")

    def post(self, request: Request) -> Response:
        return success_response()


@pytest.fixture
def reset(settings):
    """Return a function that calls the view with a body, from an address."""
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"parcel": "3/min", "parcel_account": "2/min"},
    }

    def call(body: object, address: str = "41.59.0.1") -> int:
        request = APIRequestFactory().post("/", body, format="json", REMOTE_ADDR=address)
        return ResetView.as_view()(request).status_code

    return call


def test_an_account_is_counted_from_wherever_it_is_named(reset):
    statuses = [reset({"identifier": "0712345678"}, f"41.59.0.{number}") for number in range(3)]

    assert statuses == [200, 200, 429]
    assert reset({"identifier": "+255 712 345 678"}, "41.59.0.9") == 429
    assert reset({"identifier": "0712345679"}, "41.59.0.9") == 200


def test_who_is_refused_uses_up_nobodys_limit(reset):
    """Or one blocked address could keep everybody else's account busy."""
    for number in range(3):
        reset({"identifier": f"name-{number}"})
    for _ in range(5):
        assert reset({"identifier": "asha"}) == 429

    assert [reset({"identifier": "asha"}, "41.59.0.2") for _ in range(3)] == [200, 200, 429]


def test_each_field_counts(reset):
    for number in range(2):
        reset({"identifier": f"name-{number}", "email": "asha@example.com"}, f"41.59.1.{number}")

    assert reset({"identifier": "name-3", "email": "ASHA@example.com "}, "41.59.1.9") == 429


@pytest.mark.parametrize("body", [{}, [], {"identifier": 5}, {"identifier": ""}, {"email": None}])
def test_a_body_that_names_nobody_is_counted_by_caller_alone(reset, body):
    assert [reset(body) for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    "spellings",
    [
        ["0712345678", "+255712345678", "712 345 678", " 00255712345678"],
        ["Asha@Example.com", " asha@example.COM "],
        ["Asha", "ASHA "],
    ],
)
def test_every_spelling_is_one(spellings):
    assert len({one_spelling(text) for text in spellings}) == 1


def test_a_scope_of_the_core_has_a_rate_without_the_project(settings):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {}}

    limit = limit_of("login_failed_account", who="asha")

    assert (limit.count, limit.seconds) == (5, 300)
