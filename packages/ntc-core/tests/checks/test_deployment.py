"""`check --deploy` names what strangers could use, each by a stable id."""

from __future__ import annotations

import secrets

import pytest
import sentry_sdk
from django.conf import settings
from ntc_core.conf import rest_framework_defaults

from .finding import find, ids

WITH_CORS = {"INSTALLED_APPS": [*settings.INSTALLED_APPS, "corsheaders"]}
CREDENTIALS = {**WITH_CORS, "CORS_ALLOW_CREDENTIALS": True}
SIMPLE_JWT_READS = rest_framework_defaults() | {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]
}
HTTPS = ("HTTP_X_FORWARDED_PROTO", "https")
LONG_KEY = secrets.token_hex(32)


def databases(**changes):
    return {"default": {**settings.DATABASES["default"], **changes}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({**CREDENTIALS, "CORS_ALLOW_ALL_ORIGINS": True}, ["ntc_core.E011"]),
        ({**CREDENTIALS, "CORS_ORIGIN_ALLOW_ALL": True}, ["ntc_core.E011"]),
        ({**CREDENTIALS, "CORS_ALLOWED_ORIGIN_REGEXES": [r"^https://.*"]}, ["ntc_core.E011"]),
        ({**CREDENTIALS, "CORS_ALLOWED_ORIGIN_REGEXES": [r"^https://\w+\.shop\.tz$"]}, []),
        ({**CREDENTIALS, "CORS_ALLOWED_ORIGINS": ["https://app.shop.tz"]}, []),
        ({**WITH_CORS, "CORS_ALLOW_ALL_ORIGINS": True}, []),
        ({"SECRET_KEY": "your-secret-key-" + LONG_KEY}, ["ntc_core.E012"]),
        ({"SECRET_KEY": "ChangeMe" + LONG_KEY}, ["ntc_core.E012"]),
        ({"REFRESH_SECRET": settings.SECRET_KEY}, ["ntc_core.W007"]),
        ({"SECURE_PROXY_SSL_HEADER": HTTPS}, ["ntc_core.W010"]),
        ({"USE_X_FORWARDED_HOST": True}, ["ntc_core.W010"]),
        ({"NTC_TRUSTED_PROXY_COUNT": 1}, ["ntc_core.W011"]),
        ({"NTC_TRUSTED_PROXY_COUNT": 1, "SECURE_PROXY_SSL_HEADER": HTTPS}, []),
        ({"SESSION_COOKIE_SAMESITE": "None"}, ["ntc_core.W012"]),
        ({"CSRF_COOKIE_SAMESITE": False}, ["ntc_core.W012"]),
        ({"SESSION_COOKIE_SAMESITE": "strict"}, []),
        ({"CSRF_TRUSTED_ORIGINS": ["http://app.shop.tz"]}, ["ntc_core.W013"]),
        ({"CSRF_TRUSTED_ORIGINS": ["https://*"]}, ["ntc_core.W013"]),
        ({"CSRF_TRUSTED_ORIGINS": ["https://*.com"]}, ["ntc_core.W013"]),
        ({"CSRF_TRUSTED_ORIGINS": ["https://*.shop.tz"]}, []),
        ({"DATA_UPLOAD_MAX_MEMORY_SIZE": 5 * 1024**3}, ["ntc_core.W014"]),
        ({"DATA_UPLOAD_MAX_MEMORY_SIZE": None}, ["ntc_core.W014"]),
        ({"DATA_UPLOAD_MAX_NUMBER_FIELDS": None}, ["ntc_core.W014"]),
        ({"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, ["ntc_core.W015"]),
        ({"CELERY_TIMEZONE": "Africa/Nairobi"}, ["ntc_core.W016"]),
        ({"CELERY_TIMEZONE": "UTC"}, []),
        ({"USE_TZ": False}, ["ntc_core.W016"]),
        ({"SETTINGS_MODULE": "shop.settings.base"}, ["ntc_core.W017"]),
        ({"NTC_REALTIME_ORIGIN_REGEXES": [".*"]}, ["ntc_realtime.W002"]),
        ({"NTC_REALTIME_ORIGIN_REGEXES": [r"https://\w+\.shop\.tz"]}, []),
        ({"NTC_REALTIME_ORIGIN_REGEXES": ["("]}, ["ntc_realtime.E002"]),
    ],
)
def test_each_danger_has_its_id(changes, expected):
    assert ids(deploy=True, **changes) == expected


def test_none_of_them_nags_in_development():
    assert ids(SECRET_KEY="your-secret-key", USE_TZ=False, CSRF_COOKIE_SAMESITE=False) == []


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_a_database_in_another_zone_is_named():
    changes = {"DATABASES": databases(TIME_ZONE="Africa/Dar_es_Salaam")}

    found = [each for each in find(deploy=True, **changes) if each.id == "ntc_core.W016"]

    assert [each.msg for each in found] == [
        "DATABASES['default']['TIME_ZONE'] is 'Africa/Dar_es_Salaam' and TIME_ZONE is 'UTC'."
    ]


@pytest.mark.parametrize(
    ("simple_jwt", "expected"),
    [
        ({"SIGNING_KEY": LONG_KEY}, ["ntc_core.W009"]),
        ({"SIGNING_KEY": "short"}, ["ntc_core.W008", "ntc_core.W009"]),
        ({"SIGNING_KEY": LONG_KEY, "ROTATE_REFRESH_TOKENS": True}, ["ntc_core.W009"]),
        ({}, ["ntc_core.W007", "ntc_core.W009"]),
    ],
)
def test_where_simplejwt_judges_tokens_its_keys_are_judged(simple_jwt, expected):
    assert ids(deploy=True, REST_FRAMEWORK=SIMPLE_JWT_READS, SIMPLE_JWT=simple_jwt) == expected


def test_no_finding_shows_a_secret():
    found = find(
        deploy=True,
        SECRET_KEY="change-me-" + LONG_KEY,
        REFRESH_SECRET="change-me-" + LONG_KEY,
        REST_FRAMEWORK=SIMPLE_JWT_READS,
        SIMPLE_JWT={"SIGNING_KEY": "short"},
    )

    text = " ".join(f"{each.msg} {each.hint}" for each in found)
    assert len(found) > 3
    assert LONG_KEY not in text
    assert "short" not in text.replace("is short", "")


@pytest.mark.filterwarnings("ignore:The send_default_pii option is deprecated")
def test_sentry_that_takes_personal_data_is_named():
    before = sentry_sdk.get_client()

    def ids_with(**options):
        client = sentry_sdk.Client(default_integrations=False, **options)
        sentry_sdk.get_global_scope().set_client(client)
        return ids(deploy=True)

    try:
        assert ids_with(send_default_pii=True) == ["ntc_core.W018"]
        assert ids_with() == []
    finally:
        sentry_sdk.get_global_scope().set_client(before)
