"""`send()`: what it writes, what it refuses, and that it writes nothing when it refuses."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_notify.errors import (
    DedupeKeyReused,
    InvalidContext,
    InvalidRecipient,
    NoReachableAddress,
    UnknownKind,
)
from ntc_notify.models import Message, Notification
from ntc_notify.services import send
from ntc_notify.types import MessageState, Recipient

from tests.people import (
    ASHA,
    ASHA_BY_EMAIL,
    ASHA_BY_SMS,
    EMAIL,
    FACTS,
    PHONE,
    count_rows,
    person,
    send_receipt,
)

pytestmark = pytest.mark.django_db


def test_one_message_and_one_job_per_channel_that_reaches_the_person():
    notification = send_receipt()

    assert notification.context == FACTS
    assert notification.language == "sw"
    messages = {message.channel: message for message in notification.messages.all()}
    assert {channel: message.address for channel, message in messages.items()} == {
        "sms": PHONE,
        "email": EMAIL,
    }
    assert {message.state for message in messages.values()} == {MessageState.QUEUED}
    jobs = OutboxJob.objects.filter(task="ntc_notify.deliver_message")
    assert {tuple(job.arguments) for job in jobs} == {(m.pk,) for m in messages.values()}


def test_channel_without_an_address_is_left_out():
    assert [m.channel for m in send_receipt(ASHA_BY_EMAIL).messages.all()] == ["email"]
    assert [m.channel for m in send_receipt(ASHA_BY_SMS).messages.all()] == ["sms"]


def test_channel_without_a_provider_is_left_out(settings):
    settings.NTC_SMS_PROVIDERS = {}

    assert [m.channel for m in send_receipt().messages.all()] == ["email"]


def test_caller_may_choose_among_the_channels_of_the_kind():
    assert [m.channel for m in send_receipt(channels=["sms"]).messages.all()] == ["sms"]


def test_nothing_stays_of_a_transaction_that_is_rolled_back():
    with transaction.atomic():
        send_receipt()
        transaction.set_rollback(True)

    assert count_rows() == (0, 0, 0, 0)


def test_user_is_read_and_kept():
    user = get_user_model().objects.create(username="asha", email=EMAIL)
    user.phone = "0712 345 678"
    user.language = "en-GB"

    notification = send_receipt(user)

    assert notification.user == user
    assert notification.language == "en"
    assert set(notification.messages.values_list("address", flat=True)) == {EMAIL, PHONE}


def test_anything_with_addresses_will_do():
    notification = send_receipt(person(phone_e164=PHONE))

    assert notification.user is None
    assert notification.messages.get().address == PHONE


@pytest.mark.parametrize(
    ("argument", "recipient", "user", "chosen"),
    [
        ("en", "sw", "sw", "en"),
        (None, "en", "sw", "en"),
        (None, None, "en", "en"),
        (None, None, None, "sw"),
        (None, "?!", None, "sw"),
        (None, "EN_us", None, "en"),
    ],
)
def test_language_is_the_argument_else_the_persons_else_swahili(argument, recipient, user, chosen):
    owner = get_user_model().objects.create(username="asha")
    owner.language = user

    notification = send_receipt(
        Recipient(email=EMAIL, language=recipient, user=owner), language=argument
    )

    assert notification.language == chosen


def test_message_expires_by_its_kind_counted_from_the_moment_it_may_leave():
    later = timezone.now() + timedelta(hours=1)

    at_once = send_receipt(ASHA_BY_SMS).messages.get()
    delayed = send_receipt(ASHA_BY_SMS, send_after=later)

    lifetime = at_once.expires_at - at_once.created_at
    assert abs(lifetime - timedelta(days=1)) < timedelta(seconds=5)
    assert delayed.messages.get().expires_at == later + timedelta(days=1)
    assert OutboxJob.objects.get(arguments=[delayed.messages.get().pk]).run_at == later


def test_same_call_again_returns_the_same_notification_and_sends_nothing():
    first = send_receipt(dedupe_key="receipt:1")
    rows = count_rows()

    again = send_receipt(dedupe_key="receipt:1")

    assert again == first
    assert count_rows() == rows


def test_kinds_do_not_share_their_keys():
    send_receipt(ASHA_BY_EMAIL, dedupe_key="1")
    send_receipt(ASHA_BY_EMAIL, kind="welcome", context={"name": "Asha"}, dedupe_key="1")

    assert Notification.objects.count() == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"context": FACTS | {"amount": "TZS 9,000"}},
        {"to": Recipient(email="other@example.com", phone_e164=PHONE)},
        {"channels": ["sms"]},
        {"language": "en"},
    ],
)
def test_same_key_for_other_content_is_a_mistake(changes):
    send_receipt(dedupe_key="receipt:1")
    rows = count_rows()

    with pytest.raises(DedupeKeyReused):
        send_receipt(**{"to": ASHA, "dedupe_key": "receipt:1"} | changes)

    assert count_rows() == rows


def test_user_who_changed_their_address_is_still_the_same_person():
    user = get_user_model().objects.create(username="asha", email=EMAIL)
    first = send_receipt(user, dedupe_key="receipt:1")
    user.email = ""

    assert send_receipt(user, dedupe_key="receipt:1") == first


def test_chosen_address_of_a_user_is_part_of_the_content():
    user = get_user_model().objects.create(username="asha", email=EMAIL)
    send_receipt(Recipient(email=EMAIL, user=user), dedupe_key="1")

    with pytest.raises(DedupeKeyReused):
        send_receipt(Recipient(email="new@example.com", user=user), dedupe_key="1")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"kind": "recipt"}, UnknownKind, "'recipt'"),
        ({"channels": ["pigeon"]}, UnknownKind, "pigeon"),
        ({"channels": []}, UnknownKind, "none"),
        ({"channels": ["sms"], "kind": "welcome"}, UnknownKind, "'welcome' has the channels email"),
        ({"context": {"name": "Asha"}}, InvalidContext, "missing: amount, reference"),
        ({"context": FACTS | {"colour": "red"}}, InvalidContext, "not declared: colour"),
        ({"context": FACTS | {"name": object()}}, InvalidContext, "must be JSON"),
        ({"context": FACTS | {"name": float("nan")}}, InvalidContext, "must be JSON"),
        ({"context": FACTS | {"name": "A\x00"}}, InvalidContext, "NUL"),
        ({"context": FACTS | {"name": "A\ud83d"}}, InvalidContext, "half a character"),
        ({"dedupe_key": "a\x00"}, ValueError, "NUL"),
        (
            {
                "kind": "verification_code",
                "context": {"challenge_uid": "1", "minutes": 5, "code": "481516"},
            },
            InvalidContext,
            "secret, so never to be stored: code",
        ),
        ({"dedupe_key": ""}, ValueError, "dedupe_key"),
        ({"dedupe_key": "x" * 201}, ValueError, "dedupe_key"),
        ({"send_after": datetime(2026, 1, 1)}, ValueError, "aware"),  # noqa: DTZ001 - on purpose
        ({"language": "../../etc"}, ValueError, "language code"),
        ({"to": person(email="", phone=None)}, NoReachableAddress, "no address for sms or email"),
        ({"to": ASHA_BY_EMAIL, "channels": ["sms"]}, NoReachableAddress, "no address for sms"),
        ({"to": person(phone="12345")}, InvalidRecipient, "phone number"),
        ({"to": person(email="asha")}, InvalidRecipient, "email address"),
    ],
)
def test_mistake_is_named_and_leaves_no_row(changes, error, words):
    arguments = {"kind": "receipt", "to": ASHA, "context": FACTS, "dedupe_key": "1"} | changes

    with pytest.raises(error, match=words) as caught:
        send(**arguments)

    assert count_rows() == (0, 0, 0, 0)
    for value in ("481516", PHONE, EMAIL):
        assert value not in str(caught.value)


def test_channel_that_nobody_carries_is_named(settings):
    settings.NTC_SMS_PROVIDERS = {}
    settings.NTC_EMAIL_PROVIDERS = {}

    with pytest.raises(NoReachableAddress, match="NTC_SMS_PROVIDERS"):
        send_receipt()

    assert count_rows() == (0, 0, 0, 0)


def test_errors_about_people_are_for_the_caller_of_the_api():
    with pytest.raises(NoReachableAddress) as caught:
        send_receipt(person())

    assert (caught.value.http_status, caught.value.code) == (422, "no_reachable_address")


def test_rows_read_well_and_hide_the_person():
    message = send_receipt(ASHA_BY_SMS, dedupe_key="r1").messages.get()

    assert str(message) == "sms to +2557****678"
    assert str(message.notification) == "receipt r1"
    assert PHONE not in repr(Message.objects.all())
