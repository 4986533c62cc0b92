"""moto's server as a process of its own: an SES and an SNS that others wrote."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

_RUNNING = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


class Moto:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def reset(self) -> None:
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST"), timeout=10).close()

    def read(self, service: str) -> dict[str, list[dict[str, Any]]]:
        """Return what the server keeps of a service: kind of thing -> things."""
        with urlopen(f"{self.url}/moto-api/data.json", timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
        return content.get(service, {})


@contextmanager
def run_moto() -> Iterator[Moto]:
    """Run a server on a free port of 127.0.0.1 until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := _RUNNING.search(line):
                yield Moto(found[1])
                return
        raise AssertionError(f"moto did not start: {''.join(said)}")
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stderr.close()
