"""The pretend company, asked over its socket like a real one."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from ntc_payments.simulator.__main__ import main
from ntc_payments.simulator.callbacks import sign
from ntc_payments.simulator.faults import Faults, InvalidFault
from ntc_payments.testing import RunningSimulator, running_simulator

from tests.conftest import listening_simulator

ORDER = {"reference": "A1", "amount": 500, "currency": "TZS", "phone": "255712345678"}


def call(
    simulator: RunningSimulator, method: str, path: str, body: Any = None, key: str | None = None
) -> tuple[int, Any]:
    """Return status and JSON of one request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
    request = urllib.request.Request(
        simulator.base_url + path,
        method=method,
        data=data,
        headers={"Authorization": f"Bearer {key or simulator.options['api_key']}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Merchant(http.server.ThreadingHTTPServer):
    """Takes callbacks, and refuses the first `refusals` of them."""

    def __init__(self, *, refusals: int = 0) -> None:
        self.refusals = refusals
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), MerchantHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def wait_for(self, count: int, seconds: float = 10) -> list[tuple[dict[str, str], bytes]]:
        deadline = time.monotonic() + seconds
        while len(self.deliveries) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return list(self.deliveries)


class MerchantHandler(http.server.BaseHTTPRequestHandler):
    server: Merchant

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.deliveries.append(
            ({name.lower(): value for name, value in self.headers.items()}, body)
        )
        refuse = len(self.server.deliveries) <= self.server.refusals
        self.send_response(503 if refuse else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def merchant():
    """Return a factory of merchants that listen."""
    servers = []

    def make(**options: Any) -> Merchant:
        server = Merchant(**options)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def fresh():
    """Run a company with empty books."""
    with listening_simulator() as running:
        yield running


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reference": ""}, "invalid_reference"),
        ({"reference": "A" * 21}, "invalid_reference"),
        ({"reference": "A-1"}, "invalid_reference"),
        ({"reference": 1}, "invalid_reference"),
        ({"currency": "USD"}, "invalid_currency"),
        ({"amount": "500"}, "invalid_amount"),
        ({"amount": 500.5}, "invalid_amount"),
        ({"amount": True}, "invalid_amount"),
        ({"amount": 99}, "invalid_amount"),
        ({"amount": 5_000_001}, "invalid_amount"),
        ({"phone": "+255712345678"}, "invalid_phone"),
        ({"phone": "254712345678"}, "invalid_phone"),
        ({"phone": 255712345678}, "invalid_phone"),
        ({"callback_url": "ftp://x"}, "invalid_callback_url"),
        ({"callback_url": None}, "invalid_callback_url"),
    ],
)
def test_wrong_order_is_refused_without_a_prompt(company, changes, code):
    """As picky as a real company."""
    company.turn_dial()
    before = len(company.prompts(waiting_only=False))

    status, answer = call(company, "POST", "/v1/collections", {**ORDER, **changes})

    assert (status, answer["code"]) == (400, code)
    assert len(company.prompts(waiting_only=False)) == before


def test_merchant_side_needs_the_key_and_the_rest_is_not_there(company):
    """401, 404, and a body that is no JSON."""
    company.turn_dial()
    assert call(company, "POST", "/v1/collections", ORDER, key="wrong")[0] == 401
    assert call(company, "GET", "/v1/collections/NONE", key="wrong")[0] == 401
    assert call(company, "GET", "/v1/collections/NONE")[0] == 404
    assert call(company, "GET", "/v1/elsewhere")[0] == 404
    assert call(company, "POST", "/v1/collections", b"[1]")[1]["code"] == "invalid_body"
    assert call(company, "POST", "/v1/collections", b"{")[1]["code"] == "invalid_body"
    assert call(company, "POST", "/phone/prompts/none/approve", {})[0] == 404
    assert call(company, "GET", "/health") == (200, {"status": "ok"})


def test_large_body_is_refused_unread(company):
    """And the connection closed."""
    status, answer = call(company, "POST", "/v1/collections", b"x" * (64 * 1024 + 1))

    assert (status, answer["code"]) == (413, "too_large")


def test_reference_is_used_once(fresh):
    """The second order with it is refused, whatever its content; the phone shows one prompt."""
    assert call(fresh, "POST", "/v1/collections", ORDER)[0] == 201

    status, answer = call(fresh, "POST", "/v1/collections", {**ORDER, "amount": 900})

    assert (status, answer["code"]) == (409, "duplicate_reference")
    assert [prompt["amount"] for prompt in fresh.prompts()] == [500]


def test_prompt_is_answered_once(fresh):
    """Approved, and then neither declined nor canceled."""
    call(fresh, "POST", "/v1/collections", ORDER)

    assert fresh.approve(reference="A1")["status"] == "PAID"

    uid = fresh.prompts_of("A1")[0]["uid"]
    assert call(fresh, "POST", f"/phone/prompts/{uid}/decline", {})[0] == 409
    assert call(fresh, "POST", "/v1/collections/A1/cancel", {})[0] == 409
    assert call(fresh, "GET", "/v1/collections/A1")[1]["status"] == "PAID"
    assert fresh.prompts() == []


def test_books_survive_a_restart(tmp_path):
    """SIGTERM, and the prompt is still there."""
    state = tmp_path / "books.sqlite3"
    with running_simulator(state=state) as first:
        call(first, "POST", "/v1/collections", ORDER)
    with running_simulator(state=state) as second:
        assert [prompt["reference"] for prompt in second.prompts()] == ["A1"]
        assert call(second, "POST", "/v1/collections", ORDER)[0] == 409


def test_prompt_that_nobody_answers_expires_and_says_so(merchant):
    """With a callback, as for every other end."""
    shop = merchant()
    with listening_simulator(prompt_seconds=0.3) as simulator:
        call(simulator, "POST", "/v1/collections", {**ORDER, "callback_url": shop.url})
        [(_, body)] = shop.wait_for(1)

    event = json.loads(body)
    assert event["type"] == "collection.expired"
    assert event["data"]["reference"] == "A1"


def test_callback_is_signed_and_repeated_until_it_is_taken(fresh, merchant):
    """The same event id each time, a fresh time stamp, a signature over both."""
    shop = merchant(refusals=2)
    call(fresh, "POST", "/v1/collections", {**ORDER, "callback_url": shop.url})

    fresh.approve(reference="A1")
    deliveries = shop.wait_for(3)
    time.sleep(1.2)

    assert len(shop.deliveries) == 3
    assert len({json.loads(body)["id"] for _, body in deliveries}) == 1
    for headers, body in deliveries:
        timestamp = headers["x-simulator-timestamp"]
        secret = fresh.options["webhook_secret"]
        assert headers["x-simulator-signature"] == sign(secret, timestamp=timestamp, body=body)
        assert abs(int(timestamp) - time.time()) < 30


def test_callback_to_nobody_is_repeated_when_somebody_listens(fresh, merchant):
    """Refused connections are retried like refusals."""
    shop = merchant()
    url = shop.url
    shop.shutdown()
    shop.server_close()
    call(fresh, "POST", "/v1/collections", {**ORDER, "callback_url": url})
    fresh.approve(reference="A1")
    time.sleep(0.4)

    port = int(url.split(":")[2].split("/")[0])
    late = Merchant.__new__(Merchant)
    late.refusals, late.deliveries = 0, []
    http.server.ThreadingHTTPServer.__init__(late, ("127.0.0.1", port), MerchantHandler)
    threading.Thread(target=late.serve_forever, args=(0.05,), daemon=True).start()
    try:
        assert len(late.wait_for(1)) == 1
    finally:
        late.shutdown()
        late.server_close()


@pytest.mark.parametrize(("fault", "count"), [("drop", 0), ("duplicate", 2)])
def test_dial_drops_and_doubles_callbacks(fresh, merchant, fault, count):
    """As networks do."""
    shop = merchant()
    fresh.turn_dial(callback=fault, callback_delay_seconds=0.1)
    call(fresh, "POST", "/v1/collections", {**ORDER, "callback_url": shop.url})

    fresh.decline(reference="A1")
    shop.wait_for(2, seconds=1.5)

    assert len(shop.deliveries) == count


def test_dial_counts_and_can_be_read(fresh):
    """`times` faults, then a good day again; `delay_seconds` holds back every answer."""
    fresh.turn_dial(query="error", times=1, delay_seconds=0.2)
    assert call(fresh, "GET", "/faults")[1]["query"] == "error"
    started = time.monotonic()

    statuses = [call(fresh, "GET", "/v1/collections/A1")[0] for _ in range(2)]

    assert statuses == [502, 404]
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(
    "values",
    [{"wind": 1}, {"start": "sulk"}, {"times": -1}, {"hang_seconds": "long"}, {"times": True}],
)
def test_dial_refuses_positions_it_does_not_have(company, values):
    """A typing error in a test must not test nothing."""
    with pytest.raises(InvalidFault):
        Faults.parse(values)
    assert call(company, "PUT", "/faults", values)[0] == 400


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
