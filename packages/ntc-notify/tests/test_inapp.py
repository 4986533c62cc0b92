"""The in-app channel: rows of a user's inbox, exactly one per message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_notify import services
from ntc_notify.conf import get_kind
from ntc_notify.errors import NoReachableAddress
from ntc_notify.models import InboxItem, Message
from ntc_notify.services.inapp import put_into_inbox
from ntc_notify.signals import inbox_item_created
from ntc_notify.types import Channel, MessageState, Recipient

from tests.people import run_now, send_receipt, state_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def pushed() -> Iterator[list[InboxItem]]:
    """Collect what a socket would be told."""
    items: list[InboxItem] = []

    def listen(item, **_):
        items.append(item)

    inbox_item_created.connect(listen)
    yield items
    inbox_item_created.disconnect(listen)


def tell(user, **arguments) -> Message:
    values = {"kind": "alert", "context": {"text": "Mvua kubwa"}, "channels": ["inapp"]}
    return send_receipt(Recipient(user=user), **values | arguments).messages.get()


@pytest.mark.django_db(transaction=True)
def test_message_becomes_an_item(heard, pushed):
    user = make_user()
    message = tell(user, language="en")

    run_now(2)

    item = InboxItem.objects.get()
    assert (item.user, item.title, item.body) == (user, "Alert", "Mvua kubwa")
    assert (item.message, item.kind, item.read_at) == (message, "alert", None)
    message.refresh_from_db()
    assert (message.state, message.provider) == (MessageState.DELIVERED, "inbox")
    assert message.masked_address == f"user:{user.pk}"
    assert heard == [(MessageState.DELIVERED, message.uid)]
    assert pushed == [item]


def test_an_item_nobody_could_be_told_of_is_not_written_and_tried_again():
    """What shows it and what stores it commit together."""
    told = []

    def break_once(item, **_):
        told.append(item)
        if len(told) == 1:
            raise RuntimeError("broken on purpose")

    inbox_item_created.connect(break_once)
    try:
        message = tell(make_user())
        run_due_jobs()
        assert not InboxItem.objects.exists()
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()
    finally:
        inbox_item_created.disconnect(break_once)

    assert [item.pk for item in InboxItem.objects.all()] == [told[1].pk]
    message.refresh_from_db()
    assert message.state == MessageState.DELIVERED


def test_job_that_runs_twice_makes_one_item():
    tell(make_user())
    run_due_jobs()
    OutboxJob.objects.update(state="queued")
    run_due_jobs()

    assert InboxItem.objects.count() == 1


def test_two_workers_that_have_both_read_the_message_make_one_item():
    message = tell(make_user())
    copies = [Message.objects.select_related("notification").get() for _ in range(2)]

    for copy in copies:
        put_into_inbox(copy, get_kind("alert"))

    assert InboxItem.objects.get().message == message


def test_user_who_does_not_want_it_has_no_item():
    user = make_user()
    services.set_preference(user=user, kind="alert", channel=Channel.INAPP, is_on=False)
    message = tell(user)

    run_due_jobs()

    assert state_of(message) == MessageState.SUPPRESSED
    assert not InboxItem.objects.exists()


def test_user_who_is_gone_has_no_item():
    user = make_user()
    message = tell(user)
    user.delete()

    run_due_jobs()

    message.refresh_from_db()
    assert (message.state, message.error) == (MessageState.SUPPRESSED, "The user is gone.")


def test_stranger_has_no_inbox():
    with pytest.raises(NoReachableAddress, match="inapp"):
        send_receipt(
            Recipient(phone_e164="+255712345678"),
            kind="alert",
            context={"text": "Mvua"},
            channels=["inapp"],
        )


def test_without_a_provider_for_sms_the_inbox_is_reached_all_the_same(settings):
    settings.NTC_SMS_PROVIDERS = {}
    user = make_user()
    notification = send_receipt(
        Recipient(user=user, phone_e164="+255712345678"), kind="alert", context={"text": "Mvua"}
    )

    assert [message.channel for message in notification.messages.all()] == ["inapp"]
