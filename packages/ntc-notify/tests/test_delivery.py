"""From the queue to the provider and the signals, with the jobs run one by one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import enqueue_recurring, run_due_jobs
from ntc_notify import services
from ntc_notify.errors import ContentGone
from ntc_notify.models import DeliveryAttempt, Message
from ntc_notify.providers.mailbox import read_mailbox
from ntc_notify.signals import message_delivered
from ntc_notify.types import MessageState, Outcome, Recipient, SendOutcome

from tests.people import (
    ASHA_BY_EMAIL,
    PHONE,
    outcomes,
    run_now,
    send_code_by_sms,
    send_receipt,
    send_receipt_by_sms,
    state_of,
)
from tests.project import CODES
from tests.smtp_server import run_smtp

pytestmark = pytest.mark.django_db


def test_message_is_rendered_and_handed_over(sms_company):
    message = send_receipt_by_sms()

    run_due_jobs()

    (sms,) = sms_company.received
    assert sms.to == PHONE
    assert sms.text == "Habari Asha, tumepokea TZS 5,000. Kumbukumbu: R-1."
    message.refresh_from_db()
    assert message.state == MessageState.ACCEPTED
    assert (message.provider, message.segments, message.error) == ("alpha", 1, "")
    assert message.claimed_until is None
    attempt = message.attempts.get()
    assert attempt.outcome == Outcome.ACCEPTED
    assert attempt.provider_uid == sms.provider_uid
    assert attempt.provider_ref == "ref-1"
    assert attempt.finished_at is not None
    assert str(attempt) == f"alpha {sms.provider_uid}"


def test_attempt_and_claim_are_in_the_database_before_the_call(sms_company):
    seen = {}

    def look(sms):
        attempt = DeliveryAttempt.objects.get(provider_uid=sms.provider_uid)
        seen.update(outcome=attempt.outcome, state=attempt.message.state)
        return SendOutcome.accepted(provider_ref="1")

    sms_company.answers = [look]
    send_receipt_by_sms()
    run_due_jobs()

    assert seen == {"outcome": Outcome.OPEN, "state": MessageState.SENDING}


def test_email_has_its_sender_and_subject(mailbox):
    send_receipt(ASHA_BY_EMAIL, language="en")

    run_due_jobs()

    (kept,) = read_mailbox(mailbox)
    assert kept.subject == "Receipt for TZS 5,000"
    assert kept.body.startswith("Hello Asha,")
    assert Message.objects.get().segments is None


def test_arrival_is_announced_once(mailbox, heard):
    message = send_receipt_by_sms()

    run_now(3)

    assert heard == [(MessageState.DELIVERED, message.uid)]


def test_receiver_that_raises_is_asked_again(mailbox, heard):
    problems = [RuntimeError("not yet")]

    def stumble(**_):
        if problems:
            raise problems.pop()

    message_delivered.connect(stumble)
    try:
        send_receipt_by_sms()
        run_now(3)
    finally:
        message_delivered.disconnect(stumble)

    assert not problems
    # The first listener was called twice, but what it wrote the first time was rolled back.
    assert len(heard) == 2


def test_acceptance_is_not_yet_arrival(sms_company, heard):
    send_receipt_by_sms()
    run_now(2)

    assert heard == []


def test_expired_code_is_never_sent(sms_company, code, heard):
    message = send_code_by_sms()
    Message.objects.update(expires_at=Now())

    run_due_jobs()

    assert sms_company.received == []
    assert state_of(message) == MessageState.EXPIRED
    assert heard == [(MessageState.EXPIRED, message.uid)]


def test_code_that_expires_while_it_is_rendered_is_not_sent_either(sms_company):
    def dawdle() -> str:
        Message.objects.update(expires_at=Now())
        return "481516"

    CODES["c1"] = dawdle
    message = send_code_by_sms()
    run_due_jobs()

    assert sms_company.received == []
    assert state_of(message) == MessageState.QUEUED

    run_now()

    assert sms_company.received == []
    assert state_of(message) == MessageState.EXPIRED


def test_message_that_another_worker_took_meanwhile_is_not_canceled(sms_company, caplog):
    def lose() -> str:
        Message.objects.update(state=MessageState.ACCEPTED)
        raise ContentGone

    CODES["c1"] = lose
    message = send_code_by_sms()

    services.deliver(message.pk)

    assert state_of(message) == MessageState.ACCEPTED
    assert not [record for record in caplog.records if record.message == "message.ended"]


def test_code_is_read_when_it_is_sent_and_stored_nowhere(sms_company, code):
    message = send_code_by_sms()
    run_due_jobs()

    assert sms_company.received[0].text == (
        "Namba yako ya uthibitisho ni 481516. Inaisha baada ya dakika 10."
    )
    rows = [message, message.notification, message.attempts.get(), *OutboxJob.objects.all()]
    for row in rows:
        row.refresh_from_db()
        assert "481516" not in str(vars(row))


def test_code_that_was_used_meanwhile_is_not_sent(sms_company, heard):
    message = send_code_by_sms()

    run_now(2)

    assert sms_company.received == []
    assert state_of(message) == MessageState.CANCELED
    assert heard == []


def test_broken_template_does_not_touch_the_message_and_is_tried_again(
    sms_company, settings, tmp_path
):
    message = send_receipt_by_sms()
    broken = tmp_path / "ntc_notify" / "receipt" / "sms.sw.txt"
    broken.parent.mkdir(parents=True)
    broken.write_text("{% if %}")
    good = settings.TEMPLATES
    settings.TEMPLATES = [{**good[0], "DIRS": [tmp_path, *good[0]["DIRS"]]}]
    run_due_jobs()

    assert state_of(message) == MessageState.QUEUED
    assert outcomes(message) == []

    settings.TEMPLATES = good
    run_now()

    assert state_of(message) == MessageState.ACCEPTED


def test_overdue_messages_are_closed_even_when_nothing_can_try_them(heard):
    message = send_receipt_by_sms()
    fresh = send_receipt_by_sms()
    OutboxJob.objects.update(state="parked")
    Message.objects.filter(pk=message.pk).update(expires_at=Now())

    enqueue_recurring()
    run_due_jobs()

    assert state_of(message) == MessageState.EXPIRED
    assert state_of(fresh) == MessageState.QUEUED
    assert heard == [(MessageState.EXPIRED, message.uid)]


def test_message_that_somebody_is_sending_is_not_closed_as_overdue(sms_company):
    def expire(sms):
        Message.objects.update(expires_at=Now() - timedelta(hours=1))
        assert services.expire_overdue() == 0
        return SendOutcome.accepted(provider_ref="1")

    sms_company.answers = [expire]
    message = send_receipt_by_sms()
    run_due_jobs()

    assert state_of(message) == MessageState.ACCEPTED


def test_row_that_is_gone_is_nobodys_problem(sms_company):
    send_receipt_by_sms().notification.delete()

    run_due_jobs()
    services.announce(1, MessageState.DELIVERED)

    assert sms_company.received == []
    assert set(OutboxJob.objects.values_list("state", flat=True)) == {"done"}


def test_job_that_is_run_again_after_the_end_sends_nothing(sms_company):
    message = send_receipt_by_sms()
    run_due_jobs()

    services.deliver(message.pk)

    assert len(sms_company.received) == 1


@pytest.mark.parametrize(
    ("name", "state", "arrived"),
    [
        ("asha", MessageState.ACCEPTED, 1),
        ("unknown-user", MessageState.FAILED, 0),
        ("greylisted", MessageState.QUEUED, 0),
        ("busy", MessageState.QUEUED, 0),
        ("lost", MessageState.UNKNOWN, 1),
    ],
)
def test_email_over_a_real_server_ends_in_the_right_state(settings, name, state, arrived):
    with run_smtp() as server:
        settings.NTC_EMAIL_PROVIDERS = {
            "smtp": {"host": "127.0.0.1", "port": server.port, "security": "none"}
        }
        message = send_receipt(
            Recipient(email=f"{name}@example.com"), channels=["email"]
        ).messages.get()
        run_due_jobs()

    assert state_of(message) == state
    assert len(server.emails) == arrived
    if arrived:
        provider_uid = message.attempts.get().provider_uid
        assert server.emails[0]["Message-ID"] == f"<{provider_uid}@farajayangu.example>"
    assert f"{name}@" not in message.attempts.get().error
