"""Start real processes, keep their output, and end each one by its own id."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from apps.common.simulator_process import is_free

__all__ = ["PROJECT_DIR", "Running", "free_ports", "pids_of", "run", "wait_until"]

PROJECT_DIR = Path(__file__).resolve().parents[1]
#: Generous, because a test machine may be busy; a healthy start takes a few seconds.
START_TIMEOUT_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process of ours and the file with everything it printed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """Return what it printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, url: str, *, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Wait until the URL answers 200; fail with the output when the process ends before."""

        def answers() -> bool:
            assert self.process.poll() is None, f"{self.name} ended early:\n{self.output}"
            try:
                return httpx.get(url, timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        try:
            wait_until(answers, what=f"{self.name} at {url}", timeout_seconds=timeout_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from error

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def terminate(self, *, timeout_seconds: float = 20.0) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_seconds)


@contextmanager
def run(
    name: str, arguments: Sequence[str], *, env: Mapping[str, str], folder: Path
) -> Iterator[Running]:
    """Run `python ARGUMENTS` in the project's folder until the block ends.

    It gets `env` and nothing of ours except what every process needs.
    """
    log = folder / f"{name}-{time.monotonic_ns()}.log"
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT_DIR,
            env={**inherited, "PYTHONUNBUFFERED": "1", **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(name=name, process=process, log=log)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until(condition: Callable[[], Any], *, what: str, timeout_seconds: float = 30.0) -> Any:
    """Return the first true value of `condition()`; fail after the limit."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"Waited {timeout_seconds:g} s in vain for: {what}"
        time.sleep(0.1)


def pids_of(text: str) -> list[int]:
    """Return the processes of this machine that have the text in their command line."""
    found = []
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = command_line.read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if text.encode() in arguments:
            found.append(int(command_line.parent.name))
    return found


def free_ports(count: int) -> list[int]:
    """Return ports where a server can be started, each with a free neighbour above it.

    Below the range from which the system takes the ports of outgoing connections: one of
    those could be gone before the server starts.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 30_000, 2)  # noqa: S311 - not a secret
        if port not in found and is_free(port) and is_free(port + 1):
            found.append(port)
    return found
