"""What follows from what a provider says: failover, waiting, holding, sending again."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_notify.models import Message
from ntc_notify.types import MessageState, Outcome, SendOutcome

from tests.people import (
    PHONE,
    outcomes,
    run_now,
    send_code_by_sms,
    send_receipt_by_sms,
    state_of,
)

pytestmark = pytest.mark.django_db

RETRY = SendOutcome.retry("busy")
UNKNOWN = SendOutcome.unknown("silence")
NOT_HERE = SendOutcome.refused("this account may not", elsewhere=True)


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


def test_second_copy_says_when_the_first_was_sent(sms_company, code):
    """Companies that know a repeated call by its id compare that time too."""
    sms_company.answers = [UNKNOWN]
    message = send_code_by_sms()

    run_now(2)

    first, second = sms_company.received
    assert first.provider_uid == second.provider_uid
    assert first.first_sent_at is None
    assert second.first_sent_at == message.attempts.first().created_at
