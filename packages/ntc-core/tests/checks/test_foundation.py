"""`manage.py check` names each mistake by a stable id."""

from __future__ import annotations

import pytest
from ntc_core.conf import rest_framework_defaults

from .finding import ids

MIDDLEWARE = [
    "ntc_core.middleware.RequestIdMiddleware",
    "ntc_core.middleware.RequestLogMiddleware",
    "ntc_core.middleware.EnvelopeErrorsMiddleware",
]
SECURITY = "django.middleware.security.SecurityMiddleware"
HANDLER = "rest_framework.views.exception_handler"
RENDERER = "rest_framework.renderers.JSONRenderer"


def rest_framework(**changes):
    return {**rest_framework_defaults(), **changes}


def test_the_test_project_is_clean():
    assert ids() == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"MIDDLEWARE": MIDDLEWARE[:1]}, ["ntc_core.E001", "ntc_core.E001"]),
        ({"MIDDLEWARE": [SECURITY, *MIDDLEWARE]}, ["ntc_core.E002"]),
        ({"MIDDLEWARE": [*reversed(MIDDLEWARE), SECURITY]}, ["ntc_core.E002"]),
        ({"REST_FRAMEWORK": rest_framework(EXCEPTION_HANDLER=HANDLER)}, ["ntc_core.E003"]),
        (
            {"REST_FRAMEWORK": rest_framework(DEFAULT_RENDERER_CLASSES=[RENDERER])},
            ["ntc_core.E004"],
        ),
        ({"REST_FRAMEWORK": rest_framework(DEFAULT_PERMISSION_CLASSES=[])}, ["ntc_core.E005"]),
        (
            {
                "REST_FRAMEWORK": rest_framework(
                    DEFAULT_PERMISSION_CLASSES=["rest_framework.permissions.AllowAny"]
                )
            },
            ["ntc_core.E005"],
        ),
        ({"NTC_TRUSTED_PROXY_COUNT": -1}, ["ntc_core.E006"]),
        ({"NTC_TRUSTED_PROXY_COUNT": True}, ["ntc_core.E006"]),
        ({"NTC_TRUSTED_PROXY_COUNT": "1"}, ["ntc_core.E006"]),
        ({"NTC_TRUSTED_PROXY_COUNT": 11}, ["ntc_core.E006"]),
        ({"CSRF_FAILURE_VIEW": "django.views.csrf.csrf_failure"}, ["ntc_core.E007"]),
        ({"NTC_API_PREFIXES": "/api/"}, ["ntc_core.E008"]),
        ({"NTC_API_PREFIXES": ("api/",)}, ["ntc_core.E008"]),
    ],
)
def test_each_mistake_has_its_id(settings, expected):
    assert ids(**settings) == expected


def test_without_rest_framework_settings_everything_of_it_is_named():
    assert ids(REST_FRAMEWORK={}) == [
        "ntc_core.E003",
        "ntc_core.E004",
        "ntc_core.E005",
        "ntc_core.W022",
    ]


def test_deployment_warns_of_what_is_convenient_only():
    assert ids(deploy=True) == []
    assert ids(deploy=True, ALLOWED_HOSTS=["*"]) == ["ntc_core.W001"]
    assert ids(
        deploy=True,
        REST_FRAMEWORK=rest_framework(DEFAULT_PARSER_CLASSES=["rest_framework.parsers.FormParser"]),
    ) == ["ntc_core.W002"]
