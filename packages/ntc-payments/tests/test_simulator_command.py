"""The pretend company as a process: how it starts, ends, and what it keeps."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import httpx
import pytest
from ntc_payments.simulator.__main__ import main
from ntc_payments.testing import RunningSimulator, running_simulator

from tests.merchant import ORDER, call


def test_books_survive_a_restart(tmp_path):
    """SIGTERM, and the prompt is still there."""
    state = tmp_path / "books.sqlite3"
    with running_simulator(state=state) as first:
        call(first, "POST", "/v1/collections", ORDER)
    with running_simulator(state=state) as second:
        assert [prompt["reference"] for prompt in second.prompts()] == ["A1"]
        assert call(second, "POST", "/v1/collections", ORDER)[0] == 409


def test_start_without_secrets_names_them():
    """And does not listen."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", "ntc_payments.simulator", "--state", "unused"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 2
    assert "SIMULATOR_API_KEY" in ended.stderr


def test_command_serves_until_it_is_told_to_end(tmp_path, monkeypatch, capsys):
    """In this process: it prints where it listens, and SIGTERM ends it cleanly."""
    monkeypatch.setenv("SIMULATOR_API_KEY", "k")
    monkeypatch.setenv("SIMULATOR_WEBHOOK_SECRET", "s")
    monkeypatch.setenv("SIMULATOR_FAULTS", '{"query": "error"}')
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    simulator = RunningSimulator(
        options={"base_url": f"http://127.0.0.1:{port}", "api_key": "k"}, pid=os.getpid()
    )
    seen: list[Any] = []

    def end_it() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not seen:
            try:
                seen.append(call(simulator, "GET", "/v1/collections/A1"))
            except OSError:
                time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_it, daemon=True).start()
    try:
        status = main(["--port", str(port), "--state", str(tmp_path / "books")])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

    assert status == 0
    assert f"http://127.0.0.1:{port}" in capsys.readouterr().out
    assert seen[0][0] == 502


def test_command_without_secrets_ends_at_once(tmp_path, monkeypatch, capsys):
    """The same as below, in this process."""
    monkeypatch.delenv("SIMULATOR_API_KEY", raising=False)

    assert main(["--state", str(tmp_path / "books")]) == 2

    assert "SIMULATOR_WEBHOOK_SECRET" in capsys.readouterr().err


def test_company_ends_with_the_process_that_started_it(tmp_path):
    """Its standard input is closed by the system, however that process ended."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ntc_payments.simulator", "--port", "0"),
            *("--state", str(tmp_path / "books"), "--exit-with-parent"),
        ],
        env={**os.environ, "SIMULATOR_API_KEY": "k", "SIMULATOR_WEBHOOK_SECRET": "s"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "listens on" in process.stdout.readline()

    process.communicate(timeout=10)  # closes its standard input

    assert process.returncode == 0


def test_company_may_be_given_more_names(tmp_path):
    """As another container calls it."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ntc_payments.simulator", "--port", "0"),
            *("--state", str(tmp_path / "books"), "--exit-with-parent"),
            *("--allow-host", "simulator", "--allow-host", "Money.internal"),
        ],
        env={**os.environ, "SIMULATOR_API_KEY": "k", "SIMULATOR_WEBHOOK_SECRET": "s"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    base_url = process.stdout.readline().split()[-1]

    statuses = [
        httpx.get(f"{base_url}/phone/prompts", headers={"Host": host}, trust_env=False).status_code
        for host in ("simulator:8001", "money.internal", "other")
    ]
    process.communicate(timeout=10)

    assert statuses == [200, 200, 403]


def test_port_that_is_taken_is_an_error_of_the_fixture():
    """Not a hang."""
    with running_simulator() as first:
        port = int(first.base_url.rsplit(":", 1)[1])
        with pytest.raises(RuntimeError, match="did not start"), running_simulator(port=port):
            pass


def test_kill_is_survived_by_the_books(tmp_path):
    """SIGKILL: what was answered is kept."""
    state = tmp_path / "books.sqlite3"
    with running_simulator(state=state) as first:
        call(first, "POST", "/v1/collections", ORDER)
        os.kill(first.pid, signal.SIGKILL)
    with running_simulator(state=state) as second:
        assert len(second.prompts()) == 1


def test_company_needs_no_django():
    """Neither the server nor the plain parts of the package import it."""
    code = (
        "import sys, ntc_payments.simulator.__main__, ntc_payments.providers.simulator, "
        "ntc_payments.transitions, ntc_payments.errors;"
        "sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=20, check=False)

    assert ended.returncode == 0


def test_companys_signing_is_not_ours():
    """The server imports nothing of the provider: a mistake cannot agree with itself."""
    code = (
        "import sys, ntc_payments.simulator.__main__;"
        "sys.exit(any(name.startswith('ntc_payments.providers') for name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=20, check=False)

    assert ended.returncode == 0
