"""Run the pretend company as a process of its own, on a free port."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["RunningSimulator", "running_simulator", "simulator"]


@dataclass
class RunningSimulator:
    """The pretend company, and its phone and fault dial in your hands."""

    #: What NTC_PAYMENT_PROVIDERS["simulator"] needs to talk to it.
    options: dict[str, Any]
    pid: int

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return str(self.options["base_url"])

    def prompts(self, *, waiting_only: bool = True) -> list[dict[str, Any]]:
        """Return the prompts on all phones, newest first."""
        path = "/phone/prompts" if waiting_only else "/phone/prompts?all=1"
        prompts: list[dict[str, Any]] = self._call("GET", path)
        return prompts

    def prompts_of(self, reference: str) -> list[dict[str, Any]]:
        """Return every prompt that was ever made under one of our references."""
        prompts = self.prompts(waiting_only=False)
        return [prompt for prompt in prompts if prompt["reference"] == reference]

    def approve(self, *, reference: str) -> dict[str, Any]:
        """Enter the PIN."""
        return self._answer(reference, "approve")

    def decline(self, *, reference: str) -> dict[str, Any]:
        """Say no."""
        return self._answer(reference, "decline")

    def turn_dial(self, **faults: Any) -> None:
        """Set the faults; what is left out is off. See docs/providers/simulator.md."""
        self._call("PUT", "/faults", faults)

    def _answer(self, reference: str, answer: str) -> dict[str, Any]:
        uid = self.prompts_of(reference)[0]["uid"]
        prompt: dict[str, Any] = self._call("POST", f"/phone/prompts/{uid}/{answer}")
        return prompt

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own process on 127.0.0.1
            self.base_url + path,
            method=method,
            data=json.dumps(body or {}).encode() if method != "GET" else None,
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as response:
            return json.load(response)


@contextmanager
def running_simulator(
    *,
    callback_url: str = "",
    prompt_seconds: float = 120,
    port: int = 0,
    state: Path | None = None,
    **options: Any,
) -> Iterator[RunningSimulator]:
    """Run the pretend company for the length of a `with` block.

    Args:
        callback_url: where it tells what happened; empty: nowhere, poll it.
        prompt_seconds: life of a prompt on the phone.
        port, state: to start the same company again after a stop.
        options: more options of the provider, such as `total_timeout_seconds`.
    """
    api_key, secret = secrets.token_hex(16), secrets.token_hex(32)
    with tempfile.TemporaryDirectory(prefix="ntc-simulator-") as folder:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [
                *(sys.executable, "-m", "ntc_payments.simulator"),
                *("--port", str(port), "--prompt-seconds", str(prompt_seconds)),
                *("--state", str(state or Path(folder) / "simulator.sqlite3")),
            ],
            env={**os.environ, "SIMULATOR_API_KEY": api_key, "SIMULATOR_WEBHOOK_SECRET": secret},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            provider_options = {
                "base_url": _wait_for_address(process),
                "api_key": api_key,
                "webhook_secret": secret,
                "callback_url": callback_url,
                **options,
            }
            yield RunningSimulator(options=provider_options, pid=process.pid)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)


def _wait_for_address(process: subprocess.Popen[str]) -> str:
    """Read the line that the company prints once it listens."""
    started = time.monotonic()
    line = process.stdout.readline() if process.stdout else ""
    if "http://" not in line:
        raise RuntimeError(
            f"The simulator did not start: exit code {process.poll()} "
            f"after {time.monotonic() - started:.1f} s."
        )
    return line[line.index("http://") :].strip()


@pytest.fixture
def simulator(settings: Any) -> Iterator[RunningSimulator]:
    """Run the pretend company without callbacks and make it the only provider."""
    with running_simulator() as running:
        settings.NTC_PAYMENT_PROVIDERS = {"simulator": running.options}
        yield running
