"""Production: silent when all is well, and a sentence that names what is not. In a real process."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys

import pytest

from .processes import PROJECT_DIR

PROD = "farajayangu_be.settings.prod"


def good_environment() -> dict[str, str]:
    """Return what an installation behind one proxy sets."""
    return {
        "DJANGO_SETTINGS_MODULE": PROD,
        "PATH": os.environ["PATH"],
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "api.farajayangu.example,www.farajayangu.example",
        "DATABASE_URL": "postgres://faraja:pass@127.0.0.1:5432/faraja",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "CELERY_BROKER_URL": "redis://127.0.0.1:6379/1",
        "CORS_ALLOWED_ORIGINS": "https://app.farajayangu.example",
        "CSRF_TRUSTED_ORIGINS": "https://api.farajayangu.example",
        "PUBLIC_URL": "https://api.farajayangu.example",
        "TRUSTED_PROXY_COUNT": "1",
        "WEBHOOK_PATH_SECRET": secrets.token_hex(16),
        "EMAIL_URL": "smtp+tls://faraja:pass@mail.example.com:587",
        "DEFAULT_FROM_EMAIL": "Faraja Yangu <salamu@farajayangu.example>",
    }


def manage(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a management command as the image would."""
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *arguments],
        cwd=PROJECT_DIR,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def show(name: str, env: dict[str, str]) -> str:
    """Return the repr of one production setting."""
    code = f"from django.conf import settings; print(repr(settings.{name}))"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_DIR,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.strip()


def test_check_deploy_is_silent():
    """No warning, none silenced, and nothing asked of the database or Redis."""
    checked = manage("check", "--deploy", "--fail-level", "WARNING", env=good_environment())

    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.strip() == "System check identified no issues (0 silenced)."
    assert checked.stderr == ""


def test_check_deploy_is_silent_with_the_three_required_variables_alone():
    required = {"DJANGO_SETTINGS_MODULE", "PATH", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"}
    env = {name: value for name, value in good_environment().items() if name in required}

    checked = manage("check", "--deploy", "--fail-level", "WARNING", env=env)

    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.strip() == "System check identified no issues (0 silenced)."


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_start_up_without_a_required_variable_names_it(name, how):
    env = good_environment()
    del env[name]
    if how == "empty":
        env[name] = ""

    checked = manage("check", env=env)

    assert checked.returncode != 0
    last_line = checked.stderr.strip().splitlines()[-1]
    assert re.fullmatch(
        rf".*ImproperlyConfigured: {name} is not set\. Expected .+; see \.env\.example\.", last_line
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "kifupi"),
        ("SECRET_KEY", "a" * 80),
        ("SECRET_KEY", "django-insecure-" + "x1y2z3" * 12),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "api.example.com,*"),
        ("ALLOWED_HOSTS", "https://api.example.com"),
        ("ALLOWED_HOSTS", "api.example.com,.com"),
        ("ALLOWED_HOSTS", ".tz."),
        ("DATABASE_URL", "sqlite:////tmp/db.sqlite3"),
        ("DATABASE_URL", "mysql://host/name"),
        ("PUBLIC_URL", "http://api.example.com"),
        ("PUBLIC_URL", "https://me:pass@api.example.com"),
        ("PUBLIC_URL", "https://api.example.com/api"),
        ("PUBLIC_URL", "https://api.example.com/?a=1"),
        ("REDIS_URL", "http://redis"),
        ("CELERY_BROKER_URL", "nonsense"),
        ("CORS_ALLOWED_ORIGINS", "*"),
        ("CSRF_TRUSTED_ORIGINS", "api.example.com"),
        ("TRUSTED_PROXY_COUNT", "yes"),
        ("LOG_LEVEL", "LOUD"),
        ("JWT_KEYS", "too-short"),
        ("JWT_KEYS", "ab" * 32),
        ("WEBHOOK_PATH_SECRET", "kifupi"),
        ("WEBHOOK_PATH_SECRET", "a" * 40),
        ("PAYMENT_PROVIDERS", "unknown"),
        ("EMAIL_PROVIDERS", "mailbox"),
        ("SMS_PROVIDERS", "mailbox"),
        ("EMAIL_URL", "mail.example.com"),
        ("STORAGE_PROVIDER", "ftp"),
    ],
)
def test_start_up_with_an_unsafe_value_names_the_variable_and_hides_the_value(name, value):
    checked = manage("check", env={**good_environment(), name: value})

    assert checked.returncode != 0
    last_line = checked.stderr.strip().splitlines()[-1]
    assert f"ImproperlyConfigured: {name} " in last_line
    if name in {"SECRET_KEY", "JWT_KEYS", "DATABASE_URL", "WEBHOOK_PATH_SECRET"}:
        assert value not in last_line


def test_a_provider_without_its_key_names_the_variable():
    env = {**good_environment(), "PAYMENT_PROVIDERS": "simulator"}

    checked = manage("check", env=env)

    assert checked.returncode != 0
    assert "ImproperlyConfigured: SIMULATOR_BASE_URL is not set." in checked.stderr


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"STORAGE_PROVIDER": "local"}, "STORAGE_DIR"),
        ({"STORAGE_PROVIDER": "s3", "AWS_REGION": "eu-west-1"}, "S3_BUCKET"),
        ({"STORAGE_PROVIDER": "azure"}, "AZURE_STORAGE_CONNECTION_STRING"),
    ],
)
def test_a_place_for_files_without_its_variables_names_the_variable(values, missing):
    checked = manage("check", env=good_environment() | values)

    assert checked.returncode != 0
    assert f"ImproperlyConfigured: {missing} is not set." in checked.stderr


@pytest.mark.parametrize(
    ("values", "backend"),
    [
        (
            {"STORAGE_PROVIDER": "s3", "S3_BUCKET": "faraja", "AWS_REGION": "eu-west-1"},
            "storages.backends.s3.S3Storage",
        ),
        (
            {
                "STORAGE_PROVIDER": "azure",
                "AZURE_STORAGE_CONNECTION_STRING": "AccountName=faraja;AccountKey=bm8=",
                "AZURE_STORAGE_CONTAINER": "faraja",
            },
            "storages.backends.azure_storage.AzureStorage",
        ),
    ],
)
def test_check_deploy_is_silent_about_a_cloud_for_files(values, backend):
    env = good_environment() | values

    checked = manage("check", "--deploy", "--fail-level", "WARNING", env=env)

    assert checked.returncode == 0, checked.stderr
    assert backend in show("STORAGES", env)
    assert values["STORAGE_PROVIDER"] in show("NTC_STORAGE_PROVIDERS", env)


def test_check_deploy_warns_of_files_on_one_machine():
    env = good_environment() | {"STORAGE_PROVIDER": "local", "STORAGE_DIR": "/srv/files"}

    assert "ntc_storage.W001" in manage("check", "--deploy", env=env).stderr


def test_check_deploy_warns_of_the_simulator():
    """Staging may use it; nobody should overlook it."""
    env = {
        **good_environment(),
        "PAYMENT_PROVIDERS": "simulator",
        "SIMULATOR_BASE_URL": "http://simulator.internal:8001",
        "SIMULATOR_API_KEY": secrets.token_hex(16),
        "SIMULATOR_WEBHOOK_SECRET": secrets.token_hex(32),
    }

    checked = manage("check", "--deploy", env=env)

    assert "farajayangu_be.W001" in checked.stderr


def test_the_proxy_header_is_believed_only_behind_a_proxy():
    """Otherwise any client could say that it came by https."""
    env = good_environment()
    believed = show("SECURE_PROXY_SSL_HEADER", env)
    del env["TRUSTED_PROXY_COUNT"]

    assert believed == "('HTTP_X_FORWARDED_PROTO', 'https')"
    assert show("SECURE_PROXY_SSL_HEADER", env) == "None"


def test_a_payer_is_sent_back_to_our_own_hosts_only():
    hosts = show("NTC_PAYMENT_RETURN_HOSTS", good_environment())

    assert hosts == "['api.farajayangu.example', 'app.farajayangu.example']"


def test_debug_cannot_be_switched_on():
    assert show("DEBUG", {**good_environment(), "DEBUG": "True"}) == "False"


def test_a_body_is_small():
    """An earlier service took 5 GB into memory."""
    assert int(show("DATA_UPLOAD_MAX_MEMORY_SIZE", good_environment())) <= 2 * 1024 * 1024


def test_metrics_errors_and_traces_go_nowhere_until_one_variable_says_where():
    env = good_environment()

    assert show("NTC_SENTRY_DSN", env) == "''"
    assert show("NTC_METRICS_TOKEN", env) == "''"
    assert show("NTC_TRACES_ENDPOINT", env) == "''"
    token = secrets.token_hex(16)
    assert show("NTC_METRICS_SINK", {**env, "METRICS_TOKEN": token}) == (
        "'ntc_core.prometheus.PrometheusSink'"
    )
    checked = manage(
        *("check", "--deploy", "--fail-level", "WARNING"),
        env={**env, "METRICS_TOKEN": token, "SENTRY_DSN": "https://key@sentry.example/1"}
        | {"TRACES_ENDPOINT": "http://127.0.0.1:9"},
    )
    assert checked.returncode == 0, checked.stderr
