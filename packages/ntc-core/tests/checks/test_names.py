"""A setting that nothing reads is named, and with it the one that was meant."""

from __future__ import annotations

import pytest
from django.conf import settings
from ntc_core.conf import rest_framework_defaults, spectacular_defaults

from .finding import find, ids

SIMPLE_JWT_READS = rest_framework_defaults() | {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]
}
WITH_CORS = [*settings.INSTALLED_APPS, "corsheaders"]


def spectacular(**changes):
    return {**spectacular_defaults(title="Shop", version="1"), **changes}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        (
            {"REST_FRAMEWORK": rest_framework_defaults() | {"DEFAULT_THROTTLE_RATE": {}}},
            "REST_FRAMEWORK['DEFAULT_THROTTLE_RATE']",
        ),
        (
            {
                "REST_FRAMEWORK": SIMPLE_JWT_READS,
                "SIMPLE_JWT": {"AUTH_COOKIE_PATH": "/", "LEEWAY": 5},
            },
            "SIMPLE_JWT['AUTH_COOKIE_PATH']",
        ),
        (
            {"SPECTACULAR_SETTINGS": spectacular(COMPONENT_SPLIT_REQUESTS=True)},
            "SPECTACULAR_SETTINGS['COMPONENT_SPLIT_REQUESTS']",
        ),
    ],
)
def test_a_key_that_nothing_reads_is_named(changes, name):
    [found] = find(**changes)

    assert found.id == "ntc_core.W003"
    assert found.msg == f"{name} is read by nothing."


def test_the_key_that_was_probably_meant_is_named_too():
    [found] = find(SPECTACULAR_SETTINGS=spectacular(COMPONENT_SPLIT_REQUESTS=True))

    assert found.hint == "Did you mean COMPONENT_SPLIT_REQUEST? Else remove it."


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        (
            {
                "REST_FRAMEWORK": SIMPLE_JWT_READS,
                "SIMPLE_JWT": {"TOKEN_OBTAIN_SERIALIZER": "nexent.auth_serializer.Pair"},
            },
            "SIMPLE_JWT['TOKEN_OBTAIN_SERIALIZER'] names 'nexent.auth_serializer.Pair'",
        ),
        (
            {
                "REST_FRAMEWORK": rest_framework_defaults()
                | {"DEFAULT_THROTTLE_CLASSES": ["shop.throttling.Slow"]}
            },
            "REST_FRAMEWORK['DEFAULT_THROTTLE_CLASSES'] names 'shop.throttling.Slow'",
        ),
        (
            {"SPECTACULAR_SETTINGS": spectacular(POSTPROCESSING_HOOKS=["shop.hooks.tidy"])},
            "SPECTACULAR_SETTINGS['POSTPROCESSING_HOOKS'] names 'shop.hooks.tidy'",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_named(changes, place):
    [found] = find(**changes)

    assert found.id == "ntc_core.E010"
    assert found.msg.startswith(place)


def test_simple_jwt_beside_our_own_tokens_has_no_effect():
    assert ids(SIMPLE_JWT={"LEEWAY": 5}) == ["ntc_core.W006"]
    assert ids(SIMPLE_JWT={"LEEWAY": 5}, REST_FRAMEWORK=SIMPLE_JWT_READS) == []
    assert ids(SIMPLE_JWT={}) == []


def test_a_cors_name_that_nothing_reads_is_named():
    [found] = find(INSTALLED_APPS=WITH_CORS, CORS_ALLOW_ALL=True)

    assert (found.id, found.msg) == ("ntc_core.W004", "CORS_ALLOW_ALL is read by nothing.")
    assert "CORS_ALLOW_ALL_ORIGINS" in found.hint


def test_an_old_cors_name_counts_until_the_new_one_is_set():
    old = {"INSTALLED_APPS": WITH_CORS, "CORS_ORIGIN_WHITELIST": ["https://a.example.com"]}

    assert ids(**old) == []
    [found] = find(**old, CORS_ALLOWED_ORIGINS=["https://b.example.com"])
    assert found.msg.startswith("CORS_ORIGIN_WHITELIST is read by nothing")


def test_cors_names_without_the_app_are_read_by_nothing():
    [found] = find(CORS_ALLOWED_ORIGINS=["https://a.example.com"])

    assert found.id == "ntc_core.W004"
    assert "corsheaders is not installed" in found.msg


def test_an_ntc_name_that_no_package_declares_is_named():
    [found] = find(NTC_TRUSTED_PROXIES=1)

    assert (found.id, found.msg) == ("ntc_core.W005", "NTC_TRUSTED_PROXIES is read by nothing.")
    assert found.hint == "Did you mean NTC_TRUSTED_PROXY_COUNT? Else remove it."
    assert ids(NTC_REALTIME_HEARTBEAT_SECONDS=10, NTC_CODE_SECONDS=60) == []
