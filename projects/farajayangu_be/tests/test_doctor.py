"""`ntc doctor` on this project: silent in production, and honest where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection
from ntc_core.testing import services

from .processes import PROJECT_DIR
from .test_prod_settings import good_environment

pytestmark = pytest.mark.postgres


def doctor(*arguments, env):
    """Run `ntc doctor` as an operator would."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("ntc")), "doctor", *arguments],
        cwd=PROJECT_DIR,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def database_url():
    """Return the URL of the tests' own database, which is migrated."""
    options = connection.settings_dict
    user, password = quote(options["USER"]), quote(options["PASSWORD"] or "")
    place = f"{options['HOST'] or '127.0.0.1'}:{options['PORT'] or 5432}"
    return f"postgres://{user}:{password}@{place}/{options['NAME']}"


def test_production_is_silent_about_its_settings():
    done = doctor("--no-services", env=good_environment())

    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "All is well in farajayangu_be.settings.prod.\n",
        "",
    )


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
def test_production_is_silent_when_everybody_answers():
    redis = services.redis_url()
    env = {
        **good_environment(),
        "DATABASE_URL": database_url(),
        "REDIS_URL": redis,
        "CELERY_BROKER_URL": redis,
        "EMAIL_URL": "",
    }

    done = doctor(env=env)

    assert done.returncode == 0, done.stdout
    assert done.stdout == (
        "Up: database default, migrations default, cache default, broker, channel layer.\n"
        "All is well in farajayangu_be.settings.prod.\n"
    )


def test_who_does_not_answer_is_named_without_a_password():
    env = {
        **good_environment(),
        "DATABASE_URL": "postgres://faraja:hunter22@127.0.0.1:9/faraja",
        "EMAIL_URL": "smtp+tls://faraja:hunter22@127.0.0.1:9",
        "PAYMENT_PROVIDERS": "clickpesa",
        "CLICKPESA_BASE_URL": "http://127.0.0.1:9",
        "CLICKPESA_CLIENT_ID": "faraja",
        "CLICKPESA_API_KEY": "hunter22-key",
        "CLICKPESA_CHECKSUM_KEY": "hunter22-checksum",
    }

    done = doctor("--json", env=env)

    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["findings"] == []
    down = {each["name"]: each for each in report["services"] if each["state"] == "down"}
    assert set(down) == {"database default", "payments clickpesa", "email smtp"}
    assert all(each["detail"] and each["advice"] for each in down.values())
    assert "hunter22" not in done.stdout
