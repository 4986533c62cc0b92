"""What was sent about something, found by the names that its sender gave it."""

from __future__ import annotations

import pytest
from ntc_notify.selectors import list_messages

from tests.people import ASHA_BY_SMS, run_now, send_receipt

pytestmark = pytest.mark.django_db


def test_messages_of_some_news_are_found_on_every_channel():
    """And nothing else: not of another key, not of another kind with the same key."""
    receipt = send_receipt(dedupe_key="payment-1")
    again = send_receipt(ASHA_BY_SMS, dedupe_key="payment-2")
    send_receipt(dedupe_key="payment-3")
    send_receipt(
        ASHA_BY_SMS,
        kind="verification_code",
        context={"challenge_uid": "c1", "minutes": 10},
        dedupe_key="payment-1",
    )

    found = list_messages(kinds=["receipt"], dedupe_keys=["payment-1", "payment-2"])

    assert [(message.notification, message.channel) for message in found] == [
        (receipt, "sms"),
        (receipt, "email"),
        (again, "sms"),
    ]


def test_nothing_is_found_of_nothing():
    send_receipt()

    assert not list_messages(kinds=["receipt"], dedupe_keys=[])
    assert not list_messages(kinds=[], dedupe_keys=["payment-1"])


def test_messages_are_read_with_their_news_in_one_query(django_assert_num_queries):
    send_receipt(dedupe_key="payment-1")
    run_now()

    with django_assert_num_queries(1):
        found = list_messages(kinds=["receipt"], dedupe_keys=["payment-1"])
        states = [(message.notification.kind, message.state) for message in found]

    assert [kind for kind, _ in states] == ["receipt", "receipt"]
