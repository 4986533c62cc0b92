"""The Beem provider, against the vectors of its sheet and a company on a socket."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.http import AnswerUnreadable, HttpAnswer
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest
from ntc_notify.providers.beem import BeemRefused, make_authorization, to_dest_addr
from ntc_notify.providers.sms_beem import (
    ERRORS,
    BeemSmsProvider,
    _entries,
    _understand,
    format_schedule_time,
)
from ntc_notify.registry import SMS_PROVIDERS
from ntc_notify.segments import measure_sms
from ntc_notify.testing import HttpReply, http_peer
from ntc_notify.types import MessageState, Outcome, OutgoingSms

from tests.odd_json import odd_versions

VECTORS = Path(__file__).parent / "vectors" / "beem"
API_KEY, SECRET = "demo-sms-key-01", "ZGVtby1zZWNyZXQtMDE="
PATH_SECRET = "njia-ya-siri-7781"
ASHA, JUMA = "+255712345678", "+255652345678"
DAR = timezone(timedelta(hours=3))
# The sheet's day: its scheduled vector lies ahead of it.
SHEET_DAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def load(name: str) -> list[dict]:
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


def named(rows: list[dict], *, prefix: str = "") -> list:
    return [pytest.param(row, id=row["name"]) for row in rows if row["name"].startswith(prefix)]


def make_provider(base_url: str, **options) -> BeemSmsProvider:
    return BeemSmsProvider(
        **{
            "api_key": API_KEY,
            "secret_key": SECRET,
            "sender_id": "INFO",
            "webhook_secret": PATH_SECRET,
            "sms_base_url": base_url,
            "dlr_base_url": base_url,
            "calls_per_second": None,
            "timeout_seconds": 2.0,
        }
        | options
    )


def make_sms(to: str = ASHA, text: str = "Habari Asha") -> OutgoingSms:
    return OutgoingSms(provider_uid=uuid4(), to=to, text=text)


def taken(request) -> HttpReply:
    """Answer like Beem when every number is good."""
    wanted = len(request.json()["recipients"])
    return HttpReply.json({"successful": True, "request_id": 7, "code": 100, "valid": wanted})


def vector(name: str, *, of: str) -> dict:
    [row] = [row for row in load(of) if row["name"] == name]
    return row


def assert_is_vector(request, expected: dict) -> None:
    """The same method, path, query, headers and bytes; only the host is ours."""
    host, _, target = expected["url"].removeprefix("https://").partition("/")
    assert host.endswith(".beem.africa")
    assert (request.method, request.target) == (expected["method"], f"/{target}")
    for header, value in expected["headers"].items():
        assert request.headers[header.lower()] == value
    assert request.body.decode() == expected.get("body", "")


# What leaves.


@pytest.mark.parametrize("row", load("authorization"), ids=lambda row: row["api_key"])
def test_authorization_is_the_vector(row):
    assert make_authorization(row["api_key"], row["secret_key"]) == row["authorization"]


@pytest.mark.parametrize("row", named(load("segments")))
def test_segments_and_encoding_are_the_vector(row):
    parts = row["text"] if isinstance(row["text"], list) else [row["text"]]
    text = "".join(part if isinstance(part, str) else part[0] * part[1] for part in parts)

    size = measure_sms(text)
    with http_peer(taken) as peer:
        make_provider(peer.base_url).send(make_sms(text=text))

    expected = tuple(row[name] for name in ("characters", "alphabet", "units", "segments"))
    assert (size.characters, size.alphabet, size.units, size.segments) == expected
    [request] = peer.requests
    assert request.json()["encoding"] == row["beem_encoding"]
    assert request.json()["message"] == text


@pytest.mark.parametrize("row", load("phones"), ids=lambda row: repr(row["input"]))
def test_phone_is_the_vector(row):
    if row["expected"] == "error":
        with pytest.raises(ValueError, match="must be written like") as caught:
            to_dest_addr(row["input"])
        assert not row["input"] or row["input"] not in str(caught.value)
    else:
        assert to_dest_addr(row["input"]) == row["expected"]


@pytest.mark.parametrize("phone", ["٠٧١٢٣٤٥٦٧٨", "+", "00", "+0712345678", "0812345678", "7" * 40])
def test_phone_that_only_looks_like_one_is_refused(phone):
    with pytest.raises(ValueError, match="must be written like"):
        to_dest_addr(phone)


def test_one_sms_is_the_vector():
    with http_peer(taken) as peer:
        make_provider(peer.base_url).send(make_sms())

    [request] = peer.requests
    assert_is_vector(request, vector("send one SMS now", of="requests"))


def test_scheduled_sms_is_the_vector():
    name = "scheduled UCS-2 SMS, 10:30 in Dar es Salaam = 07:30 UTC"
    messages = [make_sms(to, "Asante \U0001f64f") for to in (ASHA, JUMA)]
    at = datetime(2026, 12, 1, 10, 30, 59, tzinfo=DAR)

    with time_machine.travel(SHEET_DAY), http_peer(taken) as peer:
        results = make_provider(peer.base_url).send_batch(messages, send_at=at)

    [request] = peer.requests
    assert_is_vector(request, vector(name, of="requests"))
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (datetime(2026, 12, 1, 10, 30), "time zone"),  # noqa: DTZ001 - that is the point
        (SHEET_DAY - timedelta(seconds=1), "ahead"),
        (SHEET_DAY + timedelta(seconds=59), "ahead"),
    ],
)
def test_time_that_beem_would_misread_is_refused_before_anything_leaves(moment, words):
    with time_machine.travel(SHEET_DAY, tick=False), http_peer(taken) as peer:
        with pytest.raises(ValueError, match=words):
            make_provider(peer.base_url).send_batch([make_sms()], send_at=moment)
        assert peer.requests == []


def test_month_is_not_written_as_minutes():
    with time_machine.travel(SHEET_DAY):
        assert format_schedule_time(datetime(2026, 12, 1, 10, 5, tzinfo=DAR)) == "2026-12-01 07:05"


def test_number_of_another_encoding_is_an_option():
    with http_peer(taken) as peer:
        make_provider(peer.base_url, ucs2_encoding=2).send(make_sms(text="façade"))

    assert peer.requests[0].json()["encoding"] == 2


@pytest.mark.parametrize(("to", "text"), [("0712345678x", "Habari"), (ASHA, " \n ")])
def test_what_beem_would_refuse_does_not_leave(to, text):
    with http_peer(taken) as peer:
        result = make_provider(peer.base_url).send(make_sms(to, text))

    assert result.outcome is Outcome.REFUSED
    assert not result.elsewhere
    assert peer.requests == []


# What answers mean.

SENDS = [row for row in load("answers") if not row["name"].startswith(("OTP", "DLR"))]
STATES = {"queued": Outcome.ACCEPTED}


@pytest.mark.parametrize("row", named(SENDS))
def test_answer_to_a_send_is_the_vector(row, caplog):
    reply = HttpReply(status=row["http"], body=row["body"].encode())
    with http_peer(reply) as peer:
        result = make_provider(peer.base_url).send(make_sms())

    expected = row["expected"]
    assert len(peer.requests) == 1
    assert result.outcome is not Outcome.RETRY, "the sheet: none of these is repeated by itself"
    if expected["ok"]:
        assert result.outcome is STATES[expected["sms_state"]]
        assert result.provider_ref == expected.get("request_id", "35918916")
    elif expected["error"] == "outcome_unknown":
        assert result.outcome is Outcome.UNKNOWN
    else:
        assert result.outcome is Outcome.REFUSED
        assert expected["error"] in result.reason
        assert result.elsewhere  # of this account, not of this person
        assert [record.error for record in caplog.records] == [expected["error"]]


@pytest.mark.parametrize("code", [*ERRORS, 103, 124, 999, "x", None, True])
def test_every_code_ends_as_the_sheet_says(code):
    with http_peer(HttpReply.json({"code": code, "message": "…"}, status=400)) as peer:
        result = make_provider(peer.base_url).send(make_sms())

    if code in ERRORS and code is not True:
        assert result.outcome is Outcome.REFUSED
        assert result.elsewhere == (code not in {101, 109, 115})
    else:
        assert result.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {"code": "100", "request_id": "9", "valid": "1"}, Outcome.ACCEPTED),
        (200, {"code": 100, "request_id": 9, "valid": 0, "invalid": 1}, Outcome.REFUSED),
        (200, {"code": 100, "request_id": 9}, Outcome.UNKNOWN),
        (200, {"code": 100, "valid": 1}, Outcome.UNKNOWN),
        (200, {"code": 100, "request_id": True, "valid": 1}, Outcome.UNKNOWN),
        (200, {"code": 100, "request_id": 9, "valid": 1, "successful": False}, Outcome.UNKNOWN),
        (400, {"code": 100, "request_id": 9, "valid": 1}, Outcome.UNKNOWN),
        (500, {"code": 100, "request_id": 9, "valid": 1}, Outcome.UNKNOWN),
        (500, {"code": 101}, Outcome.UNKNOWN),
        (200, {"code": 101}, Outcome.REFUSED),
        (200, {"code": 117}, Outcome.REFUSED),  # success at OTP, an error here
    ],
)
def test_success_needs_the_code_the_count_and_the_status(status, body, outcome):
    with http_peer(HttpReply.json(body, status=status)) as peer:
        result = make_provider(peer.base_url).send(make_sms())

    assert result.outcome is outcome


# Batches.


def test_batch_of_one_text_is_one_request_with_numbers_of_its_own():
    messages = [make_sms(f"+2557{number:08d}", "Karibu") for number in range(1000)]
    with http_peer(taken) as peer:
        results = make_provider(peer.base_url, timeout_seconds=10).send_batch(messages)

    [request] = peer.requests
    recipients = request.json()["recipients"]
    assert [each["recipient_id"] for each in recipients] == list(range(1, 1001))
    assert [f"+{each['dest_addr']}" for each in recipients] == [each.to for each in messages]
    assert len(results) == 1000
    assert {(each.outcome, each.provider_ref) for each in results} == {(Outcome.ACCEPTED, "7")}


def test_more_than_a_thousand_is_refused_before_anything_leaves():
    with http_peer(taken) as peer:
        with pytest.raises(ValueError, match="at most 1000"):
            make_provider(peer.base_url).send_batch([make_sms()] * 1001)
        assert peer.requests == []


def test_each_text_is_one_request_and_each_message_in_one_of_them():
    numbers = [f"+25571234567{digit}" for digit in range(4)]
    messages = [make_sms(number, f"Habari {place % 2}") for place, number in enumerate(numbers)]
    references = iter([{"request_id": 11}, {"request_id": 22}])

    def answer(request):
        return HttpReply.json(next(references) | {"code": 100, "valid": 2})

    with http_peer(answer) as peer:
        results = make_provider(peer.base_url).send_batch(messages)

    assert [each.provider_ref for each in results] == ["11", "22", "11", "22"]
    assert [each.json()["message"] for each in peer.requests] == ["Habari 0", "Habari 1"]


def test_same_number_and_text_twice_is_two_messages():
    """Beem would count the second as a duplicate and drop it."""
    with http_peer(taken) as peer:
        results = make_provider(peer.base_url).send_batch([make_sms(), make_sms(JUMA), make_sms()])

    assert [len(each.json()["recipients"]) for each in peer.requests] == [2, 1]
    assert [each.outcome for each in results] == [Outcome.ACCEPTED] * 3


def test_bad_number_is_refused_here_and_the_others_leave():
    with http_peer(taken) as peer:
        results = make_provider(peer.base_url).send_batch(
            [make_sms(), make_sms("255"), make_sms(JUMA)]
        )

    outcomes = [each.outcome for each in results]
    assert outcomes == [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.ACCEPTED]
    assert len(peer.requests[0].json()["recipients"]) == 2


def test_number_that_beem_refuses_within_a_batch_leaves_all_of_it_unknown():
    """Only counts come back. Its delivery reports tell later, by Beem's reference."""
    reply = HttpReply.json({"code": 100, "request_id": 5, "valid": 1, "invalid": 1})
    with http_peer(reply) as peer:
        results = make_provider(peer.base_url).send_batch([make_sms(), make_sms(JUMA)])

    assert [(each.outcome, each.provider_ref) for each in results] == [(Outcome.UNKNOWN, "5")] * 2
    assert "1 of 2" in results[0].reason


def test_batch_that_one_number_spoiled_is_tried_again_one_by_one():
    with http_peer(HttpReply.json({"code": 101}, status=400)) as peer:
        results = make_provider(peer.base_url).send_batch([make_sms(), make_sms(JUMA)])

    assert [each.outcome for each in results] == [Outcome.RETRY] * 2


@pytest.mark.parametrize(
    ("reply", "first"),
    [
        (HttpReply(status=500), Outcome.UNKNOWN),
        (HttpReply(status=429), Outcome.RETRY),
        (HttpReply.json({"code": 102}), Outcome.REFUSED),
        (HttpReply(breaks="closed"), Outcome.UNKNOWN),
        (HttpReply(breaks="silent"), Outcome.UNKNOWN),
    ],
)
def test_rest_of_a_batch_stays_here_when_beem_has_a_bad_day(reply, first):
    messages = [make_sms(text=f"Habari {number}") for number in range(3)]
    with http_peer(reply) as peer:
        results = make_provider(peer.base_url, timeout_seconds=0.5).send_batch(messages)

    assert [each.outcome for each in results] == [first, Outcome.RETRY, Outcome.RETRY]
    assert len(peer.requests) == 1


def test_refused_text_does_not_hold_up_the_others():
    def answer(request):
        is_bad = request.json()["message"] == "Mbaya"
        return HttpReply.json({"code": 109}, status=400) if is_bad else taken(request)

    with http_peer(answer) as peer:
        results = make_provider(peer.base_url).send_batch([make_sms(text="Mbaya"), make_sms()])

    assert [each.outcome for each in results] == [Outcome.REFUSED, Outcome.ACCEPTED]


def test_batch_that_runs_out_of_time_says_so_of_the_rest():
    """The rate alone would take longer than the deadline; what did not leave is certain."""
    messages = [make_sms(text=f"Habari {number}") for number in range(5)]
    with http_peer(taken) as peer:
        provider = make_provider(peer.base_url, timeout_seconds=1.0, calls_per_second=2)
        results = provider.send_batch(messages)

    assert len(peer.requests) == 2
    assert [each.outcome for each in results] == [Outcome.ACCEPTED] * 2 + [Outcome.RETRY] * 3
    assert "time" in results[-1].reason


def test_our_own_id_may_come_back_in_the_report(provider):
    """Then a message is found whose answer was lost."""
    sms = make_sms()
    with http_peer(HttpReply(breaks="closed")) as peer:
        lost = make_provider(peer.base_url, recipient_ids="uids").send(sms)
    [recipient] = peer.requests[0].json()["recipients"]
    body = {"request_id": 99, **recipient, "Status": "DELIVERED"}

    [receipt] = provider.read_receipts(json.dumps(body).encode())

    assert (lost.outcome, lost.provider_ref) == (Outcome.UNKNOWN, "")
    assert receipt.provider_uid == sms.provider_uid


# Delivery reports.

WORDS = {
    "delivered": MessageState.DELIVERED,
    "failed": MessageState.FAILED,
    "sent": MessageState.ACCEPTED,
    "unchanged": None,
}


def make_webhook(body: str | bytes, *, path: str | None = None) -> WebhookRequest:
    return WebhookRequest(
        method="POST",
        path=path or f"/api/v1/webhooks/notify/beem-{PATH_SECRET}/",
        headers={},
        query={},
        body=body.encode() if isinstance(body, str) else body,
        received_at=datetime.now(UTC),
    )


@pytest.fixture
def provider() -> BeemSmsProvider:
    return make_provider("http://127.0.0.1:1")


@pytest.mark.parametrize("row", named(load("callbacks"), prefix="SMS"))
def test_callback_is_the_vector(provider, row):
    verified = provider.open_webhook(make_webhook(row["body"]))
    [receipt] = provider.read_receipts(row["body"].encode())

    expected = row["expected"]
    assert receipt.state is WORDS[expected["sms_state"]]
    assert receipt.provider_ref == expected["request_id"]
    assert receipt.address == f"+{json.loads(row['body'])['dest_addr']}"
    assert f":{expected['request_id']}:{expected['recipient_id']}:" in verified.dedupe_key
    ack = json.loads(verified.ack.body)
    assert (str(ack["request_id"]), ack["successful"]) == (expected["request_id"], "true")
    assert verified.ack.status == 200


def test_inbound_message_is_no_delivery_report(provider):
    row = vector("two-way inbound", of="callbacks")

    with pytest.raises(PayloadUnreadable):
        provider.open_webhook(make_webhook(row["body"]))
    with pytest.raises(PayloadUnreadable):
        provider.read_receipts(row["body"].encode())


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/webhooks/notify/beem/",
        "/api/v1/webhooks/notify/beem-/",
        "/api/v1/webhooks/notify/beem-guess/",
        f"/api/v1/webhooks/notify/beem-{PATH_SECRET[:-1]}/",
        f"/api/v1/webhooks/notify/beem/?{PATH_SECRET}",
        "/",
    ],
)
def test_callback_by_another_path_is_refused(provider, path):
    body = load("callbacks")[0]["body"]

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(make_webhook(body, path=path))


def test_without_a_secret_no_callback_is_believed():
    provider = make_provider("http://127.0.0.1:1", webhook_secret="")

    assert not provider.capabilities.sends_receipts
    for path in ("/api/v1/webhooks/notify/beem/", "/api/v1/webhooks/notify/beem-/"):
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(make_webhook(load("callbacks")[0]["body"], path=path))


@pytest.mark.parametrize(
    ("word", "state", "reason"),
    [
        ("PENDING", MessageState.ACCEPTED, ""),
        ("retry", MessageState.DEFERRED, ""),
        ("Delivered", MessageState.DELIVERED, ""),
        ("UNDELIVERED", MessageState.FAILED, "Beem: UNDELIVERED"),
        ("FAILED", MessageState.FAILED, "Beem: FAILED"),
        ("EXPIRED", MessageState.FAILED, "Beem: EXPIRED"),
        (" rejected ", MessageState.FAILED, "Beem: REJECTED"),
        ("ROUTED", None, ""),
    ],
)
def test_every_word_of_a_report(provider, word, state, reason):
    body = json.dumps({"request_id": 1, "dest_addr": "255712345678", "status": word}).encode()

    receipts = provider.read_receipts(body)

    assert [(each.state, each.reason) for each in receipts] == ([(state, reason)] if state else [])
    # Kept all the same, for the day somebody knows the word.
    verified = provider.open_webhook(make_webhook(body))
    assert "255712345678" not in verified.dedupe_key


@pytest.mark.parametrize(
    "values",
    [
        {"dest_addr": "255712345678", "status": "DELIVERED"},
        {"request_id": 1, "status": "DELIVERED"},
        {"request_id": 1, "dest_addr": "255712345678"},
        {"request_id": 1, "dest_addr": "255712345678", "status": 1},
        {"request_id": True, "dest_addr": "255712345678", "status": "DELIVERED"},
        {"request_id": 1, "dest_addr": "Asha", "status": "DELIVERED"},
        {"request_id": [1], "dest_addr": "255712345678", "status": "DELIVERED"},
    ],
)
def test_report_without_its_parts_is_unreadable(provider, values):
    with pytest.raises(PayloadUnreadable):
        provider.read_receipts(json.dumps(values).encode())


def test_report_that_two_readers_could_read_differently_is_unreadable(provider):
    body = b'{"request_id":1,"dest_addr":"255712345678","status":"FAILED","status":"DELIVERED"}'

    with pytest.raises(PayloadUnreadable):
        provider.read_receipts(body)


def ask(provider: BeemSmsProvider, address: str = ASHA):
    return provider.query(provider_ref="35918915", provider_uid=uuid4(), address=address)


@pytest.mark.parametrize("row", named(load("answers"), prefix="DLR"))
def test_poll_is_the_vector(row):
    with http_peer(HttpReply(status=row["http"], body=row["body"].encode())) as peer:
        receipt = ask(make_provider(peer.base_url))

    state = WORDS[row["expected"]["sms_state"]]
    assert (receipt and receipt.state) is state
    assert receipt is None or (receipt.provider_ref, receipt.address) == ("35918915", ASHA)
    [request] = peer.requests
    assert_is_vector(request, vector("delivery report poll", of="requests"))


def test_poll_takes_the_entry_of_the_number_that_was_asked_for():
    entries = [
        {"dest_addr": "255652345678", "status": "UNDELIVERED", "request_id": "35918915"},
        {"dest_addr": "255712345678", "status": "DELIVERED", "request_id": "1"},
        "nonsense",
        {"dest_addr": "255712345678", "status": "PENDING", "request_id": 35918915},
    ]
    with http_peer(HttpReply.json(entries)) as peer:
        receipt = ask(make_provider(peer.base_url))

    assert receipt is not None
    assert receipt.state is MessageState.ACCEPTED


def test_poll_without_a_reference_asks_nobody():
    with http_peer(HttpReply.json([])) as peer:
        provider = make_provider(peer.base_url)
        assert provider.query(provider_ref="", provider_uid=uuid4(), address=ASHA) is None

    assert peer.requests == []


def test_poll_that_fails_says_nothing_and_is_noted(caplog):
    caplog.set_level(logging.WARNING)
    with http_peer(HttpReply(status=503)) as peer:
        assert ask(make_provider(peer.base_url)) is None

    assert [record.getMessage() for record in caplog.records] == ["provider.query_failed"]


# The account.


@pytest.mark.parametrize(
    ("value", "amount"), [(5000.5, "5000.5"), ("120.25", "120.25"), (0, "0"), (-3, "-3")]
)
def test_balance_is_the_vector(value, amount):
    with http_peer(HttpReply.json({"data": {"credit_balance": value}})) as peer:
        balance = make_provider(peer.base_url).balance()

    assert (balance.amount, balance.unit) == (Decimal(amount), "SMS credits")
    assert_is_vector(peer.requests[0], vector("SMS balance", of="requests"))


@pytest.mark.parametrize("value", [True, None, "much", "NaN", "1e9", [], {}])
def test_balance_that_is_no_number_is_none(value):
    with (
        http_peer(HttpReply.json({"data": {"credit_balance": value}})) as peer,
        pytest.raises(AnswerUnreadable),
    ):
        make_provider(peer.base_url).balance()


def test_wrong_keys_are_told_by_their_code():
    reply = HttpReply.json({"code": 120, "message": "Invalid api_key"}, status=401)
    with http_peer(reply) as peer, pytest.raises(BeemRefused) as caught:
        make_provider(peer.base_url).balance()

    assert (caught.value.error, caught.value.code) == ("authentication", 120)


def test_sender_names_of_all_pages_and_both_spellings():
    pages = {
        "1": [{"id": 1, "senderid": "FARAJA", "status": "Active", "sample_content": "Habari"}],
        "2": [{"id": "2", "name": "DUKA", "status": "pending"}],
    }

    def answer(request):
        page = request.target.partition("page=")[2][:1]
        return HttpReply.json({"data": pages[page], "pagination": {"totalPages": 2}})

    with http_peer(answer) as peer:
        names = make_provider(peer.base_url).list_sender_names()

    assert [(each.id, each.name, each.status) for each in names] == [
        ("1", "FARAJA", "active"),
        ("2", "DUKA", "pending"),
    ]
    assert len(peer.requests) == 2


def test_sender_name_is_asked_for_once():
    with http_peer(HttpReply.json({"data": {}})) as peer:
        make_provider(peer.base_url).request_sender_name("DUKA", sample="Karibu dukani")

    [request] = peer.requests
    assert (request.method, request.path) == ("POST", "/public/v1/sender-names")
    assert request.json() == {"senderid": "DUKA", "sample_content": "Karibu dukani"}


def test_sender_name_that_exists_is_refused():
    with (
        http_peer(HttpReply.json({"code": 122}, status=409)) as peer,
        pytest.raises(BeemRefused, match="conflict"),
    ):
        make_provider(peer.base_url).request_sender_name("DUKA", sample="Karibu")


# Whatever comes.

ANSWERS = [
    {"successful": True, "request_id": 7, "code": 100, "valid": 1, "invalid": 0, "duplicates": 0},
    {"code": 102, "message": "Insufficient balance"},
    {"data": {"code": 111, "message": "Invalid Sender Id"}},
]
REPORTS = [
    {"request_id": 7, "recipient_id": 1, "dest_addr": "255712345678", "Status": "DELIVERED"},
    [{"dest_addr": "255712345678", "status": "DELIVERED", "request_id": "7"}],
    {"data": [{"dest_addr": "255712345678", "status": "FAILED", "request_id": 7}]},
]


def as_answer(content: object, *, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status=status, headers={}, body=json.dumps(content).encode())


@given(
    st.sampled_from(ANSWERS).flatmap(odd_versions), st.sampled_from([200, 400, 401, 403, 429, 500])
)
def test_no_answer_however_odd_is_a_wrong_outcome(content, status):
    """It is understood, or unreadable, which is unknown; and success needs all its parts."""
    with suppress(AnswerUnreadable):
        result = _understand(as_answer(content, status=status), wanted=1)
        if result.outcome is Outcome.ACCEPTED:
            assert str(content["code"]).strip() == "100"
            assert int(content["valid"]) >= 1
            assert str(content["request_id"]).strip() == result.provider_ref
            assert status == 200
        if result.outcome is Outcome.RETRY:
            assert status == 429


@given(st.sampled_from(REPORTS).flatmap(odd_versions))
def test_no_report_however_odd_breaks_the_reader(content):
    provider = make_provider("http://127.0.0.1:1")
    body = json.dumps(content).encode()

    with suppress(PayloadUnreadable):
        for receipt in provider.read_receipts(body):
            assert receipt.provider_ref
            assert receipt.address.startswith("+")
    with suppress(PayloadUnreadable):
        assert len(provider.open_webhook(make_webhook(body)).event_type) <= 50
    for entry in _entries(as_answer(content)):
        assert isinstance(entry, dict)


# Options.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sender_id": "MORE THAN 11 "}, "sender_id"),
        ({"sender_id": "FARAJA\n"}, "sender_id"),
        ({"sender_id": "+255712345678"}, "sender_id"),
        ({"sender_id": ""}, "sender_id"),
        ({"api_key": "a:b"}, "api_key"),
        ({"secret_key": ""}, "secret_key"),
        ({"webhook_secret": "a/b"}, "webhook_secret"),
        ({"timeout_seconds": 46}, "at most 45"),
        ({"timeout_seconds": 0}, "above 0"),
        ({"calls_per_second": 0}, "above 0"),
        ({"recipient_ids": "hashes"}, "numbers, uids"),
        ({"sms_base_url": "ftp://beem"}, "base URL"),
    ],
)
def test_option_that_cannot_work_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        make_provider("http://127.0.0.1:1", **options)


def test_registry_knows_it_by_name(settings):
    settings.NTC_SMS_PROVIDERS = {
        "beem": {"api_key": "k", "secret_key": "s", "sender_id": "FARAJA"}
    }

    assert isinstance(SMS_PROVIDERS.get("beem"), BeemSmsProvider)
