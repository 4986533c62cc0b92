"""`ntc doctor` and `manage.py ntc_doctor`: what they print, and how they end."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from django.core.management import CommandError, call_command
from ntc_core import console
from ntc_core.console.project import load_project
from ntc_core.doctor import list_findings

from tests.checks.finding import PUBLIC

from .command import FAULTY, examine, ntc

#: What Django's own checks want of a public service.
SAFE = {
    "MIDDLEWARE": [
        "ntc_core.middleware.RequestIdMiddleware",
        "ntc_core.middleware.RequestLogMiddleware",
        "ntc_core.middleware.EnvelopeErrorsMiddleware",
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    "SECURE_HSTS_SECONDS": 31_536_000,
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
    "SECURE_HSTS_PRELOAD": True,
    "SECURE_SSL_REDIRECT": True,
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
}


@pytest.fixture
def safe(settings):
    """Give the tests' project the settings of a public service."""
    for name, value in {**PUBLIC, **SAFE}.items():
        setattr(settings, name, value)
    return settings


def run(capsys, *arguments):
    """Return (exit code, output) of manage.py ntc_doctor."""
    with pytest.raises(SystemExit) as ended:
        call_command("ntc_doctor", *arguments)
    return ended.value.code, capsys.readouterr().out


def test_a_clean_project_is_silent(safe, capsys):
    assert run(capsys, "--no-services") == (0, "All is well in the settings.\n")


def test_one_finding_is_danger(safe, capsys):
    safe.ALLOWED_HOSTS = ["*"]

    code, output = run(capsys, "--no-services")

    assert code == 1
    assert "ntc_core.W001" in output
    assert "Name the hosts of the service." in output
    assert "1 to mend in the settings." in output


def test_what_the_project_silences_is_not_told(safe, capsys):
    safe.ALLOWED_HOSTS = ["*"]
    safe.SILENCED_SYSTEM_CHECKS = ["ntc_core.W001"]

    assert run(capsys, "--no-services")[0] == 0


@pytest.mark.django_db(transaction=True)
def test_a_service_that_is_down_is_danger_and_a_row(safe, capsys):
    safe.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    safe.SILENCED_SYSTEM_CHECKS = ["ntc_realtime.W001"]
    safe.CELERY_BROKER_URL = "redis://127.0.0.1:9/0"

    code, output = run(capsys)

    assert code == 1
    assert "service: broker" in output
    assert "Check CELERY_BROKER_URL" in output
    assert "Up: database default, migrations default, cache default, channel layer." in output
    assert "1 to mend" in output


@pytest.mark.django_db(transaction=True)
def test_json_has_findings_and_services_and_no_line_of_the_log(safe, capsys):
    safe.CELERY_BROKER_URL = "redis://127.0.0.1:9/0"
    safe.CHANNEL_LAYERS = {}
    safe.SILENCED_SYSTEM_CHECKS = ["ntc_realtime.W001"]
    safe.ALLOWED_HOSTS = ["*"]

    code, output = run(capsys, "--json", "--deadline", "5")

    report = json.loads(output)
    assert code == 1
    assert [finding["id"] for finding in report["findings"]] == ["ntc_core.W001"]
    states = {answer["name"]: answer["state"] for answer in report["services"]}
    assert states == {
        "database default": "up",
        "migrations default": "up",
        "cache default": "up",
        "broker": "down",
    }
    assert logging.root.manager.disable == logging.NOTSET


def test_a_check_that_breaks_is_a_finding_and_stops_no_other(safe):
    safe.ROOT_URLCONF = "tests.missing_urls"
    safe.ALLOWED_HOSTS = ["*"]

    found = list_findings()

    assert "ntc_core.W001" in [finding.id for finding in found]
    [broken] = [finding for finding in found if finding.id == "ntc_doctor.E001"]
    assert "ntc_core.checks.project.check_urls" in broken.problem
    assert "ModuleNotFoundError: No module named 'tests.missing_urls'" in broken.problem


def test_the_table_without_its_extra_says_what_to_install(safe, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.delitem(sys.modules, "rich.console", raising=False)

    with pytest.raises(CommandError, match=r"pip install 'ntc-core\[console\]'; or use --json"):
        call_command("ntc_doctor", "--no-services")


def test_ntc_without_its_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "click", None)
    monkeypatch.delitem(sys.modules, "ntc_core.console.cli", raising=False)

    with pytest.raises(SystemExit, match=r"pip install 'ntc-core\[console\]'"):
        console.main()


def test_outside_of_a_project_it_cannot_run(tmp_path):
    done = ntc("doctor", folder=tmp_path)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "No project is here: DJANGO_SETTINGS_MODULE is not set" in done.stderr


def test_settings_that_do_not_load_are_told_in_a_sentence_without_secrets(tmp_path):
    (tmp_path / "broken.py").write_text(
        "raise ValueError('DATABASE_URL postgres://shop:hunter2@db/shop is wrong')"
    )

    done = ntc("doctor", "--settings", "broken", folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr == (
        "broken cannot be loaded. ValueError: DATABASE_URL postgres://shop:***@db/shop is wrong\n"
    )


def test_the_environment_comes_before_manage_py_and_the_option_before_both(tmp_path):
    (tmp_path / "other.py").write_text("raise ValueError('other')")
    (tmp_path / "manage.py").write_text(
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "first.settings")'
    )

    def loaded(*arguments, **variables):
        return ntc("doctor", *arguments, folder=tmp_path, **variables).stderr.split()[0]

    assert loaded() == "first.settings"
    assert loaded(DJANGO_SETTINGS_MODULE="second") == "second"
    assert loaded("--settings", "third", DJANGO_SETTINGS_MODULE="second") == "third"


def test_help_needs_no_project(tmp_path):
    done = ntc("doctor", "--help", folder=tmp_path)

    assert done.returncode == 0
    assert "--no-services" in done.stdout
    assert ntc("--version", folder=tmp_path).stdout.startswith("ntc, version ")


def test_services_of_the_faulty_project_are_asked_too():
    code, report = examine(folder=FAULTY)

    assert code == 1
    states = {answer["name"]: answer["state"] for answer in report["services"]}
    assert states["database default"] == "up"
    assert states["migrations default"] == "down"


def test_manage_py_is_read_as_the_project_has_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    monkeypatch.setattr(sys, "path", [*sys.path])

    load_project(tmp_path)

    assert sys.path[0] == str(tmp_path)
