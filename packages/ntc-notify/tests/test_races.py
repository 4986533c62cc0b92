"""Many workers, dying workers, slow workers: nobody gets two messages, nobody's is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.db.models.signals import post_save
from ntc_core.outbox import RetryLater
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_notify import services
from ntc_notify.models import DeliveryAttempt, Message, Notification, Preference
from ntc_notify.types import MessageState, Outcome, Recipient, SendOutcome

from tests.people import (
    ASHA_BY_SMS,
    count_rows,
    send_code_by_sms,
    send_receipt,
    send_receipt_by_sms,
)
from tests.project import CODES
from tests.smtp_server import run_smtp

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[1]


@pytest.fixture
def smtp(settings):
    with run_smtp() as server:
        settings.NTC_EMAIL_PROVIDERS = {
            "smtp": {"host": "127.0.0.1", "port": server.port, "security": "none"}
        }
        yield server


def in_threads(count: int, work) -> list[BaseException]:
    """Run `work` in that many threads at once; return what they raised."""
    barrier = threading.Barrier(count)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            barrier.wait(timeout=10)
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return raised


def send_email_to(name: str, **arguments) -> Message:
    to = Recipient(email=f"{name}@example.com")
    return send_receipt(to, channels=["email"], **arguments).messages.get()


@pytest.mark.postgres
def test_parallel_deliveries_of_one_message_are_one_email(smtp):
    message = send_email_to("slowish")

    raised = in_threads(4, lambda: services.deliver(message.pk))

    assert len(smtp.emails) == 1
    message.refresh_from_db()
    assert message.state == MessageState.ACCEPTED
    assert message.attempts.count() == 1
    # Those who came second look again later, for the first may be dying.
    assert {type(error) for error in raised} == {RetryLater}


@pytest.mark.postgres
def test_many_workers_send_every_message_once(smtp):
    for number in range(40):
        send_email_to(f"person{number}")

    raised = in_threads(4, run_due_jobs)

    assert raised == []
    arrived = Counter(envelope.rcpt_tos[0] for envelope in smtp.handler.envelopes)
    assert len(arrived) == 40
    assert set(arrived.values()) == {1}
    assert set(Message.objects.values_list("state", flat=True)) == {MessageState.ACCEPTED}
    assert DeliveryAttempt.objects.count() == 40


@pytest.mark.postgres
def test_parallel_calls_of_send_with_one_key_make_one_notification(mailbox):
    raised = in_threads(6, lambda: send_receipt(ASHA_BY_SMS, dedupe_key="receipt:1"))

    assert raised == []
    assert Notification.objects.count() == 1
    assert Message.objects.count() == 1
    assert OutboxJob.objects.count() == 1


@pytest.mark.postgres
def test_parallel_preferences_in_any_order_do_not_wait_for_each_other(settings):
    kinds = [f"news{number}" for number in range(8)]
    settings.NTC_NOTIFY_KINDS = {name: {"channels": ["sms"], "marketing": True} for name in kinds}
    user = make_user()

    def set_all() -> None:
        for _ in range(20):
            order = random.sample(kinds, len(kinds))
            wanted = [{"kind": name, "channel": "sms", "is_on": True} for name in order]
            services.set_preferences(user=user, wanted=wanted)

    assert in_threads(4, set_all) == []
    assert Preference.objects.count() == len(kinds)


def test_send_that_fails_half_way_leaves_nothing_even_without_a_transaction_around_it(mailbox):
    def refuse_the_second(instance, **_):
        if instance.channel == "email":
            raise RuntimeError("the database went away")

    post_save.connect(refuse_the_second, sender=Message)
    try:
        with pytest.raises(RuntimeError):
            send_receipt()
    finally:
        post_save.disconnect(refuse_the_second, sender=Message)

    assert count_rows() == (0, 0, 0, 0)


@pytest.fixture
def worker(smtp):
    """Start worker processes; whatever happens, they end with the test."""
    started = []

    def start() -> subprocess.Popen:
        database = str(connection.settings_dict["NAME"])
        command = [sys.executable, "-m", "tests.worker", database, str(smtp.port)]
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def kill_while_it_waits(worker, smtp) -> None:
    """Kill -9 the worker in the middle of its call to the server."""
    process = worker()
    assert smtp.handler.stalled.wait(timeout=30)
    process.send_signal(signal.SIGKILL)
    process.wait()


def let_leases_run_out() -> None:
    past = Now() - timedelta(seconds=1)
    OutboxJob.objects.filter(state="running").update(lease_until=past)
    Message.objects.filter(state=MessageState.SENDING).update(claimed_until=past)


@pytest.mark.parametrize(("moment", "arrived"), [("stall-before", 0), ("stall-after", 1)])
def test_receipt_of_a_worker_that_was_killed_is_held(smtp, worker, moment, arrived):
    """Whether the server had it or not, from here it looks the same."""
    message = send_email_to(moment)
    kill_while_it_waits(worker, smtp)
    assert Message.objects.get().state == MessageState.SENDING
    assert message.attempts.get().outcome == Outcome.OPEN

    run_due_jobs()
    assert Message.objects.get().state == MessageState.SENDING, "its lease still runs"

    let_leases_run_out()
    run_due_jobs()

    assert Message.objects.get().state == MessageState.UNKNOWN
    assert message.attempts.get().outcome == Outcome.UNKNOWN
    assert len(smtp.emails) == arrived


@pytest.mark.parametrize(("moment", "copies"), [("stall-before", 1), ("stall-after", 2)])
def test_code_of_a_worker_that_was_killed_is_sent_again_under_the_same_id(
    smtp, worker, moment, copies
):
    CODES["c1"] = "481516"
    message = send_email_to(
        moment, kind="verification_code", context={"challenge_uid": "c1", "minutes": 10}
    )
    kill_while_it_waits(worker, smtp)

    let_leases_run_out()
    for _ in range(2):
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()

    assert Message.objects.get().state == MessageState.ACCEPTED
    assert list(message.attempts.values_list("outcome", flat=True)) == [
        Outcome.UNKNOWN,
        Outcome.ACCEPTED,
    ]
    assert len(smtp.emails) == copies
    assert len({email["Message-ID"] for email in smtp.emails}) == 1


def take_over(message: Message) -> None:
    """Do what another worker does that finds the message after its claim ran out."""
    Message.objects.update(claimed_until=Now() - timedelta(seconds=1))
    services.deliver(message.pk)


@pytest.mark.parametrize("state", [MessageState.ACCEPTED, MessageState.DELIVERED])
def test_answer_that_comes_after_the_worker_was_given_up_still_counts(sms_company, state):
    message = send_receipt_by_sms()

    def answer_late(sms):
        take_over(message)
        assert Message.objects.get().state == MessageState.UNKNOWN
        return SendOutcome.accepted(provider_ref="1", delivered=state == MessageState.DELIVERED)

    sms_company.answers = [answer_late]
    services.deliver(message.pk)

    assert Message.objects.get().state == state
    assert message.attempts.get().outcome == state


def test_late_answer_stops_the_second_copy(sms_company):
    CODES["c1"] = "481516"
    message = send_code_by_sms()

    def answer_late(sms):
        with pytest.raises(RetryLater):
            take_over(message)
        assert Message.objects.get().state == MessageState.QUEUED
        return SendOutcome.accepted(provider_ref="1")

    sms_company.answers = [answer_late]
    services.deliver(message.pk)
    services.deliver(message.pk)

    assert Message.objects.get().state == MessageState.ACCEPTED
    assert len(sms_company.received) == 1


def test_late_refusal_is_recorded_but_moves_nothing(sms_company):
    message = send_receipt_by_sms()

    def answer_late(sms):
        take_over(message)
        return SendOutcome.retry("busy")

    sms_company.answers = [answer_late]
    services.deliver(message.pk)

    assert Message.objects.get().state == MessageState.UNKNOWN
    assert message.attempts.get().outcome == Outcome.RETRY


def test_late_refusal_does_not_touch_the_second_copy_on_its_way(sms_company):
    CODES["c1"] = "481516"
    message = send_code_by_sms()

    def answer_late(sms):
        with pytest.raises(RetryLater):
            take_over(message)
        message.attempts.create(provider="alpha", provider_uid=sms.provider_uid)
        Message.objects.update(state=MessageState.SENDING)
        return SendOutcome.refused("no such number")

    sms_company.answers = [answer_late]
    services.deliver(message.pk)

    assert Message.objects.get().state == MessageState.SENDING
    assert [attempt.outcome for attempt in message.attempts.all()] == [
        Outcome.REFUSED,
        Outcome.OPEN,
    ]


def test_living_worker_is_left_alone(sms_company):
    message = send_receipt_by_sms()

    def look(sms):
        with pytest.raises(RetryLater):
            services.deliver(message.pk)
        return SendOutcome.accepted(provider_ref="1")

    sms_company.answers = [look]
    services.deliver(message.pk)

    assert len(sms_company.received) == 1
    assert Message.objects.get().state == MessageState.ACCEPTED
