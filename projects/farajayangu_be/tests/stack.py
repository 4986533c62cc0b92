"""The service as it is deployed: web, worker, beat, PostgreSQL, Redis; and the simulator."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from ntc_core.testing.services import redis_url

from .processes import Running, free_ports, run

__all__ = ["UVICORN", "Stack"]

#: As docker/entrypoint starts it.
UVICORN = [
    *("-m", "uvicorn", "farajayangu_be.asgi:application", "--host", "127.0.0.1"),
    *("--no-proxy-headers", "--no-server-header", "--no-access-log"),
    *("--timeout-graceful-shutdown", "30"),
]


@dataclass(kw_only=True)
class Stack:
    """Where everything is; each method runs one process until its block ends.

    Development settings, because the pretend phone and the mailbox are part of the road;
    the database, the cache, the broker and the runner are those of production.
    """

    database_url: str
    folder: Path
    web_port: int = field(init=False)
    simulator_port: int = field(init=False)

    def __post_init__(self) -> None:
        self.web_port, self.simulator_port = free_ports(2)
        self.env = {
            "DJANGO_SETTINGS_MODULE": "farajayangu_be.settings.dev",
            "LOCAL_DIR": str(self.folder / "local"),
            "SECRET_KEY": secrets.token_urlsafe(64),
            "PORT": str(self.web_port),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": str(redis_url(database=11)),
            "CELERY_BROKER_URL": str(redis_url(database=12)),
            "SIMULATOR_BASE_URL": f"http://127.0.0.1:{self.simulator_port}",
            "SIMULATOR_API_KEY": secrets.token_hex(16),
            "SIMULATOR_WEBHOOK_SECRET": secrets.token_hex(32),
        }

    @property
    def base_url(self) -> str:
        """Where the web process answers."""
        return f"http://127.0.0.1:{self.web_port}"

    @contextmanager
    def web(self, *, workers: int = 1, threads: int = 4, **env: str) -> Iterator[Running]:
        """Serve the API and the sockets: processes that wait for nobody, as in the image."""
        arguments = [*UVICORN, "--port", str(self.web_port), "--workers", str(workers)]
        with self._run("web", arguments, {"WEB_THREADS": str(threads), **env}) as running:
            running.wait_for(f"{self.base_url}/health/ready/")
            yield running

    @contextmanager
    def fragile_web(self, **env: str) -> Iterator[Running]:
        """Serve with one process and no master that would replace it when it dies."""
        arguments = ["manage.py", "runserver", "--noreload", f"127.0.0.1:{self.web_port}"]
        with self._run("fragile-web", arguments, env) as running:
            running.wait_for(f"{self.base_url}/health/ready/")
            yield running

    @contextmanager
    def workers(self) -> Iterator[None]:
        """Run a Celery worker and beat, each its own process."""
        celery = ["-m", "celery", "-A", "farajayangu_be.celery"]
        schedule = ["--schedule", str(self.folder / "celerybeat-schedule")]
        with ExitStack() as stack:
            stack.enter_context(self._run("worker", [*celery, "worker", "--concurrency", "2"]))
            stack.enter_context(self._run("beat", [*celery, "beat", "--pidfile=", *schedule]))
            yield

    @contextmanager
    def simulator(self) -> Iterator[Running]:
        """Run the pretend company."""
        arguments = [
            *("-m", "ntc_payments.simulator", "--port", str(self.simulator_port)),
            *("--state", str(self.folder / "simulator.sqlite3")),
        ]
        with self._run("simulator", arguments) as running:
            yield running

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look into the database from outside; what a statement changes stays."""
        connection = psycopg2.connect(self.database_url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def status_of(self, payment: Mapping[str, Any]) -> str:
        """Return the payment's status as the database has it."""
        sql = "SELECT status FROM ntc_payments_payment WHERE uid = %s"
        return str(self.query(sql, payment["uid"])[0][0])

    def count_periods(self, payment: Mapping[str, Any]) -> int:
        """Return how often the payment was turned into time."""
        sql = "SELECT count(*) FROM subscriptions_subscriptionperiod WHERE payment_uid = %s"
        return int(self.query(sql, payment["uid"])[0][0])

    def count_done(self, task: str) -> int:
        """Return how many jobs of this name are done."""
        sql = "SELECT count(*) FROM ntc_outbox_outboxjob WHERE task = %s AND state = 'done'"
        return int(self.query(sql, task)[0][0])

    @contextmanager
    def _run(
        self, name: str, arguments: list[str], env: Mapping[str, str] | None = None
    ) -> Iterator[Running]:
        with run(name, arguments, env={**self.env, **(env or {})}, folder=self.folder) as running:
            yield running
