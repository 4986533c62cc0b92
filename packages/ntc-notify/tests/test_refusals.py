"""Who is not sent anything: suppressed addresses, people who said no, sleeping people."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_notify import services
from ntc_notify.conf import get_kind
from ntc_notify.errors import InvalidRecipient, UnknownKind
from ntc_notify.models import InboxItem, Message, Preference, Suppression, hash_address
from ntc_notify.providers.mailbox import read_mailbox
from ntc_notify.quiet_hours import find_end_of_quiet
from ntc_notify.services.suppressing import find_refusals
from ntc_notify.types import Channel, MessageState, Recipient, SendOutcome, SuppressionReason
from ntc_notify.unsubscribe import make_token, read_token

from tests.people import (
    ASHA_BY_EMAIL,
    EMAIL,
    PHONE,
    run_now,
    send_alert,
    send_news,
    send_receipt_by_sms,
    state_of,
)

pytestmark = pytest.mark.django_db


def suppress(**changes):
    values = {
        "channel": Channel.SMS,
        "address": PHONE,
        "reason": SuppressionReason.MANUAL,
        "source": "staff",
    }
    return services.suppress_address(**values | changes)


def test_suppressed_address_is_never_sent_to(sms_company):
    suppress()
    message = send_receipt_by_sms()

    run_now(2)

    assert sms_company.received == []
    message.refresh_from_db()
    assert message.state == MessageState.SUPPRESSED
    assert message.error == "The address is suppressed: manual."
    assert not message.attempts.exists()


def test_address_that_is_suppressed_while_the_message_waits_is_not_sent_to(sms_company):
    """It is asked within the claim, not when the message is queued."""
    message = send_receipt_by_sms()
    suppress()

    run_due_jobs()

    assert state_of(message) == MessageState.SUPPRESSED


def test_suppression_knows_no_address():
    row = suppress(channel=Channel.EMAIL, address=EMAIL)

    stored = " ".join(str(value) for value in Suppression.objects.values().get().values())
    assert EMAIL not in stored
    assert row.address_hash == hash_address("email", EMAIL.upper())


def test_emails_in_other_case_are_the_same_person(mailbox):
    suppress(channel=Channel.EMAIL, address=EMAIL.upper())
    message = send_news()

    run_due_jobs()

    assert state_of(message) == MessageState.SUPPRESSED


@pytest.mark.parametrize(
    ("known", "written_to"),
    [
        ("asha@küche.example", "asha@xn--kche-0ra.example"),
        ("asha@xn--kche-0ra.example", "asha@KÜCHE.example"),
        ("asha@example.com", "asha@ex\u200bample.com"),
        ("asha@example.com", "asha@\uff45xample.com"),
    ],
)
def test_domain_that_is_written_otherwise_is_the_same_person(mailbox, known, written_to):
    """DNS knows one domain; what it drops or folds must not lead around a suppression."""
    suppress(channel=Channel.EMAIL, address=known)
    message = send_news(Recipient(email=written_to))

    run_due_jobs()

    assert state_of(message) == MessageState.SUPPRESSED


@pytest.mark.parametrize(
    ("channel", "address"),
    [("sms", "0712345678"), ("sms", ""), ("email", "asha"), ("email", " "), ("inapp", "user:1")],
)
def test_suppression_that_would_end_nothing_is_refused(channel, address):
    with pytest.raises(InvalidRecipient):
        suppress(channel=Channel(channel), address=address)

    assert not Suppression.objects.exists()


def test_suppression_outlives_a_new_secret_key(mailbox, settings):
    """As long as the old one is among the fallbacks; the address itself is not there to digest."""
    suppress(channel=Channel.EMAIL, address=EMAIL)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, [settings.SECRET_KEY]
    message = send_news()

    run_due_jobs()

    assert state_of(message) == MessageState.SUPPRESSED


def test_link_of_before_a_new_secret_key_still_ends_it(client, mailbox, settings):
    user = make_user(email=EMAIL)
    token = make_token(send_news(), get_kind("news"))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, [settings.SECRET_KEY]

    assert client.post(f"/api/v1/notifications/unsubscribe/{token}/").status_code == 200

    message = send_news()
    run_due_jobs()
    assert state_of(message) == MessageState.SUPPRESSED
    services.set_preference(user=user, kind="news", channel=Channel.EMAIL, is_on=True)
    again = send_news()
    run_due_jobs()
    assert state_of(again) == "delivered"


def test_phone_is_not_the_email_of_the_same_text():
    assert hash_address("sms", "x") != hash_address("email", "x")


def test_suppressing_again_keeps_the_first_reason():
    first = suppress()
    again = suppress(reason=SuppressionReason.COMPLAINT)

    assert again == first
    assert Suppression.objects.get().reason == "manual"


def test_lifted_suppression_lets_messages_through_and_can_be_renewed(sms_company):
    staff = make_user()
    row = suppress()

    assert services.lift_suppression(row, by=staff)
    assert not services.lift_suppression(row, by=staff)
    message = send_receipt_by_sms()
    run_due_jobs()
    assert state_of(message) == MessageState.ACCEPTED

    assert suppress() != row
    assert Suppression.objects.count() == 2
    row.refresh_from_db()
    assert row.lifted_by == staff


def test_suppression_of_a_kind_lets_the_others_through(sms_company):
    suppress(kind="news")
    news, receipt = send_news(Recipient(phone_e164=PHONE)), send_receipt_by_sms()

    run_due_jobs()

    assert state_of(news) == MessageState.SUPPRESSED
    assert state_of(receipt) == MessageState.ACCEPTED


# What a user wants.


def ask_about(user):
    return send_alert(Recipient(user=user, phone_e164=PHONE), channels=["sms"])


def test_what_a_user_does_not_want_is_not_sent(sms_company):
    user = make_user()
    services.set_preference(user=user, kind="alert", channel=Channel.SMS, is_on=False)
    message = ask_about(user)
    other = ask_about(make_user())

    run_due_jobs()

    assert (state_of(message), state_of(other)) == ("suppressed", "accepted")
    message.refresh_from_db()
    assert message.error == "The person does not want it."


def test_user_may_change_their_mind(sms_company):
    user = make_user()
    for is_on in (False, True):
        services.set_preference(user=user, kind="alert", channel=Channel.SMS, is_on=is_on)
    message = ask_about(user)

    run_due_jobs()

    assert state_of(message) == MessageState.ACCEPTED
    assert Preference.objects.count() == 1


def test_kind_that_is_off_is_sent_to_those_who_asked_for_it(sms_company, settings):
    kinds = settings.NTC_NOTIFY_KINDS
    settings.NTC_NOTIFY_KINDS = {**kinds, "alert": {**kinds["alert"], "choice": "off"}}
    asked, silent = make_user(), make_user()
    services.set_preference(user=asked, kind="alert", channel=Channel.SMS, is_on=True)
    messages = [ask_about(asked), ask_about(silent)]

    run_due_jobs()

    assert [state_of(message) for message in messages] == ["accepted", "suppressed"]


@pytest.mark.parametrize(("kind", "channel"), [("receipt", "sms"), ("alert", "email")])
def test_nobody_chooses_what_is_forced_or_not_there(kind, channel):
    with pytest.raises(UnknownKind, match="no choice"):
        services.set_preference(user=make_user(), kind=kind, channel=Channel(channel), is_on=False)


def test_turning_a_kind_on_takes_back_what_a_link_has_ended_and_nothing_else():
    user = make_user(email=EMAIL)
    ended = suppress(
        channel=Channel.EMAIL, address=EMAIL, kind="news", reason=SuppressionReason.UNSUBSCRIBED
    )
    bounced = suppress(channel=Channel.EMAIL, address=EMAIL, reason=SuppressionReason.HARD_BOUNCE)

    services.set_preference(user=user, kind="news", channel=Channel.EMAIL, is_on=True)

    ended.refresh_from_db()
    bounced.refresh_from_db()
    assert ended.lifted_at is not None
    assert bounced.lifted_at is None


def test_refusals_of_many_messages_take_two_queries():
    users = [make_user() for _ in range(5)]
    messages = [ask_about(user) for user in users]
    services.set_preference(user=users[0], kind="alert", channel=Channel.SMS, is_on=False)
    loaded = list(Message.objects.select_related("notification").order_by("id"))
    with CaptureQueriesContext(connection) as queries:
        refusals = find_refusals(loaded, get_kind("alert"))

    assert list(refusals) == [messages[0].pk]
    assert len(queries) == 2


# One click.


def test_link_unsubscribes_the_address_from_the_kind(mailbox):
    message = send_news()
    wish = read_token(make_token(message, get_kind("news")))
    assert wish is not None

    services.unsubscribe(wish)
    services.unsubscribe(wish)

    later = send_news()
    run_due_jobs()
    assert state_of(message) == state_of(later) == MessageState.SUPPRESSED
    row = Suppression.objects.get()
    assert (row.kind, row.reason, row.source) == ("news", "unsubscribed", "link")
    assert row.masked_address == "a***@e***"


@pytest.mark.parametrize("token", ["", "nonsense", "a:b:c"])
def test_token_of_somebody_else_is_none(token):
    assert read_token(token) is None


def test_token_of_another_purpose_is_none():
    assert read_token(signing.dumps(["email", "news", "0" * 64, "a***"], salt="other")) is None


# Quiet hours.

NIGHT = "2026-11-25T20:30:00+00:00"  # 23:30 in Dar es Salaam
MORNING = timedelta(hours=7, minutes=30)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2026-11-25T17:59:59+00:00", None),
        ("2026-11-25T18:00:00+00:00", "2026-11-26T04:00:00+00:00"),
        ("2026-11-26T03:59:59+00:00", "2026-11-26T04:00:00+00:00"),
        ("2026-11-26T04:00:00+00:00", None),
        ("2028-02-28T22:00:00+00:00", "2028-02-29T04:00:00+00:00"),
    ],
)
def test_quiet_hours_are_those_of_dar_es_salaam(settings, moment, end):
    settings.NTC_NOTIFY_QUIET_HOURS = ("21:00", "07:00")

    found = find_end_of_quiet(timezone.datetime.fromisoformat(moment))

    assert found == (end and timezone.datetime.fromisoformat(end))


def test_quiet_hours_within_one_day(settings):
    settings.NTC_NOTIFY_QUIET_HOURS = ("13:00", "14:00")

    assert find_end_of_quiet(timezone.datetime.fromisoformat("2026-11-25T10:30:00+00:00"))
    assert not find_end_of_quiet(timezone.datetime.fromisoformat("2026-11-25T20:30:00+00:00"))


def test_marketing_waits_for_the_morning_and_a_receipt_does_not(sms_company, settings):
    settings.NTC_NOTIFY_QUIET_HOURS = ("21:00", "07:00")
    with time_machine.travel(NIGHT, tick=False):
        news, receipt = send_news(Recipient(phone_e164=PHONE)), send_receipt_by_sms()
        run_due_jobs()

        assert (state_of(news), state_of(receipt)) == ("queued", "accepted")
        job = OutboxJob.objects.get(task="ntc_notify.deliver_message", state="queued")
    waits = job.run_at - timezone.now()
    assert MORNING - timedelta(minutes=1) < waits < MORNING + timedelta(minutes=1)


def test_what_would_be_too_late_in_the_morning_expires(sms_company, settings):
    settings.NTC_NOTIFY_QUIET_HOURS = ("21:00", "07:00")
    kinds = settings.NTC_NOTIFY_KINDS
    settings.NTC_NOTIFY_KINDS = {**kinds, "news": {**kinds["news"], "expires_seconds": 3600}}
    with time_machine.travel(NIGHT, tick=False):
        message = send_news(Recipient(phone_e164=PHONE))
        run_due_jobs()

    message.refresh_from_db()
    assert (message.state, message.error) == ("expired", "Its time ends in the quiet hours.")


def test_inbox_wakes_nobody(settings):
    settings.NTC_NOTIFY_QUIET_HOURS = ("00:00", "23:59")
    user = make_user()

    send_news(Recipient(user=user), channels=["inapp"])
    run_due_jobs()

    assert InboxItem.objects.get().title == "Habari mpya"


def test_unknown_outcome_after_a_no_is_not_repeated(sms_company):
    """The second try of a kind that repeats asks again whether it is wanted."""
    user = make_user()
    sms_company.answers = [SendOutcome.unknown("silence")]
    message = ask_about(user)
    run_due_jobs()
    services.set_preference(user=user, kind="alert", channel=Channel.SMS, is_on=False)

    run_now()

    assert len(sms_company.received) == 1
    assert state_of(message) == MessageState.SUPPRESSED


def test_marketing_says_how_to_end_it(mailbox):
    send_news(ASHA_BY_EMAIL)
    run_due_jobs()

    [kept] = read_mailbox(mailbox)
    assert "https://api.farajayangu.example/api/v1/notifications/unsubscribe/" in kept.body
