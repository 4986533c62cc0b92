"""Errors reach Sentry, people do not: what really leaves, on a socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from ntc_core import sentry

from tests.http_collector import run_collector

PACKAGE = Path(__file__).resolve().parents[2]


def run_failing(**variables):
    return subprocess.run(
        [sys.executable, "-m", "tests.observed.failing"],
        cwd=PACKAGE,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.observed.settings", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def collected():
    with run_collector() as collector:
        done = run_failing(SENTRY_DSN=f"http://public@127.0.0.1:{collector.port}/1")
        assert done.returncode == 0, done.stderr
    return collector


@pytest.fixture(scope="module")
def events(collected):
    """Return the events: an envelope is lines of JSON, an item's head before the item."""
    lines = [line for _, body in collected.received for line in body.splitlines()]
    parsed = [json.loads(line) for line in lines if line.startswith(b"{")]
    return [each for each in parsed if "level" in each and "platform" in each]


def test_the_error_and_the_line_of_the_log_arrive(events):
    said = [each.get("logentry", {}).get("message", "") for each in events]
    raised = [each["exception"]["values"][0]["type"] for each in events if "exception" in each]

    assert "A company said no to %s" in said
    assert raised == ["ValueError"]


def test_nobody_and_no_secret_leaves(collected, events):
    assert len(events) == 2
    for secret in (b"712345678", b"hunter22", b"Bearer"):
        assert secret not in collected.everything


def test_what_helps_stays(events):
    [event] = [each for each in events if "exception" in each]

    assert event["exception"]["values"][0]["value"] == "Nobody has the number +2557****678: 19"
    assert event["request"] == {
        "method": "POST",
        "url": "http://testserver/api/v1/people/+2557****678/",
    }
    assert event["tags"]["request_id"] == "request-481516"
    frames = event["exception"]["values"][0]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "fail"
    assert "vars" not in frames[-1]
    assert len(event["event_id"]) == 32
    assert "user" not in event


def test_fields_of_the_log_are_masked_by_name(events):
    [event] = [each for each in events if "exception" not in each]

    assert event["extra"] == {"password": "***", "amount": 5000}
    assert event["logentry"]["params"] == ["+2557****678"]


def test_breadcrumbs_are_words_without_data():
    crumb = {
        "category": "httplib",
        "data": {"url": "https://x/?token=1"},
        "message": "to 0712345678",
    }

    assert sentry.scrub_breadcrumb(crumb) == {"category": "httplib", "message": "to +2557****678"}
    assert sentry.scrub_breadcrumb({"category": "redis", "data": {"redis.key": "1"}}) is None


def test_without_the_setting_the_library_is_not_even_loaded():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import django, sys; django.setup(); print('sentry_sdk' in sys.modules)",
        ],
        cwd=PACKAGE,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.observed.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert done.stdout.strip() == "False"


def test_a_dsn_that_is_none_stops_the_start_up_and_is_not_shown(settings):
    settings.NTC_SENTRY_DSN = "not-a-dsn-481516"

    with pytest.raises(ImproperlyConfigured, match="NTC_SENTRY_DSN cannot be read") as refused:
        sentry.start()

    assert "481516" not in str(refused.value)


def test_without_the_library_it_says_what_to_install(settings, monkeypatch):
    settings.NTC_SENTRY_DSN = "https://public@sentry.example/1"
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)

    with pytest.raises(ImproperlyConfigured, match=r"pip install 'ntc-core\[sentry\]'"):
        sentry.start()
