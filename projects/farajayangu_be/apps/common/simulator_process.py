"""The simulator as a child process: it ends when we end, however we end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

__all__ = ["SimulatorDied", "find_free_port", "is_free", "is_listening", "run_simulator"]

START_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 5.0


class SimulatorDied(RuntimeError):
    """The simulator ended, or never began to listen."""


def is_listening(base_url: str) -> bool:
    """Tell whether somebody answers at the host and port of this URL."""
    parts = urlsplit(base_url)
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((parts.hostname or "127.0.0.1", parts.port or 80)) == 0


def is_free(port: int) -> bool:
    """Tell whether a server could be started at this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do it: a port whose last server has just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def find_free_port(first: int) -> int:
    """Return the first free port from `first` on."""
    for port in range(first, first + 100):
        if is_free(port):
            return port
    raise SimulatorDied(f"No free port from {first} on. Choose one: SIMULATOR_BASE_URL.")


@contextmanager
def run_simulator(
    options: Mapping[str, str], *, state: Path, callbacks: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Play the companies at `options["base_url"]` until the block ends.

    `callbacks` says where each company tells what happened, as one does in its dashboard.

    The child also watches its standard input, whose other end only this process holds: a
    `kill -9` of ours closes it, and the child follows.
    """
    parts = urlsplit(options["base_url"])
    process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
        [
            *(sys.executable, "-m", "ntc_payments.simulator"),
            *("--host", parts.hostname or "127.0.0.1", "--port", str(parts.port or 80)),
            *("--state", str(state), "--exit-with-parent"),
        ],
        stdin=subprocess.PIPE,
        env={
            **os.environ,
            "SIMULATOR_API_KEY": options["api_key"],
            "SIMULATOR_WEBHOOK_SECRET": options["webhook_secret"],
        },
        # Ctrl-C reaches everybody in the terminal's group; this child waits for us instead.
        start_new_session=True,
    )
    try:
        _wait_until_listening(process, options["base_url"])
        if callbacks:
            url = f"{options['base_url'].rstrip('/')}/callbacks"
            httpx.put(url, json=dict(callbacks), timeout=10, trust_env=False).raise_for_status()
        yield
    finally:
        _stop(process)


def _wait_until_listening(process: subprocess.Popen[bytes], base_url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not is_listening(base_url):
        if process.poll() is not None:
            raise SimulatorDied(f"The simulator ended with exit code {process.returncode}.")
        if time.monotonic() > deadline:
            raise SimulatorDied(f"The simulator does not listen at {base_url}.")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
