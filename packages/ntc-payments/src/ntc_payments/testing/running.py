"""Run the pretend company as a process of its own, on a free port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ntc_payments.simulator.companies import COMPANIES

__all__ = ["RunningSimulator", "running_simulator", "simulator"]


@dataclass
class RunningSimulator:
    """The pretend company, and its phone and fault dial in your hands."""

    #: What NTC_PAYMENT_PROVIDERS["simulator"] needs to talk to it.
    options: dict[str, Any]
    pid: int
    #: Company -> its keys, by the names of the provider's options.
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return str(self.options["base_url"])

    def options_of(self, company: str, *, callback_url: str = "", **options: Any) -> dict[str, Any]:
        """Return what NTC_PAYMENT_PROVIDERS[company] needs to talk to that company here.

        Args:
            callback_url: where it tells what happened; empty: nowhere, poll it.
            options: more options of the provider, such as `total_timeout_seconds`.
        """
        played = next(each for each in COMPANIES if each.name == company)
        urls = dict.fromkeys(played.url_options, f"{self.base_url}{played.prefix}")
        told: dict[str, Any] = {}
        if callback_url:
            self._call("PUT", "/callbacks", {company: callback_url})
            told = {"callback_url": callback_url} if played.is_told_callback_url else {}
        return {**urls, **self.secrets[company], **told, **options}

    def books(self) -> dict[str, Any]:
        """Return company -> `money` (currency -> sums in minor units) and `prompts`."""
        books: dict[str, Any] = self._call("GET", "/books")
        return books

    def pay_bill(self, *, company: str, number: str, amount: int) -> dict[str, Any]:
        """Pay on a control number, in major units, as a payer does without a prompt."""
        body = {"company": company, "number": number, "amount": amount}
        prompt: dict[str, Any] = self._call("POST", "/phone/pay", body)
        return prompt

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

    def renew(self, *, company: str, reference: str) -> dict[str, Any]:
        """Let the company charge the next period of a subscription that was paid."""
        body = {"company": company, "reference": reference}
        prompt: dict[str, Any] = self._call("POST", "/phone/renew", body)
        return prompt

    def dispute(self, *, company: str, reference: str, status: str) -> None:
        """Let the payer complain to the bank, or the bank decide; in the company's words."""
        body = {"company": company, "reference": reference, "status": status}
        self._call("POST", "/phone/dispute", body)

    def turn_dial(self, **faults: Any) -> None:
        """Set the faults; what is left out is off. See docs/providers/simulator.md.

        Args:
            faults: with `company`, of that one; without, of Pretend Money.
        """
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
    invented = {
        variable: company.invent(option)
        for company in COMPANIES
        for variable, option in company.keys.items()
    }
    with tempfile.TemporaryDirectory(prefix="ntc-simulator-") as folder:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [
                *(sys.executable, "-m", "ntc_payments.simulator"),
                *("--port", str(port), "--prompt-seconds", str(prompt_seconds)),
                *("--state", str(state or Path(folder) / "simulator.sqlite3")),
            ],
            env={**os.environ, **invented},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            base_url = _wait_for_address(process)
            keys = {
                company.name: {option: invented[name] for name, option in company.keys.items()}
                for company in COMPANIES
            }
            provider_options = {
                "base_url": base_url,
                **keys["simulator"],
                "callback_url": callback_url,
                **options,
            }
            yield RunningSimulator(options=provider_options, pid=process.pid, secrets=keys)
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
