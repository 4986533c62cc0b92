"""The pretend Beem, asked by the provider and by hand."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ntc_core.webhooks.types import WebhookRequest
from ntc_notify.beem_otp import BeemOtp, OtpNotSent
from ntc_notify.providers.sms_beem import BeemSmsProvider
from ntc_notify.segments import measure_sms
from ntc_notify.simulator.__main__ import main
from ntc_notify.simulator.alphabet import count_segments, is_gsm
from ntc_notify.testing import running_simulator
from ntc_notify.testing.http_peer import free_port
from ntc_notify.types import MessageState, Outcome, OutgoingSms

from tests.simulator_here import simulator_here

ASHA = "+255712345678"
PATH_SECRET = "njia-ya-siri-7781"


@pytest.fixture(scope="module")
def running():
    with simulator_here() as simulator:
        yield simulator


@pytest.fixture
def simulator(running):
    running.turn_dial()
    running.set_credits(1000)
    running.report_to("")
    return running


def make_provider(simulator, **options) -> BeemSmsProvider:
    return BeemSmsProvider(**simulator.sms_options(timeout_seconds=5.0) | options)


def make_sms(to: str = ASHA, text: str = "Habari Asha") -> OutgoingSms:
    return OutgoingSms(provider_uid=uuid4(), to=to, text=text)


def of_request(simulator, reference: str) -> list[dict]:
    return [each for each in simulator.messages() if str(each["request_id"]) == reference]


def sent_with(simulator, text: str) -> list[dict]:
    return [each for each in simulator.messages() if each["text"] == text]


def post(simulator, path: str, body: object, *, authorization: str | None = None):
    """Ask without the provider; return (status, JSON)."""
    pair = f"{simulator.keys['BEEM_API_KEY']}:{simulator.keys['BEEM_SECRET_KEY']}"
    basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
    request = urllib.request.Request(
        simulator.base_url + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": authorization if authorization is not None else basic},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def a_request(**values) -> dict:
    return {
        "source_addr": "FARAJA",
        "schedule_time": "",
        "encoding": 0,
        "message": "Habari",
        "recipients": [{"recipient_id": 1, "dest_addr": "255712345678"}],
    } | values


# SMS.


def test_sms_is_taken_charged_and_kept(simulator):
    provider = make_provider(simulator)

    result = provider.send(make_sms(text="a" * 161))

    assert result.outcome is Outcome.ACCEPTED
    [kept] = of_request(simulator, result.provider_ref)
    assert (kept["dest_addr"], kept["text"], kept["segments"]) == ("255712345678", "a" * 161, 2)
    assert provider.balance().amount == 998


def test_batch_is_one_request_and_each_is_charged(simulator):
    provider = make_provider(simulator)

    results = provider.send_batch([make_sms(f"+25571234560{digit}") for digit in range(5)])

    assert len({result.provider_ref for result in results}) == 1
    assert len(of_request(simulator, results[0].provider_ref)) == 5
    assert provider.balance().amount == 995


def test_scheduled_sms_waits(simulator):
    at = datetime.now(UTC) + timedelta(hours=2)

    [result] = make_provider(simulator).send_batch([make_sms()], send_at=at)

    [kept] = of_request(simulator, result.provider_ref)
    assert kept["status"] == "PENDING"
    assert kept["due_at"] == at.replace(second=0, microsecond=0).timestamp()


def test_account_without_credit_sends_nothing_and_is_another_providers_chance(simulator):
    simulator.set_credits(1)

    result = make_provider(simulator).send(make_sms(text="ш" * 71))

    assert (result.outcome, result.elsewhere) == (Outcome.REFUSED, True)
    assert "insufficient_balance" in result.reason
    assert make_provider(simulator).balance().amount == 1


def test_wrong_secret_is_refused(simulator):
    result = make_provider(simulator, secret_key="another").send(make_sms())

    assert (result.outcome, result.elsewhere) == (Outcome.REFUSED, True)
    assert "authentication" in result.reason


def test_sender_name_is_asked_for_and_not_used_before_it_is_active(simulator):
    provider = make_provider(simulator)

    provider.request_sender_name("DUKA LETU", sample="Karibu dukani")

    statuses = {each.name: each.status for each in provider.list_sender_names()}
    assert statuses == {"FARAJA": "active", "DUKA LETU": "pending"}
    result = make_provider(simulator, sender_id="DUKA LETU").send(make_sms())
    assert "invalid_sender" in result.reason


def test_typographic_text_goes_out_as_ucs2(simulator):
    result = make_provider(simulator).send(make_sms(text="Ng\u2019ombe \U0001f404"))

    assert result.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"source_addr": ""}, 104),
        ({"message": " "}, 109),
        ({"message": "façade"}, 110),
        ({"source_addr": "STRANGER"}, 111),
        ({"schedule_time": "2020-01-01 00:00"}, 112),
        (
            {
                "recipients": [
                    {"recipient_id": number, "dest_addr": f"2557{number:08d}"}
                    for number in range(1001)
                ]
            },
            114,
        ),
        ({"recipients": [{"recipient_id": 1}]}, 115),
        ({"recipients": [{"dest_addr": "255712345678"}]}, 116),
        ({"schedule_time": "01/12/2026"}, 117),
        ({"encoding": None}, 118),
        ({"encoding": "0"}, 118),
        ({"recipients": []}, 119),
        ({"source_addr": "LONGER THAN IT"}, 121),
        ({"recipients": [{"recipient_id": 1, "dest_addr": "+255712345678"}]}, 101),
        ({"recipients": [{"recipient_id": 1, "dest_addr": "0712345678"}]}, 101),
    ],
)
def test_it_checks_for_itself(simulator, values, code):
    status, body = post(simulator, "/v1/send", a_request(**values))

    assert (status, body["code"]) == (400, code)


@pytest.mark.parametrize("authorization", ["", "Basic a2V5OnNlY3JldA==", "Basic ???", "Bearer x"])
def test_it_wants_the_keys(simulator, authorization):
    status, body = post(simulator, "/v1/send", a_request(), authorization=authorization)

    assert (status, body["code"]) == (401, 120)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab€[]{}\n çш'\u2019\U0001f64f"), max_size=400))
def test_two_counters_agree(text):
    size = measure_sms(text)

    assert is_gsm(text) == (size.alphabet == "gsm7")
    assert count_segments(text, as_ucs2=size.alphabet == "ucs2") == size.segments


# Delivery reports.


@pytest.mark.parametrize("shape", ["list", "object", "wrapped"])
@pytest.mark.parametrize(
    ("last", "state"),
    [
        ("78", MessageState.DELIVERED),
        ("90", MessageState.ACCEPTED),
        ("91", MessageState.FAILED),
        ("92", MessageState.FAILED),
    ],
)
def test_what_became_of_a_message_is_learned_by_asking(simulator, shape, last, state):
    provider = make_provider(simulator)
    number = f"+2557123456{last}"
    reference = provider.send(make_sms(number)).provider_ref
    simulator.turn_dial(report_shape=shape)
    if state is not MessageState.ACCEPTED:
        simulator.wait_for(lambda _: of_request(simulator, reference)[0]["status"] != "PENDING")

    receipt = provider.query(provider_ref=reference, provider_uid=uuid4(), address=number)
    stranger = provider.query(provider_ref="1", provider_uid=uuid4(), address=number)

    assert receipt is not None
    assert (receipt.state, receipt.address) == (state, number)
    assert stranger is None


@pytest.fixture
def inbox():
    """Take what is posted, as the service does; (path, body) each."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/api/v1/webhooks/notify/beem-{PATH_SECRET}/"
    yield url, got
    server.shutdown()
    server.server_close()


def wait_for(got: list, count: int) -> None:
    waiting = threading.Event()
    for _ in range(400):
        if len(got) >= count:
            return
        waiting.wait(0.05)
    pytest.fail(f"{count} reports were expected, {len(got)} came.")


def read(provider, path: str, body: bytes):
    request = WebhookRequest(
        method="POST", path=path, headers={}, query={}, body=body, received_at=datetime.now(UTC)
    )
    return provider.open_webhook(request), provider.read_receipts(body)


@pytest.mark.parametrize("spelling", ["Status", "status"])
def test_report_is_posted_and_understood(simulator, inbox, spelling):
    url, got = inbox
    simulator.report_to(url)
    simulator.turn_dial(spelling=spelling)
    provider = make_provider(simulator, webhook_secret=PATH_SECRET)

    reference = provider.send(make_sms()).provider_ref
    wait_for(got, 1)

    _, [receipt] = read(provider, *got[0])
    assert spelling in json.loads(got[0][1])
    assert (receipt.state, receipt.provider_ref) == (MessageState.DELIVERED, reference)
    assert receipt.address == ASHA


def test_report_that_comes_twice_is_one_event(simulator, inbox):
    url, got = inbox
    simulator.report_to(url)
    simulator.turn_dial(callback="duplicate")
    provider = make_provider(simulator, webhook_secret=PATH_SECRET)

    provider.send(make_sms())
    wait_for(got, 2)

    keys = {read(provider, *each)[0].dedupe_key for each in got}
    assert len(keys) == 1


def test_reports_can_come_in_another_order(simulator, inbox):
    url, got = inbox
    simulator.report_to(url)
    simulator.turn_dial(callback="reorder")
    provider = make_provider(simulator, webhook_secret=PATH_SECRET)

    provider.send(make_sms("+255712345695"))
    wait_for(got, 2)

    states = [read(provider, *each)[1][0].state for each in got]
    assert states == [MessageState.DELIVERED, MessageState.DEFERRED]


# The dial.


@pytest.mark.parametrize(
    ("fault", "outcome", "kept"),
    [
        ("error_before", Outcome.UNKNOWN, 0),
        ("error_after", Outcome.UNKNOWN, 1),
        ("timeout_code", Outcome.UNKNOWN, 0),
        ("unavailable", Outcome.UNKNOWN, 0),
        ("busy", Outcome.RETRY, 0),
        ("hang_before", Outcome.UNKNOWN, 0),
        ("hang_after", Outcome.UNKNOWN, 1),
        ("cut_before", Outcome.UNKNOWN, 0),
        ("cut_after", Outcome.UNKNOWN, 1),
        ("html", Outcome.UNKNOWN, 1),
        ("truncated", Outcome.UNKNOWN, 1),
    ],
)
def test_bad_day_never_makes_a_second_message(simulator, fault, outcome, kept):
    text = f"Habari {uuid4()}"
    simulator.turn_dial(send=fault, hang_seconds=1.5)

    result = make_provider(simulator, timeout_seconds=1.0).send(make_sms(text=text))

    assert result.outcome is outcome
    assert len(sent_with(simulator, text)) == kept


def test_slow_beem_that_takes_and_answers_late_got_one_message(simulator):
    text = f"Habari {uuid4()}"
    simulator.turn_dial(delay_seconds=1.5)

    result = make_provider(simulator, timeout_seconds=0.5).send(make_sms(text=text))

    assert result.outcome is Outcome.UNKNOWN
    simulator.turn_dial()
    assert len(sent_with(simulator, text)) == 1


def test_dial_bites_as_often_as_it_is_told(simulator):
    simulator.turn_dial(send="busy", times=1)
    provider = make_provider(simulator)

    outcomes = [provider.send(make_sms()).outcome for _ in range(2)]

    assert outcomes == [Outcome.RETRY, Outcome.ACCEPTED]


def test_refusal_may_be_nested(simulator):
    simulator.turn_dial(error_shape="nested")

    result = make_provider(simulator, sender_id="STRANGER").send(make_sms())

    assert "invalid_sender" in result.reason


def test_one_bad_number_is_counted_or_spoils_the_batch(simulator):
    request = a_request(
        recipients=[
            {"recipient_id": 1, "dest_addr": "255712345678"},
            {"recipient_id": 2, "dest_addr": "255712345678"},
            {"recipient_id": 3, "dest_addr": "255"},
        ]
    )

    _, counted = post(simulator, "/v1/send", request)
    simulator.turn_dial(bad_number="refuse_batch")
    status, refused = post(simulator, "/v1/send", request)

    assert [counted[name] for name in ("valid", "invalid", "duplicates")] == [1, 1, 1]
    assert (status, refused["code"]) == (400, 101)


@pytest.mark.parametrize("faults", [{"send": "explode"}, {"colour": "red"}, {"times": -1}])
def test_dial_has_no_such_position(simulator, faults):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        simulator.turn_dial(**faults)


def test_page_of_another_site_presses_no_buttons(simulator):
    desk = simulator.base_url.removesuffix("/beem")
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        request = urllib.request.Request(f"{desk}/messages", headers=headers)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)


# OTP.


def test_code_is_sent_and_checked_once(simulator):
    otp = BeemOtp(**simulator.otp_options())

    pin_id = otp.request(ASHA)
    [sent] = [each for each in simulator.pins() if each["pin_id"] == pin_id]

    wrong = f"{(int(sent['pin']) + 1) % 1_000_000:06d}"
    assert otp.verify(pin_id=pin_id, pin=wrong).reason == "incorrect"
    assert otp.verify(pin_id=pin_id, pin=sent["pin"]).verified
    assert otp.verify(pin_id=pin_id, pin=sent["pin"]).reason == "already_used"
    assert otp.verify(pin_id=str(uuid4()), pin=sent["pin"]).reason == "unknown_pin_id"


def test_code_has_three_tries(simulator):
    otp = BeemOtp(**simulator.otp_options())
    pin_id = otp.request(ASHA)
    [sent] = [each for each in simulator.pins() if each["pin_id"] == pin_id]
    wrong = f"{(int(sent['pin']) + 1) % 1_000_000:06d}"

    reasons = [otp.verify(pin_id=pin_id, pin=wrong).reason for _ in range(4)]

    assert reasons == ["incorrect"] * 3 + ["too_many_attempts"]
    assert not otp.verify(pin_id=pin_id, pin=sent["pin"]).verified


@pytest.mark.parametrize(
    ("options", "error"),
    [({"app_id": 9}, "configuration"), ({"secret_key": "another"}, "authentication")],
)
def test_code_is_not_sent_for_a_stranger(simulator, options, error):
    with pytest.raises(OtpNotSent) as caught:
        BeemOtp(**simulator.otp_options(**options)).request(ASHA)

    assert caught.value.error == error


@pytest.mark.parametrize("fault", ["error_after", "cut_after", "html"])
def test_code_on_a_bad_day_was_sent_once_and_is_not_verified(simulator, fault):
    otp = BeemOtp(**simulator.otp_options(timeout_seconds=2.0))
    before = len(simulator.pins())
    simulator.turn_dial(otp_request=fault, otp_verify=fault)

    with pytest.raises(OtpNotSent) as caught:
        otp.request(ASHA)
    sent = simulator.pins()

    assert caught.value.error == "unknown"
    assert len(sent) == before + 1
    assert otp.verify(pin_id=sent[-1]["pin_id"], pin=sent[-1]["pin"]).reason == "unknown"


# The process.


def test_restart_forgets_nothing(tmp_path):
    state = tmp_path / "beem.sqlite3"
    with running_simulator(state=state) as first:
        reference = make_provider(first).send(make_sms()).provider_ref
        keys = first.keys
    with running_simulator(state=state, keys=keys) as second:
        assert len(of_request(second, reference)) == 1
        provider = make_provider(second)
        assert provider.balance().amount == 999
        assert int(provider.send(make_sms()).provider_ref) == int(reference) + 1


@pytest.fixture
def _own_signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_own_signals")
def test_it_prints_its_settings_serves_and_ends_by_a_signal(tmp_path, monkeypatch, capsys):
    for name in ("BEEM_API_KEY", "BEEM_SECRET_KEY", "BEEM_SENDER_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIMULATOR_FAULTS", '{"send": "busy"}')
    port, seen = free_port(), []

    def ask_and_end() -> None:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    url = f"http://127.0.0.1:{port}"
                    with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                        seen.append(json.load(answer))
                    with urllib.request.urlopen(f"{url}/faults", timeout=5) as answer:
                        seen.append(json.load(answer)["send"])
                    return
                time.sleep(0.05)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    helper = threading.Thread(target=ask_and_end)
    helper.start()
    state = str(tmp_path / "beem.sqlite3")
    code = main(["--port", str(port), "--state", state, "--print-settings", "--credits", "5"])
    helper.join(timeout=10)

    assert code == 0
    assert seen == [{"status": "ok"}, "busy"]
    lines = capsys.readouterr().out.splitlines()
    printed = dict(line.split("=", 1) for line in lines[:-1])
    assert printed.keys() == {"BEEM_API_KEY", "BEEM_SECRET_KEY", "BEEM_SENDER_ID"}
    assert all(printed.values())
    assert lines[-1] == f"The pretend Beem listens on http://127.0.0.1:{port}/beem"


def test_it_ends_with_who_started_it(tmp_path):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ntc_notify.simulator", "--port", "0"),
            *("--state", str(tmp_path / "beem.sqlite3"), "--exit-with-parent"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "listens on" in process.stdout.readline()

    _, _ = process.communicate(timeout=20)  # closes its standard input

    assert process.returncode == 0


def test_desk_says_what_it_wants(simulator):
    desk = simulator.base_url.removesuffix("/beem")
    for method, path, body, status in (
        ("PUT", "/callbacks", {"beem": "ftp://x"}, "400"),
        ("PUT", "/callbacks", {"beem": 7}, "400"),
        ("PUT", "/credits", {"credits": "many"}, "400"),
        ("PUT", "/credits", {"credits": -1}, "400"),
        ("GET", "/nothing", None, "404"),
        ("GET", "/beem/nothing", None, "404"),
        ("POST", "/health", {}, "404"),
    ):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(desk + path, data=data, method=method)
        with pytest.raises(urllib.error.HTTPError, match=status):
            urllib.request.urlopen(request, timeout=10)
    request = urllib.request.Request(
        f"{desk}/messages", headers={"Host": "beem.internal", "Origin": desk}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert isinstance(json.load(answer), list)


def test_body_that_is_too_large_is_not_read(simulator):
    request = urllib.request.Request(
        f"{simulator.base_url}/v1/send", data=b"{}", headers={"Content-Length": str(2**21)}
    )
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(request, timeout=10)


@pytest.mark.parametrize("body", [[], "text", None])
def test_body_that_is_no_object_is_refused(simulator, body):
    status, answer = post(simulator, "/v1/send", body)

    assert (status, answer["code"]) == (400, 113)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/request", {"appId": 1}, 103),
        ("/v1/request", {"msisdn": "255712345678"}, 104),
        ("/v1/request", {"msisdn": "0712345678", "appId": 1}, 102),
        ("/v1/request", {"msisdn": "255712345678", "appId": "2"}, 106),
        ("/v1/verify", {"pinId": "x"}, 111),
        ("/v1/verify", {"pinId": "x", "pin": 481516}, 111),
        ("/v1/verify", {"pin": "481516"}, 112),
    ],
)
def test_otp_checks_for_itself(simulator, path, body, code):
    status, answer = post(simulator, path, body)

    assert (status, answer["data"]["message"]["code"]) == (403, code)


def test_old_code_is_expired(simulator, monkeypatch):
    monkeypatch.setattr("ntc_notify.simulator.beem.OTP_SECONDS", -1.0)
    otp = BeemOtp(**simulator.otp_options())
    pin_id = otp.request(ASHA)
    [sent] = [each for each in simulator.pins() if each["pin_id"] == pin_id]

    assert otp.verify(pin_id=pin_id, pin=sent["pin"]).reason == "expired"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"senderid": "DUKA"}, 104),
        ({"senderid": "LONGER THAN IT", "sample_content": "x"}, 121),
        ({"senderid": "FARAJA", "sample_content": "x"}, 122),
    ],
)
def test_sender_names_are_checked(simulator, body, code):
    status, answer = post(simulator, "/public/v1/sender-names", body)

    assert (status, answer["code"]) == (400, code)


def test_messages_that_never_come_are_waited_for_in_vain(simulator, monkeypatch):
    monkeypatch.setattr("ntc_notify.testing.running.LONGEST_WAIT_SECONDS", 0.1)

    with pytest.raises(TimeoutError):
        simulator.wait_for(lambda _: False)


def test_report_that_nobody_takes_is_not_counted(simulator):
    simulator.report_to(f"http://127.0.0.1:{free_port()}/")
    reference = make_provider(simulator).send(make_sms()).provider_ref

    simulator.wait_for(lambda _: of_request(simulator, reference)[0]["status"] == "DELIVERED")

    assert of_request(simulator, reference)[0]["reported"] == 0
