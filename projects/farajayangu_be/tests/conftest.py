"""What the tests of the whole project share: real servers, started once."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from ntc_core.testing.services import database_url

from .processes import Running, free_ports, run

DEV = "farajayangu_be.settings.dev"


@dataclass(frozen=True, kw_only=True)
class Server:
    """A web server of ours, and the process that is it."""

    base_url: str
    running: Running
    local_dir: Path


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_reaches_what_we_start() -> Iterator[None]:
    """Undo what a shell does to a run in its background: ignore SIGINT, inherited by children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def dev_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run `manage.py dev` with nothing set but where to keep things.

    Without the reloader, which would restart it whenever somebody saves a file meanwhile.
    """
    folder = tmp_path_factory.mktemp("dev")
    port = free_ports(1)[0]
    env = {"PORT": str(port), "LOCAL_DIR": str(folder / "local")}
    with run("dev", ["manage.py", "dev", "--noreload"], env=env, folder=folder) as running:
        base_url = f"http://127.0.0.1:{port}"
        running.wait_for(f"{base_url}/health/ready/")
        yield Server(base_url=base_url, running=running, local_dir=folder / "local")


@pytest.fixture(scope="session")
def fresh_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a migrated PostgreSQL database of its own; it is dropped afterwards."""
    server, _, _ = database_url().rpartition("/")
    name = f"farajayangu_{secrets.token_hex(4)}"
    _execute(f'CREATE DATABASE "{name}"')
    try:
        url = f"{server}/{name}"
        folder = tmp_path_factory.mktemp("migrate")
        env = {"DATABASE_URL": url, "LOCAL_DIR": str(folder), "DJANGO_SETTINGS_MODULE": DEV}
        with run("migrate", ["manage.py", "migrate", "-v0"], env=env, folder=folder) as migrating:
            assert migrating.process.wait(120) == 0, migrating.output
        with run("seed", ["manage.py", "seed"], env=env, folder=folder) as seeding:
            assert seeding.process.wait(60) == 0, seeding.output
        yield url
    finally:
        _execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(sql: str) -> None:
    connection = psycopg2.connect(database_url())
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
    finally:
        connection.close()
