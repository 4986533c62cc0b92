"""The whole road over Beem: queued, sent over HTTP, reported over HTTP, told to the project."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request

import pytest
from ntc_core.webhooks.models import WebhookEvent
from ntc_notify.models import Message
from ntc_notify.services import BulkRecipient, query_attempt, send_bulk
from ntc_notify.testing import running_simulator
from ntc_notify.types import MessageState, Recipient

from tests.people import FACTS, run_now, send_code_by_sms, send_receipt, state_of

pytestmark = pytest.mark.django_db(transaction=True)

PATH_SECRET = "njia-ya-siri-7781"


@pytest.fixture(scope="module")
def company():
    with running_simulator() as running:
        yield running


@pytest.fixture
def simulator(company, settings):
    """Be the only SMS provider, and report to nobody."""
    company.turn_dial()
    company.set_credits(1000)
    company.report_to("")
    settings.NTC_WEBHOOK_PATH_SECRET = PATH_SECRET
    settings.NTC_SMS_PROVIDERS = {"beem": configure(company)}
    return company


@pytest.fixture
def reporting(simulator, live_server):
    """Report to this service. Who asks for it waits for every report: one that comes in
    later would meet the database being emptied."""
    simulator.report_to(f"{live_server.url}/api/v1/webhooks/notify/beem-{PATH_SECRET}/")
    return simulator


def configure(company, **options) -> dict:
    return company.sms_options(webhook_secret=PATH_SECRET, timeout_seconds=5.0, **options)


def send_to(number: str) -> Message:
    return send_receipt(Recipient(phone_e164=number)).messages.get()


def wait_for_reports(count: int) -> None:
    """Wait until the inbox has stored so many; they come from another process."""
    waiting = threading.Event()
    for _ in range(400):
        if WebhookEvent.objects.count() >= count:
            return
        waiting.wait(0.05)
    pytest.fail(f"{count} reports were expected, {WebhookEvent.objects.count()} were stored.")


@pytest.mark.parametrize(
    ("number", "reports", "end"),
    [
        ("+255712345678", 1, (MessageState.DELIVERED, "")),
        ("+255712345691", 1, (MessageState.FAILED, "Beem: UNDELIVERED")),
        ("+255712345695", 2, (MessageState.DELIVERED, "")),
        ("+255712345696", 2, (MessageState.DELIVERED, "")),
    ],
)
def test_report_ends_a_message(reporting, heard, number, reports, end):
    message = send_to(number)
    run_now()
    # Beem may be quick: then the same run acts upon its report.
    assert state_of(message) in {MessageState.ACCEPTED, end[0]}

    wait_for_reports(reports)
    run_now(2)

    message.refresh_from_db()
    assert (message.state, message.error) == end
    assert [told for told, _ in heard] == [end[0]]


def test_report_that_comes_twice_changes_nothing(reporting, heard):
    reporting.turn_dial(callback="duplicate")
    message = send_to("+255712345678")
    run_now()
    reporting.wait_for(lambda messages: messages[-1]["reported"] == 2)

    run_now(2)

    assert state_of(message) == MessageState.DELIVERED
    assert WebhookEvent.objects.count() == 1
    assert len(heard) == 1


def test_report_by_a_path_without_the_secret_is_nobodys(simulator, live_server):
    for end in ("beem", "beem-guess"):
        request = urllib.request.Request(
            f"{live_server.url}/api/v1/webhooks/notify/{end}/", data=b"{}", method="POST"
        )
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(request, timeout=10)

    assert not WebhookEvent.objects.exists()


def test_message_whose_report_was_lost_is_asked_about(simulator):
    message = send_to("+255712345678")
    run_now()
    simulator.wait_for(lambda messages: messages[-1]["status"] == "DELIVERED")

    query_attempt(message.attempts.get().pk)

    assert state_of(message) == MessageState.DELIVERED


def test_bulk_of_one_text_is_one_request_with_a_result_for_each(reporting):
    before = len(reporting.messages())
    people = [
        # 00 to 29: none of them has a story of its own but the last.
        BulkRecipient(
            to=Recipient(phone_e164=f"+2557123457{91 if number == 29 else number:02d}"),
            key=str(number),
            context=FACTS,
        )
        for number in range(30)
    ]
    send_bulk(kind="receipt", recipients=people, batch="tangazo", channels=["sms"])

    run_now()
    wait_for_reports(30)
    run_now(2)

    sent = reporting.messages()[before:]
    assert len(sent) == 30
    assert len({each["request_id"] for each in sent}) == 1
    states = sorted(Message.objects.values_list("state", flat=True))
    assert states == [MessageState.DELIVERED] * 29 + [MessageState.FAILED]


def test_receipt_whose_answer_was_lost_is_held_and_never_sent_again(simulator):
    before = len(simulator.messages())
    simulator.turn_dial(send="cut_after")
    message = send_to("+255712345678")

    run_now(4)

    assert state_of(message) == MessageState.UNKNOWN
    assert len(simulator.messages()) == before + 1


def test_receipt_whose_answer_was_lost_is_found_by_our_id_in_the_report(reporting, settings):
    settings.NTC_SMS_PROVIDERS = {"beem": configure(reporting, recipient_ids="uids")}
    before = len(reporting.messages())
    reporting.turn_dial(send="cut_after")
    message = send_to("+255712345678")
    run_now()
    assert state_of(message) == MessageState.UNKNOWN

    wait_for_reports(1)
    run_now(2)

    assert state_of(message) == MessageState.DELIVERED
    assert len(reporting.messages()) == before + 1


def test_code_whose_answer_was_lost_is_sent_once_more(simulator, code):
    before = len(simulator.messages())
    simulator.turn_dial(send="cut_after", times=1)
    message = send_code_by_sms()

    run_now(3)

    assert len(simulator.messages()) == before + 2
    assert state_of(message) in {MessageState.ACCEPTED, MessageState.DELIVERED}


def test_busy_beem_is_asked_again_and_has_one_message(simulator):
    before = len(simulator.messages())
    simulator.turn_dial(send="busy", times=2)
    message = send_to("+255712345678")

    run_now(4)

    assert state_of(message) in {MessageState.ACCEPTED, MessageState.DELIVERED}
    assert len(simulator.messages()) == before + 1


def test_logs_of_the_whole_road_name_nobody(reporting, caplog):
    caplog.set_level("DEBUG")
    for number in ("+255712345678", "+255712345691"):
        send_to(number)
    reporting.turn_dial(send="html", times=1)
    run_now()
    wait_for_reports(2)
    run_now(2)

    lines = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "message.tried" in lines
    for hidden in ("255712345678", "255712345691", "tumepokea", reporting.keys["BEEM_SECRET_KEY"]):
        assert hidden not in lines
