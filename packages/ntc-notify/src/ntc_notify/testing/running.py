"""Run the pretend Beem as a process of its own, on a free port."""

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["RunningSimulator", "running_simulator"]

LONGEST_WAIT_SECONDS = 20.0


@dataclass
class RunningSimulator:
    """The pretend Beem, with its dial and its books in your hands."""

    base_url: str
    keys: dict[str, str] = field(repr=False)
    pid: int

    def sms_options(self, **options: Any) -> dict[str, Any]:
        """Return what NTC_SMS_PROVIDERS["beem"] needs to talk to it."""
        return {
            "api_key": self.keys["BEEM_API_KEY"],
            "secret_key": self.keys["BEEM_SECRET_KEY"],
            "sender_id": self.keys["BEEM_SENDER_ID"],
            "sms_base_url": self.base_url,
            "dlr_base_url": self.base_url,
            **options,
        }

    def otp_options(self, **options: Any) -> dict[str, Any]:
        """Return what NTC_BEEM_OTP needs to talk to it."""
        return {
            "api_key": self.keys["BEEM_API_KEY"],
            "secret_key": self.keys["BEEM_SECRET_KEY"],
            "app_id": 1,
            "base_url": self.base_url,
            **options,
        }

    def messages(self) -> list[dict[str, Any]]:
        """Return every message that it took, oldest first."""
        messages: list[dict[str, Any]] = self._call("GET", "/messages")
        return messages

    def pins(self) -> list[dict[str, Any]]:
        """Return every code that its OTP product sent, oldest first."""
        pins: list[dict[str, Any]] = self._call("GET", "/pins")
        return pins

    def turn_dial(self, **faults: Any) -> None:
        """Set the faults; what is left out is off. See docs/providers/beem-sms.md."""
        self._call("PUT", "/faults", faults)

    def set_credits(self, credits: int) -> None:  # noqa: A002 - the word
        """Set what is left of the account."""
        self._call("PUT", "/credits", {"credits": credits})

    def report_to(self, url: str) -> None:
        """Say where delivery reports are posted, as in Beem's dashboard; empty: nowhere."""
        self._call("PUT", "/callbacks", {"beem": url})

    def wait_for(self, is_there: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Return the messages once they are as wanted.

        Raises:
            TimeoutError: they never were.
        """
        ends = time.monotonic() + LONGEST_WAIT_SECONDS
        while time.monotonic() < ends:
            messages = self.messages()
            if is_there(messages):
                return messages
            time.sleep(0.05)
        raise TimeoutError("The pretend Beem did not come to that state.")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own process on 127.0.0.1
            self.base_url.removesuffix("/beem") + path,
            method=method,
            data=json.dumps(body or {}).encode() if method != "GET" else None,
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as response:
            return json.load(response)


@contextmanager
def running_simulator(
    *, state: Path | None = None, port: int = 0, delivery_seconds: float = 0.0,
    keys: dict[str, str] | None = None,
) -> Iterator[RunningSimulator]:  # fmt: skip
    """Run the pretend Beem for the length of a `with` block.

    Args:
        state, port, keys: to start the same company again after a stop.
        delivery_seconds: from taking a message to its delivery report.
    """
    keys = keys or {
        "BEEM_API_KEY": secrets.token_hex(8),
        "BEEM_SECRET_KEY": secrets.token_hex(24),
        "BEEM_SENDER_ID": "FARAJA",
    }
    with tempfile.TemporaryDirectory(prefix="ntc-beem-") as folder:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [
                *(sys.executable, "-m", "ntc_notify.simulator", "--port", str(port)),
                *("--delivery-seconds", str(delivery_seconds)),
                *("--state", str(state or Path(folder) / "beem.sqlite3")),
            ],
            env={**os.environ, **keys},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield RunningSimulator(_wait_for_address(process), keys, process.pid)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)


def _wait_for_address(process: subprocess.Popen[str]) -> str:
    """Read the line that it prints once it listens."""
    line = process.stdout.readline() if process.stdout else ""
    if "http://" not in line:
        raise RuntimeError(f"The simulator did not start: exit code {process.poll()}.")
    return line[line.index("http://") :].strip()
