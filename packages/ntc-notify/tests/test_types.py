"""The frozen values and the ranks of states."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_notify.errors import InvalidRecipient
from ntc_notify.types import (
    RANK,
    Channel,
    MessageState,
    Outcome,
    OutgoingEmail,
    Recipient,
    SendOutcome,
    may_follow,
)


@given(st.permutations([MessageState.ACCEPTED, MessageState.DEFERRED, MessageState.DELIVERED]))
def test_news_in_any_order_ends_in_the_same_state(news):
    state = MessageState.SENDING
    for step in news:
        if may_follow(state, step):
            state = step

    assert state == MessageState.DELIVERED


def test_a_delivery_report_corrects_a_failure_but_not_the_other_way_round():
    assert may_follow(MessageState.FAILED, MessageState.DELIVERED)
    assert not may_follow(MessageState.DELIVERED, MessageState.FAILED)


def test_repeated_news_is_no_news():
    assert not any(may_follow(state, state) for state in MessageState)


@pytest.mark.parametrize(
    "ended", [MessageState.SUPPRESSED, MessageState.EXPIRED, MessageState.CANCELED]
)
def test_nothing_follows_a_message_that_was_never_handed_over(ended):
    assert not any(may_follow(ended, state) for state in MessageState)
    assert not any(may_follow(state, ended) for state in RANK)


@pytest.mark.parametrize(
    "address",
    ["asha", "asha@", "@example.com", "a b@example.com", "a@b@c", "a@example.com\nBcc: x@y.z",
     "<a@example.com>", "a,b@example.com", "x" * 250 + "@e.tz",
     "a@example..com", f"a@{'x' * 64}.com", "a@\u3002"],
)  # fmt: skip
def test_malformed_email_address_is_refused(address):
    with pytest.raises(InvalidRecipient) as caught:
        Recipient(email=address)

    assert caught.value.attr == "email"
    assert address not in str(caught.value)


@pytest.mark.parametrize("phone", ["0712345678", "255712345678", "+0712345678", "+25571234567x"])
def test_phone_that_is_not_e164_is_refused(phone):
    with pytest.raises(InvalidRecipient) as caught:
        Recipient(phone_e164=phone)

    assert caught.value.attr == "phone"


def test_recipient_is_found_by_channel():
    recipient = Recipient(email="asha@example.com", phone_e164="")

    assert recipient.find_address(Channel.EMAIL) == "asha@example.com"
    assert recipient.find_address(Channel.SMS) is None


def test_domain_is_written_as_providers_will_name_it():
    recipient = Recipient(email="asha@küche.example")

    assert recipient.find_address(Channel.EMAIL) == "asha@xn--kche-0ra.example"


@pytest.mark.parametrize("field", ["to", "sender", "subject"])
@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r", "\x00", "\x0b", "\u2028"])
def test_header_of_an_email_is_one_line(field, separator):
    values = {"to": "a@example.com", "sender": "b@example.com", "subject": "Habari"}

    with pytest.raises(ValueError, match=field):
        OutgoingEmail(
            provider_uid=uuid4(),
            text="Habari",
            **values | {field: f"{values[field]}{separator}Bcc: thief@example.com"},
        )


def test_send_outcomes_say_what_happened():
    assert SendOutcome.accepted(provider_ref="1").outcome == Outcome.ACCEPTED
    assert SendOutcome.accepted(provider_ref="1", delivered=True).outcome == Outcome.DELIVERED
    assert SendOutcome.refused("no").elsewhere is False
    assert SendOutcome.retry("busy", after_seconds=3).retry_after_seconds == 3
    assert SendOutcome.unknown("?").outcome == Outcome.UNKNOWN


def test_channel_masks_its_addresses():
    assert Channel.SMS.mask("+255712345678") == "+2557****678"
    assert Channel.EMAIL.mask("asha@duka.tz") == "a***@d***"
