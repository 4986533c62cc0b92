"""A PostgreSQL and a Redis of our own, to be killed: nobody else's data is in them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from tests.processes import free_ports, wait_until

__all__ = ["Postgres", "Redis", "own_postgres", "own_redis"]


@dataclass(kw_only=True)
class Postgres:
    """A cluster in a folder of its own."""

    port: int
    data: Path
    bin: Path

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def restart(self) -> None:
        """Throw everybody out and recover, as after a power cut."""
        self._control("restart", "-m", "immediate", "-w")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let every process of the server stand still."""
        stopped = self.pids()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """Return the postmaster and its children."""
        postmaster = (self.data / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [int(pid) for pid in (postmaster, *children)]

    def answers(self) -> bool:
        """Tell whether somebody can connect."""
        try:
            psycopg2.connect(self.url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def start(self) -> None:
        options = f"-p {self.port} -k {self.data} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = ["-l", str(self.data / "server.log")]
        self._control("start", "-w", "-o", f"{options} -c max_connections=100", *log)

    def stop(self) -> None:
        self._control("stop", "-m", "immediate", "-w")

    def _control(self, *arguments: str) -> None:
        _as_postgres([str(self.bin / "pg_ctl"), "-D", str(self.data), *arguments])


@dataclass(kw_only=True)
class Redis:
    """A server that keeps nothing on disk."""

    port: int
    folder: Path
    process: Any = None

    def url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=2)

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers, what="our Redis")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """Run a fresh cluster until the block ends."""
    # Not below pytest's folder, which the server's own user could not enter.
    folder = Path(tempfile.mkdtemp(prefix="ntc-postgres-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Postgres(port=free_ports(1)[0], data=folder / "data", bin=_find_binaries())
    try:
        initdb = [str(server.bin / "initdb"), "-D", str(server.data), "-U", "postgres"]
        _as_postgres([*initdb, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"])
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_redis(folder: Path) -> Iterator[Redis]:
    """Run a fresh server until the block ends."""
    server = Redis(port=free_ports(1)[0], folder=folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _find_binaries() -> Path:
    """Return the folder of the newest PostgreSQL; Debian keeps it out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("initdb is not installed: no PostgreSQL of our own to kill.")
    return found[-1].parent if found else Path(str(on_path)).parent


def _as_postgres(command: list[str]) -> None:
    """Run it as the server's own user, for the server refuses to be root."""
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    # Into a file, not a pipe: the server it starts would keep the pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            check=False,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd="/",
            **who,
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode(errors="replace")


def wait_for_postgres(server: Postgres) -> None:
    wait_until(server.answers, what="our PostgreSQL", timeout_seconds=60)


def pause(seconds: float) -> None:
    """Let the load go on meanwhile."""
    time.sleep(seconds)
