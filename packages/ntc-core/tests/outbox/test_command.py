"""`manage.py run_jobs` within this process, and the check of the runner's name."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from django.core.management import call_command
from ntc_core.outbox import enqueue, job, runner
from ntc_core.outbox.checks import check_runner
from ntc_core.outbox.models import OutboxJob

from tests.outbox.sample_jobs import effects, hang, note, ran, take_effect_job

pytestmark = pytest.mark.django_db


@job("tests.ask_to_stop")
def ask_to_stop() -> None:
    """Send this process what a deployment sends its workers."""
    os.kill(os.getpid(), signal.SIGTERM)


def test_command_drains_the_queue_and_says_how_much(capsys):
    enqueue(note, 1)
    enqueue(note, 2)

    call_command("run_jobs")

    assert len(ran) == 2
    assert "job(s) run." in capsys.readouterr().out


def test_command_runs_recurring_jobs_too():
    call_command("run_jobs")

    assert OutboxJob.objects.filter(task="ntc_outbox.purge", state="done").exists()


def test_command_goes_on_until_it_is_asked_to_stop():
    before = signal.getsignal(signal.SIGTERM)
    enqueue(note, 1)
    enqueue(ask_to_stop)
    enqueue(note, 2)

    call_command("run_jobs", "--forever")

    assert [value for value, _ in ran] == [1]
    assert signal.getsignal(signal.SIGTERM) is before


def test_recurring_jobs_get_their_turn_in_front_of_an_endless_queue(monkeypatch):
    monkeypatch.setattr(runner, "JOBS_PER_SWEEP", 2)
    stopping = threading.Event()
    purges = OutboxJob.objects.filter(task="ntc_outbox.purge")
    rounds: list[int] = []

    @job("tests.endless")
    def endless() -> None:
        rounds.append(1)
        if len(rounds) == 1:
            purges.delete()  # as if its time slot were over
        if purges.exists() or len(rounds) == 20:
            stopping.set()
        enqueue("tests.endless")

    enqueue(endless)

    runner.run_until(stopping)

    assert purges.exists()
    assert len(rounds) < 20


@pytest.mark.parametrize("name", ["thread", "celery", "manual"])
def test_known_runner_passes_the_check(settings, name):
    if name == "celery":
        pytest.importorskip("celery")
    settings.NTC_OUTBOX_RUNNER = name

    assert check_runner() == []


@pytest.mark.parametrize("name", ["Celery", "", None, "rq"])
def test_unknown_runner_is_an_error(settings, name):
    settings.NTC_OUTBOX_RUNNER = name

    (error,) = check_runner()
    assert error.id == "ntc_outbox.E001"
    assert "thread, celery, manual" in error.msg


def test_one_queue_alone():
    enqueue(take_effect_job, "job")
    enqueue(hang, "company", 0)

    call_command("run_jobs", queue="companies")

    assert (effects("job"), effects("company-began")) == (0, 1)
