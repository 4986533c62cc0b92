"""The container's health check, run as Docker runs it."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import PROJECT_DIR

SCRIPT = PROJECT_DIR.parents[1] / "docker" / "healthcheck"


class Web(http.server.BaseHTTPRequestHandler):
    """A web server that accepts one host name."""

    def do_GET(self) -> None:
        """Answer as Django does."""
        is_known = self.headers["Host"] == "api.example.com" and self.path == "/health/live/"
        self.send_response(200 if is_known else 400)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def port() -> Iterator[int]:
    """Run the web server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def check(port: int, **env: str) -> int:
    """Return the exit code."""
    command = [sys.executable, str(SCRIPT), str(port)]
    return subprocess.run(
        command, env={"PATH": os.environ["PATH"], **env}, timeout=20, check=False
    ).returncode


def test_it_asks_under_the_first_allowed_host(port):
    assert check(port, ALLOWED_HOSTS=" , .api.example.com,www.example.com") == 0
    assert check(port, ALLOWED_HOSTS="www.example.com") == 1
    assert check(port) == 1


def test_the_allowed_hosts_may_be_in_a_file(port, tmp_path: Path):
    (tmp_path / "hosts").write_text("api.example.com,www.example.com\n")

    assert check(port, ALLOWED_HOSTS_FILE=str(tmp_path / "hosts")) == 0


def test_a_proxy_for_other_things_is_not_asked(port):
    assert check(port, ALLOWED_HOSTS="api.example.com", http_proxy="http://127.0.0.1:9") == 0
