"""What becomes of a message by what the provider says, with the jobs run one by one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, enqueue_recurring, run_due_jobs
from ntc_notify import services
from ntc_notify.errors import ContentGone
from ntc_notify.models import DeliveryAttempt, Message
from ntc_notify.providers.mailbox import read_mailbox
from ntc_notify.signals import message_delivered, message_failed
from ntc_notify.types import MessageState, Outcome, SendOutcome

from tests.people import (
    ASHA_BY_EMAIL,
    PHONE,
    send_code_by_sms,
    send_receipt,
    send_receipt_by_sms,
)
from tests.project import CODES
from tests.smtp_server import run_smtp

pytestmark = pytest.mark.django_db

RETRY = SendOutcome.retry("busy")
UNKNOWN = SendOutcome.unknown("silence")
REFUSED = SendOutcome.refused("no such number")
NOT_HERE = SendOutcome.refused("this account may not", elsewhere=True)


@pytest.fixture
def heard():
    """Collect what the signals told, as (state, uid)."""
    told = []

    def listen(message, **_):
        told.append((message.state, message.uid))

    message_delivered.connect(listen)
    message_failed.connect(listen)
    yield told
    message_delivered.disconnect(listen)
    message_failed.disconnect(listen)


@pytest.fixture
def code():
    CODES["c1"] = "481516"
    return "481516"


def run_now(times: int = 1) -> None:
    """Run what is due, and what is only waiting for its time, so many times over."""
    for _ in range(times):
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()


def state_of(message: Message) -> str:
    return Message.objects.get(pk=message.pk).state


def outcomes(message: Message) -> list[tuple[str, str]]:
    return list(message.attempts.values_list("provider", "outcome"))


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


def test_refusal_for_good_ends_the_message_without_asking_another_provider(sms_companies, heard):
    sms_companies["alpha"].answers = [SendOutcome.refused(f"{PHONE} is no number")]
    message = send_receipt_by_sms()

    run_now(3)

    assert state_of(message) == MessageState.FAILED
    assert sms_companies["beta"].received == []
    assert heard == [(MessageState.FAILED, message.uid)]
    message.refresh_from_db()
    assert message.error == "+2557****678 is no number"


def test_provider_that_may_not_send_it_is_replaced_by_the_next(sms_companies):
    sms_companies["alpha"].answers = [NOT_HERE]
    message = send_receipt_by_sms()

    run_now(2)

    assert outcomes(message) == [("alpha", Outcome.REFUSED), ("beta", Outcome.ACCEPTED)]
    ids = message.attempts.values_list("provider_uid", flat=True)
    assert len(set(ids)) == 2


def test_message_fails_when_every_provider_has_refused_it(sms_companies, heard):
    sms_companies["alpha"].answers = [NOT_HERE]
    sms_companies["beta"].answers = [NOT_HERE]
    message = send_receipt_by_sms()

    run_now(3)

    assert state_of(message) == MessageState.FAILED
    assert heard == [(MessageState.FAILED, message.uid)]


def test_busy_provider_is_followed_by_the_next_at_once_and_then_by_the_first_again(sms_companies):
    sms_companies["alpha"].answers = [RETRY]
    sms_companies["beta"].answers = [RETRY]
    message = send_receipt_by_sms()

    run_now(3)

    assert outcomes(message) == [
        ("alpha", Outcome.RETRY),
        ("beta", Outcome.RETRY),
        ("alpha", Outcome.ACCEPTED),
    ]


def test_next_provider_is_not_waited_for_but_the_next_round_is(sms_companies):
    sms_companies["alpha"].answers = [SendOutcome.retry("busy", after_seconds=300)]
    sms_companies["beta"].answers = [SendOutcome.retry("busy", after_seconds=300)]
    send_receipt_by_sms()

    run_due_jobs()
    first = seconds_until_the_job()
    run_now()
    second = seconds_until_the_job()

    assert first <= 2
    assert 290 < second <= 300


def seconds_until_the_job() -> float:
    job = OutboxJob.objects.get(task="ntc_notify.deliver_message")
    return (job.run_at - timezone.now()).total_seconds()


def test_waits_grow_with_full_jitter_up_to_a_quarter_of_an_hour(sms_company):
    sms_company.answers = [RETRY] * 20
    send_receipt_by_sms()
    waits = []
    for _ in range(20):
        run_now()
        waits.append(seconds_until_the_job())

    for number, wait in enumerate(waits):
        assert wait <= min(2 * 2**number, 900) + 1
    assert len({round(wait, 2) for wait in waits}) > 10


def test_next_try_that_would_be_too_late_is_not_waited_for(sms_company, code, heard):
    sms_company.answers = [SendOutcome.retry("busy", after_seconds=3600)]
    message = send_code_by_sms()

    run_due_jobs()

    assert state_of(message) == MessageState.EXPIRED
    assert heard == [(MessageState.EXPIRED, message.uid)]


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


def test_receipt_whose_fate_is_unknown_is_held(sms_company, heard):
    sms_company.answers = [UNKNOWN]
    message = send_receipt_by_sms()

    run_now(3)

    assert len(sms_company.received) == 1
    assert state_of(message) == MessageState.UNKNOWN
    assert heard == []
    assert not OutboxJob.objects.filter(state="queued").exists()


def test_code_whose_fate_is_unknown_is_sent_again_once_under_the_same_id(sms_companies, code):
    sms_companies["alpha"].answers = [UNKNOWN, UNKNOWN, UNKNOWN]
    message = send_code_by_sms()

    run_now(5)

    first, second = sms_companies["alpha"].received
    assert first.provider_uid == second.provider_uid
    assert sms_companies["beta"].received == []
    assert state_of(message) == MessageState.UNKNOWN


def test_second_copy_that_is_accepted_settles_the_message(sms_company, code):
    sms_company.answers = [UNKNOWN]
    message = send_code_by_sms()

    run_now(2)

    assert outcomes(message) == [("alpha", Outcome.UNKNOWN), ("alpha", Outcome.ACCEPTED)]
    assert state_of(message) == MessageState.ACCEPTED


def test_message_that_perhaps_arrived_does_not_expire_but_stays_unknown(sms_company, code, heard):
    sms_company.answers = [UNKNOWN]
    message = send_code_by_sms()
    run_due_jobs()
    Message.objects.update(expires_at=Now())

    run_now()

    assert state_of(message) == MessageState.UNKNOWN
    assert heard == []


def test_provider_whose_code_breaks_may_have_sent_it(sms_company, caplog):
    sms_company.answers = [ValueError(f"cannot send to {PHONE}")]
    message = send_receipt_by_sms()

    run_now(2)

    assert state_of(message) == MessageState.UNKNOWN
    assert len(sms_company.received) == 1
    assert any(record.message == "provider.broken" for record in caplog.records)
    assert PHONE not in str([vars(record) for record in caplog.records])


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


def test_provider_that_cannot_be_built_does_not_touch_the_message(settings):
    settings.NTC_SMS_PROVIDERS = {"broken": {"class": "no.such.Class"}}
    message = send_receipt_by_sms()

    run_due_jobs()

    assert state_of(message) == MessageState.QUEUED
    assert outcomes(message) == []
    assert "no.such.Class" in OutboxJob.objects.get().last_error


def test_message_whose_channel_lost_all_its_providers_fails(sms_company, settings, heard):
    message = send_receipt_by_sms()
    settings.NTC_SMS_PROVIDERS = {}

    run_due_jobs()

    assert state_of(message) == MessageState.FAILED
    assert heard == [(MessageState.FAILED, message.uid)]


def test_provider_taken_out_after_an_unknown_outcome_leaves_the_next(settings, code, sms_companies):
    sms_companies["alpha"].answers = [UNKNOWN]
    message = send_code_by_sms()
    run_due_jobs()
    settings.NTC_SMS_PROVIDERS = {"beta": settings.NTC_SMS_PROVIDERS["beta"]}

    run_now()

    assert outcomes(message) == [("alpha", Outcome.UNKNOWN), ("beta", Outcome.ACCEPTED)]
    ids = set(message.attempts.values_list("provider_uid", flat=True))
    assert len(ids) == 2


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
            type(ASHA_BY_EMAIL)(email=f"{name}@example.com"), channels=["email"]
        ).messages.get()
        run_due_jobs()

    assert state_of(message) == state
    assert len(server.emails) == arrived
    if arrived:
        provider_uid = message.attempts.get().provider_uid
        assert server.emails[0]["Message-ID"] == f"<{provider_uid}@farajayangu.example>"
    assert f"{name}@" not in message.attempts.get().error
