"""What must hold before the first request."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.core.management import call_command
from farajayangu_be.asgi import application
from farajayangu_be.settings.local_secret import read_or_make_secret
from ntc_core.testing import assert_error

from .processes import PROJECT_DIR
from .test_prod_settings import good_environment


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def start(code: str, env: dict[str, str]) -> str:
    """Start Django in a process of its own, run the code and return what it printed."""
    started = subprocess.run(
        [sys.executable, "-c", f"import django, sys; django.setup(); {code}"],
        cwd=PROJECT_DIR,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    return started.stdout


def test_starting_imports_no_sdk_and_no_test_tool():
    """An extra is imported when it is used; nothing of pytest's belongs into the service."""
    code = "import farajayangu_be.urls;print(*{name.partition('.')[0] for name in sys.modules})"

    loaded = set(start(code, {"DJANGO_SETTINGS_MODULE": "tests.settings_light"}).split())

    heavy = {"boto3", "botocore", "azure", "celery", "kombu", "redis", "channels", "pytest"}
    assert not loaded & heavy


def test_the_web_process_sends_its_wake_ups_through_our_celery_app():
    """Another app would find the broker by its variable, yet know nothing of our settings."""
    code = "from celery import current_app as app; print(app.main, app.conf.task_acks_late)"

    assert start(code, good_environment()).split() == ["farajayangu_be", "True"]


def test_asgi_serves_the_same_project():
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.get("/api/v1/nothing-here/")

    assert_error(asyncio.run(ask()), 404, code="not_found")


def test_processes_that_start_together_agree_on_the_secret(tmp_path):
    """`make run` starts a server and its reloader's child; both sign with this key."""
    path = tmp_path / "secret_key"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: read_or_make_secret(path), range(32)))

    assert len(secrets) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["secret_key"]
