"""What must hold before the first request."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.management import call_command

from .processes import PROJECT_DIR


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_starting_imports_no_sdk_and_no_test_tool():
    """An extra is imported when it is used; nothing of pytest's belongs into the service."""
    code = (
        "import django, sys; django.setup(); import farajayangu_be.urls;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    started = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_DIR,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings_light"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    loaded = set(started.stdout.split())

    heavy = {"boto3", "botocore", "azure", "celery", "kombu", "redis", "channels", "pytest"}
    assert not loaded & heavy
