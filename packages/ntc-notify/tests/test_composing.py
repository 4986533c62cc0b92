"""What a provider is given: headers, attachments, segments, other programs' emails."""

from __future__ import annotations

import base64
import re
from decimal import Decimal

import pytest
from ntc_core.outbox.services import run_due_jobs
from ntc_notify import services
from ntc_notify.conf import STORED_EMAIL, get_kind
from ntc_notify.models import DeliveryAttempt, Message, StoredEmail
from ntc_notify.services.composing import compose
from ntc_notify.services.sending import prepare_request, queue_message
from ntc_notify.types import Attachment, Channel, OutgoingEmail, Recipient, SendOutcome
from ntc_notify.unsubscribe import read_token

from tests.people import (
    ASHA_BY_EMAIL,
    EMAIL,
    PHONE,
    outcomes,
    run_now,
    send_alert,
    send_news,
    send_receipt,
    state_of,
)

pytestmark = pytest.mark.django_db


def make_invoice(context):
    text = f"{context['reference']};{context['amount']}\n".encode()
    return [Attachment(filename="risiti.csv", content_type="text/csv", content=text)]


def composed(message: Message) -> OutgoingEmail:
    kind = get_kind(message.notification.kind)
    return compose(message, kind, DeliveryAttempt(message=message, provider_uid=message.uid))


def test_marketing_carries_one_click_unsubscribe():
    """RFC 8058: one https link, and the header that says a POST to it is enough."""
    message = send_news()

    email = composed(message)

    link = re.fullmatch(r"<(https://[^>]+)>", email.headers["List-Unsubscribe"])
    assert link is not None
    assert email.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link.group(1) in email.text
    token = link.group(1).rstrip("/").rpartition("/")[2]
    wish = read_token(token)
    assert wish is not None
    assert (wish.kind, wish.channel) == ("news", Channel.EMAIL)
    assert EMAIL not in token
    assert email.reply_to == ("editors@farajayangu.example",)


def test_address_for_unsubscribing_by_email_stands_beside_the_link(settings):
    settings.NTC_NOTIFY_UNSUBSCRIBE_EMAIL = "stop@farajayangu.example"

    email = composed(send_news())

    assert email.headers["List-Unsubscribe"].endswith(
        ", <mailto:stop@farajayangu.example?subject=news>"
    )


def test_without_a_link_nothing_promises_one_click(settings):
    settings.NTC_NOTIFY_API_URL = ""
    settings.NTC_NOTIFY_UNSUBSCRIBE_EMAIL = "stop@farajayangu.example"

    assert "List-Unsubscribe-Post" not in composed(send_news()).headers


def test_receipt_is_no_marketing():
    email = composed(send_receipt(ASHA_BY_EMAIL).messages.get())

    assert (email.headers, email.reply_to, email.attachments) == ({}, (), ())


def test_attachments_are_made_when_the_email_leaves(settings):
    kinds = settings.NTC_NOTIFY_KINDS
    settings.NTC_NOTIFY_KINDS = {
        **kinds,
        "receipt": {**kinds["receipt"], "attachments": "tests.test_composing.make_invoice"},
    }

    email = composed(send_receipt(ASHA_BY_EMAIL).messages.get())

    [attachment] = email.attachments
    assert (attachment.filename, attachment.content) == ("risiti.csv", b"R-1;TZS 5,000\n")


def test_cost_is_estimated_from_segments_and_price(sms_company, settings):
    settings.NTC_SMS_PRICES = {"alpha": ("22.50", "TZS")}
    context = {"name": "A" * 200, "amount": "TZS 5,000", "reference": "R"}
    notification = send_receipt(Recipient(phone_e164=PHONE), context=context)

    run_due_jobs()

    message = notification.messages.get()
    assert message.segments == 2
    assert (message.cost_estimate, message.cost_currency) == (Decimal("45.0000"), "TZS")


def test_sms_that_went_wild_is_not_sent(sms_company, settings):
    settings.NTC_NOTIFY_MAX_SMS_SEGMENTS = 2
    context = {"name": "A" * 1000, "amount": "TZS 5,000", "reference": "R"}
    message = send_receipt(Recipient(phone_e164=PHONE), context=context).messages.get()

    run_now(2)

    message.refresh_from_db()
    assert message.state == "failed"
    assert message.error == ("It would take 7 segments; NTC_NOTIFY_MAX_SMS_SEGMENTS allows 2.")
    assert sms_company.received == []


def test_failover_after_silence_goes_by_the_next_company(sms_companies):
    """A second copy of an alert is harmless, a missing one is not."""
    sms_companies["alpha"].answers = [SendOutcome.unknown("silence")]
    message = send_alert(channels=["sms"])

    run_now(2)

    assert outcomes(message) == [("alpha", "unknown"), ("beta", "accepted")]
    first, second = (sms_companies[name].received[0] for name in ("alpha", "beta"))
    assert first.provider_uid != second.provider_uid
    assert state_of(message) == "accepted"


def test_failover_with_one_company_is_the_same_company_and_id(sms_company):
    sms_company.answers = [SendOutcome.unknown("silence")]
    send_alert(channels=["sms"])

    run_now(2)

    first, second = sms_company.received
    assert first.provider_uid == second.provider_uid


def test_two_silent_companies_are_enough(sms_companies):
    for company in sms_companies.values():
        company.answers = [SendOutcome.unknown("silence")] * 5
    message = send_alert(channels=["sms"])

    run_now(5)

    assert outcomes(message) == [("alpha", "unknown"), ("beta", "unknown")]
    assert state_of(message) == "unknown"


# Emails that other programs wrote.


def store_email() -> Message:
    request = prepare_request(
        kind=get_kind(STORED_EMAIL),
        to=Recipient(email=EMAIL),
        context={},
        dedupe_key="one",
    )
    notification = request.make_notification()
    notification.save()
    StoredEmail.objects.create(
        notification=notification,
        sender="shop@farajayangu.example",
        subject="Your order",
        text="Thank you.",
        html="<p>Thank you.</p>",
        reply_to=["desk@farajayangu.example"],
        headers={"X-Order": "12"},
        attachments=[
            {
                "filename": "a.txt",
                "content_type": "text/plain",
                "content": base64.b64encode(b"hello").decode(),
            }
        ],
    )
    message = request.make_message(notification, Channel.EMAIL, EMAIL)
    message.save()
    queue_message(message)
    return message


def test_stored_email_is_given_as_it_was_written_and_forgotten(mailbox):
    message = store_email()

    email = composed(message)
    run_due_jobs()

    assert (email.sender, email.subject) == ("shop@farajayangu.example", "Your order")
    assert (email.text, email.html) == ("Thank you.", "<p>Thank you.</p>")
    assert (email.reply_to, email.headers) == (("desk@farajayangu.example",), {"X-Order": "12"})
    assert [each.content for each in email.attachments] == [b"hello"]
    assert state_of(message) == "delivered"
    assert not StoredEmail.objects.exists()


def test_stored_email_that_is_gone_is_canceled(mailbox):
    message = store_email()
    StoredEmail.objects.all().delete()

    run_due_jobs()

    assert state_of(message) == "canceled"


def test_purge_empties_old_facts_and_keeps_those_that_still_wait(sms_company, settings):
    settings.NTC_NOTIFY_CONTEXT_KEEP_DAYS = 0
    done, waiting = send_receipt(Recipient(phone_e164=PHONE)), None
    run_due_jobs()
    waiting = send_receipt(Recipient(phone_e164=PHONE))

    while services.purge():
        pass

    done.refresh_from_db()
    waiting.refresh_from_db()
    assert done.context == {}
    assert waiting.context["name"] == "Asha"
