"""The mistakes of an earlier back end, as far as settings make them: each is named."""

from __future__ import annotations

import pytest

from .command import FAULTY, examine, ntc

#: Number of the fault there -> what the doctor says: an id, and a part of the sentence.
FAULTS = [
    (7, "ntc_core.W009", "A refresh token can be spent again and again"),
    (10, "security.W003", "CsrfViewMiddleware"),
    (10, "ntc_core.W003", "SIMPLE_JWT['AUTH_COOKIE_PATH']"),
    (11, "ntc_core.E004", "DEFAULT_RENDERER_CLASSES"),
    (12, "ntc_core.E003", "EXCEPTION_HANDLER"),
    (13, "ntc_core.W019", "No URL serves the OpenAPI document"),
    (13, "ntc_core.W019", "drf_spectacular is not installed"),
    (13, "ntc_core.W003", "SPECTACULAR_SETTINGS['SERVE_INCLUDE_SCHEME']"),
    (14, "ntc_core.W022", "DEFAULT_PAGINATION_CLASS"),
    (16, "ntc_core.W001", "ALLOWED_HOSTS contains '*'"),
    (16, "security.W018", "DEBUG"),
    (16, "security.W009", "SECRET_KEY"),
    (16, "ntc_core.E012", "SECRET_KEY reads like the default of a template"),
    (16, "ntc_core.W007", "REFRESH_SECRET is SECRET_KEY"),
    (16, "ntc_core.W007", "SIMPLE_JWT['SIGNING_KEY'] is SECRET_KEY"),
    (16, "ntc_core.W008", "SIGNING_KEY"),
    (16, "ntc_auth.E004", "NTC_JWT_KEYS contains SECRET_KEY"),
    (17, "ntc_core.E010", "nexent.auth_serializer"),
    *(
        (17, "ntc_core.W003", f"SIMPLE_JWT['AUTH_COOKIE{rest}']")
        for rest in ("", "_DOMAIN", "_SECURE", "_HTTP_ONLY", "_SAMESITE", "_PATH")
    ),
    (18, "ntc_core.E005", "DEFAULT_PERMISSION_CLASSES"),
    (18, "ntc_core.W003", "REST_FRAMEWORK['DEFAULT_PERMISION_CLASSES']"),
    (19, "ntc_core.W014", "DATA_UPLOAD_MAX_MEMORY_SIZE"),
    (19, "ntc_core.W018", "Sentry takes personal data"),
    (19, "ntc_core.W020", "/sentry-debug/"),
    (20, "ntc_core.W010", "SECURE_PROXY_SSL_HEADER"),
    (20, "ntc_core.W021", "/media/"),
    (21, "ntc_core.W016", "CELERY_TIMEZONE is 'Africa/Nairobi'"),
    (21, "ntc_core.W016", "DATABASES['default']['TIME_ZONE'] is 'Africa/Dar_es_Salaam'"),
    (23, "ntc_core.W017", "faulty_be.settings.base"),
    (24, "ntc_realtime.W002", "NTC_REALTIME_ORIGIN_REGEXES"),
    (26, "ntc_core.E013", "User.last_login is auto_now"),
    (27, "ntc_core.E014", "SimpleFormatter cannot format an event"),
    (27, "ntc_core.W023", "every event of 'apps' comes out twice"),
    (28, "ntc_core.W024", "apps/films"),
]
#: What else its settings get wrong.
OTHERS = [
    ("ntc_core.W004", "CORS_ALLOW_ALL is read by nothing"),
    ("ntc_core.E011", "CORS_ALLOW_CREDENTIALS"),
    ("ntc_core.W005", "NTC_REALTIME_ALLOWED_ORIGINS is read by nothing"),
    ("ntc_core.W012", "SESSION_COOKIE_SAMESITE"),
    ("ntc_core.W013", "CSRF_TRUSTED_ORIGINS"),
    ("ntc_core.W015", "EMAIL_BACKEND"),
    ("ntc_outbox.W001", "beat entry"),
    ("ntc_realtime.W001", "CHANNEL_LAYERS"),
]


@pytest.fixture(scope="module")
def report():
    code, report = examine("--no-services", folder=FAULTY)
    assert code == 1
    return report


@pytest.mark.parametrize(("number", "id_", "part"), FAULTS)
def test_every_fault_that_settings_make_is_named(number, id_, part, report):
    said = [each["problem"] for each in report["findings"] if each["id"] == id_]

    assert any(part in problem for problem in said), (number, report["findings"])


@pytest.mark.parametrize(("id_", "part"), OTHERS)
def test_what_else_is_wrong_is_named(id_, part, report):
    said = [each["problem"] for each in report["findings"] if each["id"] == id_]

    assert any(part in problem for problem in said), report["findings"]


def test_every_finding_of_ours_says_what_to_do(report):
    silent = [
        each["id"]
        for each in report["findings"]
        if each["id"].startswith("ntc_") and not each["advice"]
    ]

    assert silent == []


def test_no_check_broke(report):
    assert [each for each in report["findings"] if each["id"].startswith("ntc_doctor")] == []


def test_the_table_has_a_row_for_each_and_shows_no_key():
    done = ntc("doctor", "--no-services", folder=FAULTY)

    assert done.returncode == 1
    assert "What is wrong" in done.stdout
    assert "What to do" in done.stdout
    for id_ in ("ntc_core.W009", "ntc_core.E012", "ntc_core.W024", "security.W018"):
        assert id_ in done.stdout
    assert "to mend in faulty_be.settings.base." in done.stdout
    assert "your-secret-key" not in done.stdout
