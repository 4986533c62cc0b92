"""Many people at once: stored in steps, delivered in chunks, run again without harm."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from django.db import connection
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_notify import services
from ntc_notify.models import InboxItem, Message, Notification, make_provider_uid
from ntc_notify.services import BulkRecipient, bulk
from ntc_notify.types import Channel, Outcome, Recipient, SendOutcome, SuppressionReason

from tests import scripted
from tests.people import deliver_receipt, run_now

pytestmark = pytest.mark.django_db


def people(count: int, *, first: int = 0) -> Iterator[BulkRecipient]:
    for number in range(first, first + count):
        yield BulkRecipient(
            to=Recipient(phone_e164=f"+25571{number:07d}"),
            key=str(number),
            context={"title": f"Nambari {number}"},
        )


def send(recipients, **arguments):
    values = {"kind": "news", "recipients": recipients, "batch": "b1", "channels": ["sms"]}
    return services.send_bulk(**values | arguments)


def states() -> Counter[str]:
    return Counter(Message.objects.values_list("state", flat=True))


def test_everybody_gets_their_own_message(sms_company):
    summary = send(people(250))
    run_due_jobs()

    assert (summary.people, summary.messages, summary.skipped) == (250, 250, Counter())
    texts = {sms.to: sms.text for sms in sms_company.received}
    assert len(sms_company.received) == len(texts) == 250
    assert texts["+255710000007"] == "Habari mpya: Nambari 7"
    assert states() == {"accepted": 250}
    assert OutboxJob.objects.filter(task="ntc_notify.deliver_chunk").count() == 3


def test_steps_are_told_as_they_are_stored(sms_company, monkeypatch):
    monkeypatch.setattr(bulk, "STEP_SIZE", 100)
    seen = []

    send(people(250), on_step=lambda summary: seen.append(summary.people))

    assert seen == [100, 200, 250]


def test_recipients_are_read_as_they_are_needed(sms_company, monkeypatch):
    """Of an endless list no more than a step is in memory."""
    monkeypatch.setattr(bulk, "STEP_SIZE", 10)
    read = []

    def endless():
        for person in people(25):
            read.append(person.key)
            yield person
            if len(read) == 25:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(endless())

    assert Notification.objects.count() == 20


def test_same_bulk_again_sends_to_nobody_twice(sms_company):
    send(people(30))
    skipped: list[tuple[str, str]] = []

    again = send(people(40), on_skip=lambda *told: skipped.append(told))
    run_due_jobs()

    assert (again.people, again.skipped) == (10, {"already in this batch": 30})
    assert ("7", "already in this batch") in skipped
    assert len(sms_company.received) == 40


def test_another_batch_is_another_bulk(sms_company):
    for batch in ("b1", "b2"):
        send(people(3), batch=batch)
    run_due_jobs()

    assert len(sms_company.received) == 6
    assert Notification.objects.filter(batch="b2").count() == 3


def test_who_cannot_be_told_is_skipped_and_said_why(sms_company):
    odd = [
        BulkRecipient(to=Recipient(email="a@example.com"), key="no phone", context={"title": "x"}),
        BulkRecipient(to=Recipient(phone_e164="+255712345678"), key="no title"),
        *people(1),
        *people(1),
    ]
    told = {}

    summary = send(odd, on_skip=told.__setitem__)

    assert summary.people == 1
    assert told == {
        "no phone": "The person has no address for sms.",
        "no title": "Context of 'news': missing: title.",
        "0": "twice in this call",
    }


@pytest.mark.parametrize(
    "mistake", [{"kind": "nothing"}, {"batch": ""}, {"batch": "b" * 101}], ids=str
)
def test_mistakes_of_the_caller_store_nothing(sms_company, mistake):
    with pytest.raises((LookupError, ValueError)):
        send(people(3), **mistake)

    assert not Notification.objects.exists()


def test_suppressed_and_unwilling_people_are_left_out(sms_company):
    services.suppress_address(
        channel=Channel.SMS,
        address="+255710000001",
        reason=SuppressionReason.OPTED_OUT,
        source="alpha",
    )
    send(people(5))

    run_due_jobs()

    assert states() == {"accepted": 4, "suppressed": 1}
    assert "+255710000001" not in {sms.to for sms in sms_company.received}


def test_company_that_takes_batches_gets_batches(settings):
    company = scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"], batch_size=40)["alpha"]
    # With a wait: without one it may be due again while the other chunks are still running.
    busy = SendOutcome.retry("busy", after_seconds=600)
    company.answers = [SendOutcome.refused("no such number"), busy]

    send(people(100))
    run_due_jobs()

    assert company.calls == [40, 40, 20]
    assert states() == {"accepted": 98, "failed": 1, "queued": 1}
    run_now()
    assert states() == {"accepted": 99, "failed": 1}
    assert company.calls == [40, 40, 20, 1]


def test_batch_that_breaks_is_held_whole(settings):
    company = scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"], batch_size=40)["alpha"]
    company.answers = [RuntimeError("a bug")]

    send(people(40))
    run_now(3)

    assert states() == {"unknown": 40}
    assert company.calls == [40]


def test_held_messages_of_a_bulk_are_settled_by_receipts(settings):
    company = scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"], batch_size=3)["alpha"]
    company.answers = [SendOutcome.unknown("silence")] * 3
    send(people(3))
    run_due_jobs()
    facts = [{"state": "delivered", "uid": str(sms.provider_uid)} for sms in company.received]

    deliver_receipt("alpha", *facts)
    run_due_jobs()

    assert states() == {"delivered": 3}


def test_broken_row_does_not_hold_up_its_chunk(sms_company):
    """Its facts yield an empty text; the others' do not."""
    recipients = [
        BulkRecipient(to=person.to, key=person.key, context={"text": text})
        for person, text in zip(people(3), ["a", "", "c"], strict=True)
    ]
    send(recipients, kind="blank")
    run_due_jobs()

    assert states() == {"accepted": 2, "queued": 1}


def test_chunk_on_which_too_many_workers_died_is_broken_up(sms_company):
    """One of its messages may be what ends every process; the others have to leave."""
    texts = [BulkRecipient(to=p.to, key=p.key, context={"text": "Mvua"}) for p in people(3)]
    send(texts, kind="alert")
    first = Message.objects.earliest("id")
    attempt = first.attempts.create(provider="alpha", provider_uid=make_provider_uid(first.uid))
    # What the tenth dead worker leaves behind.
    Message.objects.filter(pk=first.pk).update(
        state="sending", provider="alpha", claimed_until=timezone.now()
    )
    chunk = OutboxJob.objects.get()
    OutboxJob.objects.update(state="running", attempts=10, lease_until=timezone.now())

    run_now(3)

    chunk.refresh_from_db()
    assert chunk.state == "parked"
    assert states() == {"accepted": 3}
    assert len(sms_company.received) == 3
    attempt.refresh_from_db()
    assert attempt.outcome == Outcome.UNKNOWN


def test_inbox_takes_a_bulk(monkeypatch):
    users = [make_user() for _ in range(12)]
    recipients = [
        BulkRecipient(to=Recipient(user=user), key=str(user.pk), context={"title": "Bei"})
        for user in users
    ]

    send(recipients, channels=["inapp"])
    run_due_jobs()

    assert set(InboxItem.objects.values_list("user", flat=True)) == {user.pk for user in users}


def test_two_channels_of_a_person_are_two_messages(sms_company, mailbox):
    both = Recipient(phone_e164="+255712345678", email="asha@example.com")

    summary = send(
        [BulkRecipient(to=both, key="1", context={"title": "x"})], channels=["sms", "email"]
    )
    run_due_jobs()

    assert (summary.people, summary.messages) == (1, 2)
    assert Counter(Message.objects.values_list("channel", "state")) == {
        ("sms", "accepted"): 1,
        ("email", "delivered"): 1,
    }


@pytest.mark.django_db(transaction=True)
def test_user_who_is_deleted_while_the_bulk_runs_is_skipped(sms_company):
    """The database refuses the step at its commit; the others are told all the same."""
    users = [make_user(), make_user()]
    type(users[0]).objects.filter(pk=users[0].pk).delete()
    recipients = [
        BulkRecipient(to=Recipient(user=user), key=str(user.pk), context={"title": "Bei"})
        for user in users
    ]

    summary = send(recipients, channels=["inapp"])

    assert summary.people == 1
    assert summary.skipped == {"The user is gone.": 1}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_runs_of_one_bulk_at_once_tell_everybody_once(sms_company):
    """Both store the same people; whoever comes second skips them."""
    summaries = []

    def run():
        try:
            summaries.append(send(people(3000)))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(summary.people for summary in summaries) == 3000
    assert Message.objects.count() == 3000
    assert sum(summary.skipped["already in this batch"] for summary in summaries) == 6000


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_three_workers_on_one_bulk_send_everything_once(sms_company):
    send(people(300))

    def run():
        try:
            run_due_jobs()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({sms.to for sms in sms_company.received}) == len(sms_company.received) == 300
