"""`check --deploy` finds the schedule of the project's Celery app, or that there is none."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.core.checks import run_checks
from ntc_core.outbox import celery_defaults

celery = pytest.importorskip("celery")


@contextmanager
def current_app(schedule):
    """Make an app with that schedule the current one, as importing a project's celery.py does."""
    before = celery.current_app._get_current_object()
    app = celery.Celery("tests")
    app.conf.update(celery_defaults() | {"beat_schedule": schedule})
    try:
        app.set_current()
        yield
    finally:
        before.set_current()
        app.close()


def outbox_ids(*, deploy=True):
    return [each.id for each in run_checks(include_deployment_checks=deploy) if "outbox" in each.id]


@pytest.fixture(autouse=True)
def _celery_runner(settings):
    settings.NTC_OUTBOX_RUNNER = "celery"


def test_our_schedule_is_silent():
    with current_app(celery_defaults()["beat_schedule"]):
        assert outbox_ids() == []


def test_a_schedule_without_the_tick_is_named():
    with current_app({"other": {"task": "shop.tasks.clean", "schedule": 60}}):
        assert outbox_ids() == ["ntc_outbox.W001"]
        assert outbox_ids(deploy=False) == []


def test_without_a_celery_app_of_the_project_it_is_named_too():
    with current_app({}):
        assert outbox_ids() == ["ntc_outbox.W001"]


def test_entries_of_the_settings_that_celery_defaults_replaced_are_named(settings):
    settings.CELERY_BEAT_SCHEDULE = {"clean": {"task": "shop.tasks.clean", "schedule": 60}}

    with current_app(celery_defaults()["beat_schedule"]):
        assert outbox_ids() == ["ntc_outbox.W002"]


def test_another_runner_needs_no_beat(settings):
    settings.NTC_OUTBOX_RUNNER = "thread"

    with current_app({}):
        assert outbox_ids() == []
