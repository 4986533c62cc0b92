"""What the settings promise and the project's own code does not keep."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings
from ntc_core.conf import rest_framework_defaults
from ntc_core.logging import build_logging
from rest_framework.pagination import LimitOffsetPagination, PageNumberPagination

from .finding import find, ids


class EndlessPages(PageNumberPagination):
    """As Django REST framework's documentation shows it."""

    page_size_query_param = "page_size"


class EndlessOffsets(LimitOffsetPagination):
    """Its `max_limit` is None."""


class ShortPages(PageNumberPagination):
    """Callers do not choose."""


class Breaking(logging.Formatter):
    """Forgets that `message` is made by `format()`."""

    def format(self, record):
        """Raise AttributeError."""
        return record.message


def test_urls_without_the_schema_and_with_what_nobody_should_reach_are_named():
    found = find(deploy=True, ROOT_URLCONF="tests.checks.crashing_urls")

    assert [each.id for each in found] == ["ntc_core.W019", "ntc_core.W020", "ntc_core.W021"]
    assert found[1].msg.startswith("/api/v1/sentry-debug/ crashes on purpose")
    assert found[2].msg == "/media/<path:path> lists the files of its folder."


def test_a_schema_that_is_mounted_and_not_installed_is_named():
    installed = [app for app in settings.INSTALLED_APPS if app != "drf_spectacular"]

    assert ids(deploy=True, INSTALLED_APPS=installed) == ["ntc_core.W019"]


@pytest.mark.parametrize(
    ("pagination", "expected"),
    [
        (None, ["ntc_core.W022"]),
        (f"{__name__}.EndlessPages", ["ntc_core.W022"]),
        (f"{__name__}.EndlessOffsets", ["ntc_core.W022"]),
        (f"{__name__}.ShortPages", []),
        ("ntc_core.pagination.StandardResultsSetPagination", []),
        ("shop.pagination.Missing", ["ntc_core.E010"]),
    ],
)
def test_lists_without_an_end_are_named(pagination, expected):
    changes = rest_framework_defaults() | {"DEFAULT_PAGINATION_CLASS": pagination}

    assert ids(REST_FRAMEWORK=changes) == expected


def test_a_logger_that_repeats_what_the_root_writes_is_named():
    written = build_logging(json=False)
    written["loggers"]["shop"] = {"handlers": ["console"]}
    written["loggers"]["quiet"] = {"handlers": ["console"], "propagate": False}

    [found] = find(LOGGING=written)

    assert found.id == "ntc_core.W023"
    assert found.msg == "LOGGING: every event of 'shop' comes out twice of console."


def test_a_formatter_that_breaks_is_named_before_the_first_event():
    handler = logging.NullHandler()
    handler.setFormatter(Breaking())
    log = logging.getLogger("tests.breaking")
    log.addHandler(handler)

    try:
        [found] = find()
    finally:
        log.removeHandler(handler)

    assert found.id == "ntc_core.E014"
    assert found.msg.startswith("LOGGING: Breaking cannot format an event: AttributeError")


def test_an_app_that_nobody_installed_is_named():
    installed = [app for app in settings.INSTALLED_APPS if app != "tests"]

    # `tests/unlisted/` lies beside `tests.checks` once that is an app.
    found = find(INSTALLED_APPS=[*installed, "tests", "tests.checks"])

    assert [each.id for each in found] == ["ntc_core.W024"]
    assert found[0].msg.startswith("tests/unlisted has an apps.py and is not installed")
